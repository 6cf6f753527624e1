"""What a piece repeats of itself."""

import numpy as np
import pytest

from keras_rawaudio.metrics.train_set_similarity import own_similarity

RATE = 8000


def test_a_piece_that_comes_twice_matches_itself_and_a_new_one_less(piece):
    once = own_similarity([piece], RATE)
    twice = own_similarity([np.tile(piece[: 30 * RATE], 2)], RATE)
    assert twice == pytest.approx(1, abs=0.02)
    assert 0.1 < once < twice - 0.1


def test_segments_count_as_one_piece_and_integers_as_floats(piece):
    whole = (piece * 32767).astype(np.int16)
    parts = np.split(whole, [20 * RATE, 50 * RATE])
    assert own_similarity(parts, RATE) == pytest.approx(own_similarity([piece], RATE), abs=0.01)


def test_halves_of_less_than_two_seconds_say_nothing(piece):
    assert own_similarity([piece[: 3 * RATE]], RATE) is None
    assert own_similarity([], RATE) is None
