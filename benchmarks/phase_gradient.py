"""Phases for amplitude spectra, integrated along the gradient that the amplitudes give."""

from __future__ import annotations

import heapq

import numpy as np
from scipy.optimize import minimize_scalar

LEAST = 1e-6  # of a frame's largest amplitude: below it, a phase is drawn at random


def gaussian_gamma(window: np.ndarray) -> float:
    """The `gamma` of the Gaussian `exp(-pi t^2 / gamma)` that is nearest to a window, in samples^2.

    Args:
        window: `(n,)`, symmetric about its middle sample `n / 2` or the point before it.
    """
    time = np.arange(len(window)) - (window * np.arange(len(window))).sum() / window.sum()
    unit = window / np.linalg.norm(window)

    def mismatch(log_gamma: float) -> float:
        gaussian = np.exp(-np.pi * time**2 / np.exp(log_gamma))
        return -float(unit @ gaussian / np.linalg.norm(gaussian))

    size = float(np.log(len(window) ** 2))
    found = minimize_scalar(mismatch, bounds=(size - 5, size + 2), method="bounded")
    return float(np.exp(found.x))


def phase_gradient_heap(
    amplitudes: np.ndarray, hop: int, gamma: float, seed: int = 0
) -> np.ndarray:
    """Phases by real-time phase gradient heap integration (RTPGHI), without look-ahead.

    Under a Gaussian window the gradient of the phase follows from that of the log amplitude. From
    frame to frame it is integrated along the loudest bins first: from the frame before, or from a
    neighbour of the same frame. No frame waits for a later one, and nothing is iterated.

    How it fails: where components overlap within a window or amplitudes are no true spectra, the
    gradient is not that of any signal, and errors spread from bin to bin.

    Args:
        amplitudes: `(T, bins)` of an even transform size, `2 (bins - 1)`, whose frames begin `hop`
            samples apart and whose phases count from a frame's first sample.
        hop: samples between two frames.
        gamma: of the window; see `gaussian_gamma`.
        seed: of the phases of bins that are all but silent.

    Returns:
        `(T, bins)` in radians, not wrapped.

    Reference:
        Prusa and Sondergaard 2016, "Real-time spectrogram inversion using phase gradient heap
        integration"; Prusa and Holighaus 2017, "Phase vocoder done right".
    """
    T, bins = amplitudes.shape
    size = 2 * (bins - 1)
    level = np.log(np.maximum(amplitudes, 1e-12))
    # Turns per hop: a bin's own frequency, moved towards the peak that its slope points to.
    along_time = 2 * np.pi * hop * np.arange(bins) / size
    slope = np.gradient(level, axis=1)
    along_time = along_time + hop * size / gamma * slope
    # Turns per bin: where in the frame the energy lies, from the rise over the last frames.
    before = np.concatenate([level[:1], level[:1], level])
    rise = (3 * before[2:] - 4 * before[1:-1] + before[:-2]) / 2
    along_bins = -gamma / (hop * size) * rise - np.pi
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, (T, bins))
    for n in range(1, T):
        _integrate(n, amplitudes, along_time, along_bins, phases)
    return phases


def _integrate(
    n: int,
    amplitudes: np.ndarray,
    along_time: np.ndarray,
    along_bins: np.ndarray,
    phases: np.ndarray,
) -> None:
    """Fill in the phases of frame `n` from the frame before, loudest bins first."""
    now = amplitudes[n]
    waiting = set(np.flatnonzero(now > LEAST * max(float(now.max()), LEAST)).tolist())
    heap = [(-float(amplitudes[n - 1, m]), m, n - 1) for m in waiting]
    heapq.heapify(heap)
    while waiting:
        _, m, frame = heapq.heappop(heap)
        if frame == n:
            for k in (m - 1, m + 1):
                if k in waiting:
                    step = (along_bins[n, m] + along_bins[n, k]) / 2
                    phases[n, k] = phases[n, m] + (k - m) * step
                    waiting.remove(k)
                    heapq.heappush(heap, (-float(now[k]), k, n))
        elif m in waiting:
            phases[n, m] = phases[n - 1, m] + (along_time[n - 1, m] + along_time[n, m]) / 2
            waiting.remove(m)
            heapq.heappush(heap, (-float(now[m]), m, n))
