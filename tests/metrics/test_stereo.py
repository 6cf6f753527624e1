"""Every measure takes stereo, and says of it what it says of the mean of its channels."""

import numpy as np
import pytest

from keras_rawaudio.dsp.spectra import mono
from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.diversity import diversity
from keras_rawaudio.metrics.measure import measure
from keras_rawaudio.metrics.over_time import over_time
from keras_rawaudio.metrics.reference import Reference

RATE = 8000


def wide(audio, seed=0):
    """Two channels whose mean is the audio."""
    side = np.random.default_rng(seed).normal(size=len(audio)).astype(np.float32) / 50
    return np.stack([audio + side, audio - side], axis=1)


def test_measures_of_stereo_are_those_of_the_mean(piece):
    train, heldout, new = np.split(piece[: 45 * RATE], [30 * RATE, 35 * RATE])
    plain = Reference.from_segments([train], [heldout], RATE)
    stereo = Reference.from_segments([wide(train)], [wide(heldout)], RATE)
    expected, found = measure(new, RATE, plain), measure(wide(new), RATE, stereo)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if isinstance(value, float):
            assert found[name] == pytest.approx(value, rel=0.01, abs=1e-3), name
    assert found["verdict"] == expected["verdict"]
    for a, b in zip(over_time(new, RATE, plain), over_time(wide(new), RATE, stereo), strict=True):
        np.testing.assert_allclose(a.values, b.values, rtol=0.01, atol=1e-3)


def test_diversity_of_stereo(piece):
    streams = [piece[: 8 * RATE], piece[20 * RATE : 28 * RATE]]
    found = diversity([wide(s, i) for i, s in enumerate(streams)], RATE)
    assert found == pytest.approx(diversity(streams, RATE), abs=0.01)


@pytest.mark.parametrize("shape", [(2, 100), (100, 0), (0, 2), (0,), (2, 2, 2)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(UserError, match=r"shape \(n,\) or \(n, 2\)"):
        mono(np.zeros(shape))
