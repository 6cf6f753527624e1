"""The pulse's period, on pulses whose period is known."""

import numpy as np
import pytest

from keras_rawaudio.dsp.tempo import PERIODS, pulse_period, steady_pulse

RATE = 8000


def clicks(period, seconds=120, decay=0.03, seed=0):
    """Bursts of decaying noise every `period` seconds, each begun at its own sample."""
    audio = np.zeros(round(seconds * RATE))
    rng = np.random.default_rng(seed)
    length = round(4 * decay * RATE)
    burst = np.exp(-np.arange(length) / (decay * RATE))
    for start in np.round(np.arange(0, seconds - 1, period) * RATE).astype(int):
        audio[start : start + length] += burst * rng.normal(size=length)
    return 0.2 * audio


def error(found, period):
    """Relative, whatever simple multiple or part of the pulse was found."""
    ratios = np.array([1 / 4, 1 / 3, 1 / 2, 1, 2, 3, 4])
    return np.abs(found / (period * ratios) - 1).min()


@pytest.mark.parametrize("noise", [0.0, 0.02])
@pytest.mark.parametrize("period", [0.31, 0.4517, 0.5, 0.7123, 1.1])
def test_the_period_of_clicks(period, noise):
    audio = clicks(period)
    audio += noise * np.random.default_rng(1).normal(size=len(audio))
    assert error(pulse_period([audio], RATE), period) < 1e-4


def test_the_longest_segment_counts():
    found = pulse_period([clicks(0.6, 20), clicks(0.45, 90), clicks(0.8, 30)], RATE)
    assert error(found, 0.45) < 1e-4


@pytest.mark.parametrize("seconds", [3.0, 30.0])
@pytest.mark.parametrize("kind", ["silence", "noise"])
def test_without_a_pulse_some_period(kind, seconds):
    n = round(seconds * RATE)
    audio = np.zeros(n) if kind == "silence" else np.random.default_rng(0).normal(size=n)
    found = pulse_period([audio], RATE)
    assert PERIODS[0] * 0.9 <= found <= PERIODS[1] * 1.1


def test_hardly_any_audio():
    assert 0 < pulse_period([np.random.default_rng(0).normal(size=RATE // 2)], RATE) < 4


def test_a_steady_pulse_is_found_or_missed():
    noise = np.random.default_rng(0).normal(size=60 * RATE)
    assert error(steady_pulse(clicks(0.45, 40), RATE), 0.45) < 1e-3
    assert error(steady_pulse(clicks(0.45, 40) + 0.02 * noise[: 40 * RATE], RATE), 0.45) < 1e-3
    assert steady_pulse(noise, RATE) is None
    assert steady_pulse(np.zeros(60 * RATE), RATE) is None
    assert steady_pulse(clicks(0.45, 15), RATE) is None  # too short


@pytest.mark.parametrize("samples", [1, 100])
def test_a_moment_has_no_pulse_and_is_no_error(samples):
    assert pulse_period([np.zeros(samples, np.float32)], 8000) == PERIODS[1]
