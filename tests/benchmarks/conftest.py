"""Made-up figures that tests of the benchmarks share."""

import pytest


@pytest.fixture
def healthy():
    """Measures of streams that are much like their piece."""
    return {
        "piece": "song",
        "collapsed": 0,
        "beat_strength": 0.5,
        "piece_beat_strength": 0.6,
        "tonal_prominence_db": 12.0,
        "piece_tonal_prominence_db": 13.0,
        "pitch_persistence": 0.5,
        "piece_pitch_persistence": 0.55,
        "cepstral_ratio_by_third": [1.0, 1.1, 1.2],
        "train_set_similarity": 0.6,
        "own_similarity": 0.7,
    }
