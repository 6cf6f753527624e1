"""Timbre distance by lag, against closed forms."""

import numpy as np
import pytest

from keras_rawaudio.metrics.timbre_distance import LAGS, timbre_distances

RATE = 8000
NOISE = np.random.default_rng(0).normal(size=120 * RATE).astype(np.float32) / 10


def at_levels(levels, seconds=2.0):
    """Noise whose level changes every so many seconds."""
    gains = np.repeat(np.asarray(levels, np.float32), round(seconds * RATE))
    return NOISE[: len(gains)] * gains


def test_a_steady_sound_has_no_distance_to_itself():
    piece = at_levels([1.0, 0.1] * 10)
    found = timbre_distances([at_levels([1.0] * 20)], RATE, [piece])
    assert all(value < 0.01 for value in found.values())


def test_two_levels_in_turn_are_far_at_odd_lags_alone():
    """Two values in equal shares: their squared distance is four variances, twice the scale."""
    found = timbre_distances([at_levels([1.0, 0.1] * 20)], RATE)
    for lag in LAGS:
        assert found[f"{2 * lag} s"] == pytest.approx(2.0 * (lag % 2), abs=0.02)


def test_a_random_order_has_the_same_distance_at_all_lags():
    levels = np.exp(np.random.default_rng(1).normal(size=60))
    order = timbre_distances([at_levels(levels)], RATE)
    assert all(value == pytest.approx(1.0, abs=0.3) for value in order.values())
    sorted_levels = timbre_distances([at_levels(np.sort(levels))], RATE)
    assert sorted_levels["2 s"] < 0.1
    assert list(sorted_levels.values()) == sorted(sorted_levels.values())


def test_stereo_is_the_same_as_mono():
    audio = at_levels([1.0, 0.3, 0.1] * 5)
    both = np.stack([audio, audio], axis=1)
    assert timbre_distances([both], RATE) == timbre_distances([audio], RATE)


@pytest.mark.parametrize("audios", [[], [np.zeros(10 * RATE, np.float32)], [NOISE[:RATE]]])
def test_what_cannot_be_compared_is_not_known(audios):
    assert set(timbre_distances(audios, RATE).values()) == {None}


def test_lags_longer_than_the_audio_are_not_known():
    found = timbre_distances([at_levels([1.0, 0.1, 1.0])], RATE)
    assert found["4 s"] is not None
    assert found["6 s"] is None
