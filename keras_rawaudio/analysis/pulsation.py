"""Pulsations: how often in a minute a piece swells and fades."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

WINDOW_SECONDS, HOP_SECONDS = 60.0, 10.0
SMOOTHED_SECONDS = 1.0  # strokes and notes shorter than this are no pulsation
PERIODS = (1.5, 20.0)  # seconds: 40 to 3 per minute
NEARLY = 0.75


class Pulsations(NamedTuple):
    """What each stretch of about a minute pulsates at.

    Attributes:
        seconds: `(n,)` its middle.
        per_minute: `(n,)`; NaN where nothing repeats.
        strength: `(n,)` how alike one pulsation and the next are, up to 1; 0 where nothing repeats.
    """

    seconds: np.ndarray
    per_minute: np.ndarray
    strength: np.ndarray


def pulsations(envelope: np.ndarray, per_second: float) -> Pulsations:
    """Pulsations per minute over time.

    Each stretch of a minute, smoothed over a second and less its trend, is compared with itself
    later: the first of the highest local maxima of its autocorrelation is the period.

    Args:
        envelope: `(n,)`, the level as an amplitude; 5 values per second are enough.
        per_second: its values per second.

    Returns:
        One figure each 10 s; a single one for pieces of a minute and less.

    Example:
        >>> time = np.arange(0, 120, 0.2)
        >>> found = pulsations(1 + np.sin(2 * np.pi * time * 9 / 60), 5.0)
        >>> found.per_minute.round(1).tolist()[0]
        9.0
    """
    width = max(1, round(SMOOTHED_SECONDS * per_second))
    smooth = np.convolve(envelope, np.ones(width) / width, "valid")
    size, hop = round(WINDOW_SECONDS * per_second), round(HOP_SECONDS * per_second)
    size = min(size, len(smooth))
    starts = range(0, len(smooth) - size + 1, hop)
    found = [_repetition(smooth[s : s + size], per_second) for s in starts]
    middles = (np.array(starts) + (size + width - 1) / 2) / per_second
    rates, strengths = np.array(found, float).reshape(-1, 2).T
    return Pulsations(middles, rates, strengths)


def _repetition(part: np.ndarray, per_second: float) -> tuple[float, float]:
    """Pulsations per minute and their strength in one stretch."""
    low, high = (int(seconds * per_second) for seconds in PERIODS)
    high = min(high, len(part) // 2)  # two periods at least
    if high <= low:
        return float("nan"), 0.0
    time = np.arange(len(part))
    centred = part - np.polynomial.Polynomial.fit(time, part, 1)(time)
    correlation = np.fft.irfft(np.abs(np.fft.rfft(centred, 2 * len(part))) ** 2)[: high + 2]
    if correlation[0] <= 1e-9 * np.square(part).sum():
        return float("nan"), 0.0
    correlation = correlation / correlation[0]
    before, here, after = correlation[low - 1 : -2], correlation[low:-1], correlation[low + 1 :]
    peaks = np.flatnonzero((here > 0) & (here >= before) & (here > after))
    if not len(peaks):
        return float("nan"), 0.0
    # A multiple of the period repeats about as well: the first that is nearly the best.
    best = peaks[here[peaks] >= NEARLY * here[peaks].max()][0]
    # The top of the parabola through the three points round it.
    bend = before[best] - 2 * here[best] + after[best]
    lag = low + best + 0.5 * (before[best] - after[best]) / bend
    return 60.0 * per_second / float(lag), float(here[best])
