"""Tonal prominence: how far narrow bands stand out of their surroundings."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.dsp.spectra import ROUNDING, magnitudes, mono, windows_of

FRAME_SECONDS = 0.128
NEIGHBOURS = 25
STRONGEST = 0.05


def tonal_prominence_by_frame(audio: np.ndarray, rate: int) -> np.ndarray:
    """Narrow-band prominence of each 128 ms frame, in dB.

    Formula: in each frame (Hann window, no overlap), each bin's level in dB minus the median level
    of the 25 bins around it (itself in the middle; the outermost 12 bins at both ends are left
    out); the mean of the greatest 5 % of these.

    Known answers: 7.7 for white noise, 0 for digital silence, 22 for a piece of held chords.

    How it fails: it counts how many narrow lines there are as much as how strong they are, so one
    lone sine scores 13 or less; a stuck chord scores high (see `health` for change); clicks and
    drums score low though they are music; fast vibrato smears over bins.

    Source: this project's own; kin to the tonal prominence of ECMA-418-1, on bins for bands.

    Args:
        audio: mono `(n,)`.
        rate: samples per second.

    Returns:
        `(frames,)` float64, one frame at least.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=80000)
        >>> round(float(tonal_prominence_by_frame(noise, 8000).mean()), 1)
        7.7
    """
    size = max(64, round(FRAME_SECONDS * rate))
    edge = NEIGHBOURS // 2
    prominences = []
    for block in magnitudes(mono(audio), size, size):
        level = 20 * np.log10(block + ROUNDING)
        above = above_neighbours(level)[:, edge:-edge]
        count = max(1, int(STRONGEST * above.shape[1]))
        strongest = np.partition(above, -count, axis=1)[:, -count:]
        prominences.append(strongest.mean(axis=1))
    return np.concatenate(prominences)


def above_neighbours(level: np.ndarray) -> np.ndarray:
    """How far each bin of `level (frames, bins)` stands above the median of the 25 around it."""
    from scipy.ndimage import median_filter

    above: np.ndarray = level - median_filter(level, size=(1, NEIGHBOURS))
    return above


def tonal_prominence_by_window(audio: np.ndarray, rate: int, seconds: float = 10.0) -> np.ndarray:
    """Mean tonal prominence of each stretch of about `seconds`, in dB: `(windows,)`."""
    frames = tonal_prominence_by_frame(audio, rate)
    parts = windows_of(frames, round(1 / FRAME_SECONDS), seconds)
    return np.array([part.mean() for part in parts])


def tonal_prominence(audio: np.ndarray, rate: int) -> float:
    """Mean tonal prominence of all frames, in dB; see `tonal_prominence_by_frame`."""
    return float(tonal_prominence_by_frame(audio, rate).mean())
