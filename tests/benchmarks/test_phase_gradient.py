"""Phase gradient heap integration on signals whose phases are known."""

import runpy
from pathlib import Path

import numpy as np
import pytest

MODULE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "phase_gradient.py"))
gaussian_gamma, phase_gradient_heap = MODULE["gaussian_gamma"], MODULE["phase_gradient_heap"]
SIZE, HOP = 256, 32
WINDOW = np.hanning(SIZE + 1)[:-1]


def spectra(signal):
    starts = range(0, len(signal) - SIZE + 1, HOP)
    return np.fft.rfft([signal[s : s + SIZE] * WINDOW for s in starts])


def overlapped(frames):
    total = np.zeros(HOP * (len(frames) - 1) + SIZE)
    for i, frame in enumerate(np.fft.irfft(frames)):
        total[i * HOP : i * HOP + SIZE] += frame * WINDOW
    return total


def mismatch(signal, phases=None):
    """How far the amplitudes of what is rebuilt lie from the true ones."""
    true = np.abs(spectra(signal))
    if phases is None:
        phases = phase_gradient_heap(true, HOP, gaussian_gamma(WINDOW))
    rebuilt = np.abs(spectra(overlapped(true * np.exp(1j * phases))))
    inside = slice(8, -8)
    gain = (rebuilt[inside] * true[inside]).sum() / np.square(rebuilt[inside]).sum()
    return np.linalg.norm(gain * rebuilt[inside] - true[inside]) / np.linalg.norm(true[inside])


def test_the_gaussian_nearest_to_a_hann_window():
    assert gaussian_gamma(WINDOW) / SIZE**2 == pytest.approx(0.249, abs=5e-4)


@pytest.mark.parametrize("frequency", [10.0, 10.3, 40.5])
def test_a_tone_turns_by_its_own_frequency(frequency):
    """In bins, between two bins as well."""
    tone = np.cos(2 * np.pi * frequency / SIZE * np.arange(4000))
    phases = phase_gradient_heap(np.abs(spectra(tone)), HOP, gaussian_gamma(WINDOW))
    turns = np.diff(phases[:, round(frequency)])[10:]
    np.testing.assert_allclose(turns, 2 * np.pi * frequency / SIZE * HOP, atol=0.1)


def test_two_tones_and_a_click_come_back():
    time = np.arange(6000)
    signal = np.cos(0.3 * time) + 0.5 * np.cos(1.1 * time)
    assert mismatch(signal) < 0.15
    noise = np.random.default_rng(0).uniform(0, 2 * np.pi, spectra(signal).shape)
    assert mismatch(signal, noise) > 0.5


def test_a_frame_s_phases_do_not_depend_on_later_frames():
    true = np.abs(spectra(np.random.default_rng(0).normal(size=3000)))
    whole = phase_gradient_heap(true, HOP, 1e4)
    early = phase_gradient_heap(true[:20], HOP, 1e4)
    np.testing.assert_array_equal(whole[:20][true[:20] > 0], early[true[:20] > 0])


def test_silence_has_phases_too():
    assert np.isfinite(phase_gradient_heap(np.zeros((4, 9)), 4, 16.0)).all()
