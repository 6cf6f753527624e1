"""Octaves: sines and noise fall where they belong."""

import numpy as np
import pytest

from keras_rawaudio.dsp.octave_bands import CENTRES, octave_powers, octaves_below
from keras_rawaudio.metrics.octave_comparison import octave_levels
from keras_rawaudio.metrics.stereo_image import inter_channel_correlation, side_mid_ratio

RATE = 44_100
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(2, 20 * RATE)) / 10


@pytest.mark.parametrize("centre", CENTRES)
def test_a_sine_is_in_its_octave_alone(centre):
    sine = np.sin(2 * np.pi * centre * np.arange(2 * RATE) / RATE)
    levels = octave_levels(octave_powers(sine, RATE))
    assert levels[CENTRES.index(centre)] == pytest.approx(-3.01, abs=0.05)
    assert np.delete(levels, CENTRES.index(centre)).max() < -60


def test_white_noise_rises_by_3_db_per_octave():
    levels = octave_levels(octave_powers(NOISE[0], RATE))
    np.testing.assert_allclose(np.diff(levels)[3:-1], 3.01, atol=0.2)
    # The highest octave ends at 20 kHz.
    assert levels[-1] - levels[-2] == pytest.approx(
        10 * np.log10((20_000 - 11_314) / 5_657), abs=0.1
    )


def test_powers_of_all_octaves_sum_to_the_power_between_22_hz_and_20_khz():
    power = octave_powers(NOISE[0], RATE)[:, :, 0].mean(axis=0).sum()
    assert power == pytest.approx(0.01 * 20_000 / (RATE / 2), rel=0.02)


def test_levels_do_not_depend_on_the_rate():
    sine = [0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * r) / r) for r in (8000, 16_000, 44_100)]
    levels = [
        octave_levels(octave_powers(s, r))[octaves_below(r).index(500)]
        for s, r in zip(sine, (8000, 16_000, 44_100), strict=True)
    ]
    assert np.ptp(levels) < 0.01


def test_equal_and_independent_and_opposite_channels():
    left, right = NOISE
    for other, correlation, ratio in (
        (left, 1.0, -60.0),
        (right, 0.0, 0.0),
        (-left, -1.0, 60.0),
        (0.5 * left, 1.0, 10 * np.log10((0.5 / 1.5) ** 2)),
    ):
        powers = octave_powers(np.stack([left, other], axis=1), RATE)
        np.testing.assert_allclose(inter_channel_correlation(powers)[3:], correlation, atol=0.1)
        np.testing.assert_allclose(side_mid_ratio(powers)[3:], ratio, atol=1)


def test_width_in_the_highs_only():
    """A common bass and independent highs: each octave has its own answer."""
    bass = np.sin(2 * np.pi * 63 * np.arange(20 * RATE) / RATE)
    highs = np.diff(NOISE, axis=1, prepend=0)
    highs -= np.apply_along_axis(lambda x: np.convolve(x, np.ones(32) / 32, "same"), 1, highs)
    ratio = side_mid_ratio(octave_powers((bass + highs).T, RATE))
    assert ratio[CENTRES.index(62.5)] < -30
    assert abs(ratio[CENTRES.index(8000)]) < 0.5


def test_audio_shorter_than_a_frame():
    assert octave_powers(np.ones((100, 2)) * 0.1, 8000).shape == (1, 8, 3)
    assert np.isfinite(side_mid_ratio(np.zeros((1, 8, 3)))).all()
    assert (octave_levels(np.zeros((1, 8, 3))) == -110).all()
