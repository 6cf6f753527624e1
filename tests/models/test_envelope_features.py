"""What a moment sounds like: tones in their bands, levels as logarithms of power."""

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.envelope_features import (
    MIN_BAND_POWER,
    MIN_POWER,
    WARP,
    EnvelopeFeatures,
    _triangles,
    loudness,
)

WINDOW, BANDS = 256, 20


def levels(x, window=WINDOW, bands=BANDS):
    return ops.convert_to_numpy(EnvelopeFeatures(window, bands)(np.asarray(x, "float32")))


def middles(window=WINDOW, bands=BANDS):
    """The middle of each band in bins, by the warping's formula turned round."""
    low, high = np.log1p(WARP * np.array([2 / window, 1.0]))
    return np.expm1(np.linspace(low, high, bands + 2)[1:-1]) / WARP * window / 2


@pytest.mark.parametrize("band", range(4, BANDS))
def test_a_tone_is_loudest_in_its_band(band):
    turns = middles()[band] / WINDOW
    tone = 0.5 * np.sin(2 * np.pi * turns * np.arange(WINDOW) + 0.4)
    described = levels(tone)
    assert described.shape == (BANDS + 2,)
    assert described[:BANDS].argmax() == band


def test_twice_as_loud_is_a_quarter_of_the_logarithm_of_four():
    x = np.random.default_rng(0).uniform(-0.4, 0.4, (3, WINDOW))
    np.testing.assert_allclose(levels(2 * x) - levels(x), np.log(4) / 4, atol=1e-3)


def test_the_two_levels_by_hand_over_the_later_half():
    x = np.random.default_rng(1).uniform(-0.5, 0.5, WINDOW)
    late = x[WINDOW // 2 :]
    powers = np.array([np.mean(late**2), np.mean(np.diff(late) ** 2)])
    np.testing.assert_allclose(levels(x)[BANDS:], np.log(powers) / 4, atol=1e-4)
    np.testing.assert_allclose(loudness(late.astype("float32")), np.log(powers) / 4, atol=1e-4)
    early = x.copy()
    early[: WINDOW // 2] = 0
    np.testing.assert_array_equal(levels(early)[BANDS:], levels(x)[BANDS:])


def test_silence_is_the_least_of_all():
    silent = levels(np.zeros((2, WINDOW)))
    np.testing.assert_allclose(silent[:, :BANDS], np.log(MIN_BAND_POWER) / 4, rtol=1e-5)
    np.testing.assert_allclose(silent[:, BANDS:], np.log(MIN_POWER) / 4, rtol=1e-5)
    assert (levels(np.full(WINDOW, 1e-3)) >= silent[0] - 1e-5).all()


@pytest.mark.parametrize("window", [16, 64, 256])
def test_every_band_is_a_mean_of_bins(window):
    """However few bins there are for the bands: none is left without one."""
    weights = _triangles(window // 2 + 1, BANDS)
    assert weights.shape == (window // 2 + 1, BANDS)
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=0), 1.0, rtol=1e-5)
    centres = np.arange(window // 2 + 1) @ weights
    assert (np.diff(centres) >= 0).all()


def test_each_window_has_its_own_features():
    x = np.random.default_rng(2).normal(size=(2, 3, WINDOW))
    together = levels(x)
    assert together.shape == (2, 3, BANDS + 2)
    np.testing.assert_allclose(together[1, 2], levels(x[1, 2]), atol=1e-5)
