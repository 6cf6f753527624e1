"""Pitch persistence: whether notes change, or the same ones sound all the time."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.dsp.spectra import ROUNDING, magnitudes, mono
from keras_rawaudio.metrics.tonal_prominence import FRAME_SECONDS, above_neighbours

LATER_SECONDS = 4.0
LOWEST, HIGHEST = 80.0, 2000.0  # hertz; most notes lie between
FLAT = 1e-3  # dB by which lines must differ for a correlation to mean anything


def pitch_persistence(audio: np.ndarray, rate: int) -> float | None:
    """How alike the lines of the spectrum are to those four seconds later.

    Formula: power spectra of 128 ms (Hann window, half overlapping) averaged over each second; by
    how many dB each bin from 80 to 2000 Hz stands above the median of the 25 bins around it, or
    0; Pearson's correlation of these between each second and the one that begins four seconds
    later; the mean of all pairs.

    Known answers: 1 for an endless chord, about 0 for chords that have no note in common,
    and for white noise.

    How it fails: drums without pitch and noise are low, though no note sounds; a piece over
    one held bass note is high; a melody that comes back every four seconds counts as held.

    Source: this project's own; kin to the self-similarity of Foote, "Visualizing Music and Audio
    using Self-Similarity", 1999.

    Args:
        audio: mono `(n,)`.
        rate: samples per second.

    Returns:
        -1 to 1; None where the audio is shorter than about 5.2 seconds, or nothing stands out.

    Example:
        >>> t = np.arange(8 * 8000) / 8000
        >>> pitch_persistence(np.sin(2 * np.pi * 440 * t), 8000) > 0.99
        True
    """
    size = max(64, round(FRAME_SECONDS * rate))
    a_second = round(rate / (size // 2))
    power = np.concatenate([np.square(m) for m in magnitudes(mono(audio), size, size // 2)])
    seconds = len(power) // a_second
    later = round(LATER_SECONDS)
    if seconds <= later:
        return None
    power = power[: seconds * a_second].reshape(seconds, a_second, -1).mean(axis=1)
    level = 10 * np.log10(power + ROUNDING**2)
    above = np.maximum(above_neighbours(level), 0)
    hertz = np.fft.rfftfreq(size, 1 / rate)
    lines = above[:, (hertz >= LOWEST) & (hertz <= HIGHEST)]
    lines = lines - lines.mean(axis=1, keepdims=True)
    sizes = np.sqrt(np.mean(np.square(lines), axis=1))
    each = [
        np.mean(lines[i] * lines[i + later]) / (sizes[i] * sizes[i + later])
        for i in range(seconds - later)
        if min(sizes[i], sizes[i + later]) > FLAT
    ]
    return float(np.mean(each)) if each else None
