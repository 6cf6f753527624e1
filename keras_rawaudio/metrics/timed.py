"""Rows of features along the time of an audio, which can be cut without computing them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timed:
    """Features in order of time.

    Attributes:
        seconds: length of the audio.
        start: `(n,)`. Where the audio of each row begins, in seconds.
        values: `(n, d)`. The rows.
        span: seconds of audio that a row is computed from; 0 for events, which have an onset alone.

    Example:
        >>> rows = Timed(4.0, np.arange(4.0), np.arange(4.0)[:, None], 1.0)
        >>> rows.between(1, 3).values.ravel().tolist(), rows.outside(1, 3).seconds
        ([1.0, 2.0], 2.0)
    """

    seconds: float
    start: np.ndarray
    values: np.ndarray
    span: float = 0.0

    def between(self, begin: float, end: float) -> Timed:
        """The rows of the audio from `begin` to `end` alone."""
        inside = (self.start >= begin) & (self.start + self.span <= end)
        inside &= self.start < end
        return Timed(end - begin, self.start[inside] - begin, self.values[inside], self.span)

    def outside(self, begin: float, end: float) -> Timed:
        """The rows that nothing between `begin` and `end` went into."""
        clear = (self.start + self.span <= begin) & (self.start < begin) | (self.start >= end)
        seconds = self.seconds - (end - begin)
        return Timed(seconds, self.start[clear], self.values[clear], self.span)


def join(parts: Sequence[Timed]) -> Timed:
    """One after the other, as if their audio were.

    Example:
        >>> second = Timed(1.0, np.zeros(1), np.ones((1, 1)))
        >>> join([second, second]).start.tolist()
        [0.0, 1.0]
    """
    offsets = np.cumsum([0.0, *(part.seconds for part in parts)])
    starts = [part.start + offset for part, offset in zip(parts, offsets, strict=False)]
    values = np.concatenate([part.values for part in parts])
    return Timed(float(offsets[-1]), np.concatenate(starts), values, parts[0].span)
