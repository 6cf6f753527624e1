"""One way through a piece: its figures, its level, and where it begins and fades."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from keras_rawaudio.data.corpus.splitting import sounding_range
from keras_rawaudio.errors import UserError

Read = Callable[[], Iterator[np.ndarray]]
"""Gives the piece from its first sample, as float32 vectors of any lengths."""

LEVELS_PER_SECOND = 5
SILENCE_DECIBELS = -60.0  # relative to the peak, as the corpus trims
FADED_DECIBELS = 6.0  # so much under the piece's median level it has begun to fade


@dataclass(frozen=True)
class Survey:
    """What one way through a piece tells.

    Attributes:
        sample_rate: in Hz.
        samples: how many there are.
        minimum, maximum, mean, deviation: of the samples.
        head: silent samples before the first sound.
        end: samples up to the last sound.
        level: `(n,)` root mean square of each fifth of a second.
    """

    sample_rate: int
    samples: int
    minimum: float
    maximum: float
    mean: float
    deviation: float
    head: int
    end: int
    level: np.ndarray

    @property
    def peak(self) -> float:
        """The greatest absolute sample."""
        return max(abs(self.minimum), abs(self.maximum))

    @property
    def fade(self) -> int:
        """The sample at which the piece begins to fade out for good; `end` where it does not.

        Seconds are compared by their level. The last of them that lie 6 dB and more under the
        median are a fade-out, if no dip inside of the piece is as long; it begins where the level
        was last at the median.
        """
        first, last = self.head // self.sample_rate + 1, self.end // self.sample_rate
        whole = len(self.level) // LEVELS_PER_SECOND * LEVELS_PER_SECOND
        power = (
            np.square(self.level[:whole]).reshape(-1, LEVELS_PER_SECOND).mean(axis=1)[first:last]
        )
        if not len(power):
            return self.end
        median = np.median(power)
        ends = np.flatnonzero(power >= median * 10 ** (-FADED_DECIBELS / 10))
        dips = np.diff(ends, prepend=-1) - 1
        if len(power) - 1 - ends[-1] <= dips.max():
            return self.end
        begins = first + 1 + int(np.flatnonzero(power >= median)[-1])
        return min(begins * self.sample_rate, self.end)


def survey(read: Read, sample_rate: int) -> Survey:
    """Go through a piece once, in memory that does not grow with it (40 bytes a second do).

    Args:
        read: gives its samples.
        sample_rate: in Hz.

    Raises:
        UserError: the piece has no samples.

    Example:
        >>> tone = np.sin(np.arange(16000, dtype=np.float32))
        >>> found = survey(lambda: iter([np.zeros(8000, np.float32), tone]), 8000)
        >>> found.samples, found.head, found.end, round(found.peak, 3)
        (24000, 8000, 24000, 1.0)
    """
    stretch = max(1, sample_rate // LEVELS_PER_SECOND)
    count, total, squares = 0, 0.0, 0.0
    least, most = np.inf, -np.inf
    levels: list[np.ndarray] = []
    rest = np.zeros(0, np.float32)

    def watched() -> Iterator[np.ndarray]:
        nonlocal count, total, squares, least, most, rest
        for chunk in read():
            if not len(chunk):
                continue
            count += len(chunk)
            total += float(chunk.sum(dtype=np.float64))
            squares += float(np.square(chunk, dtype=np.float64).sum())
            least, most = min(least, float(chunk.min())), max(most, float(chunk.max()))
            rest = np.concatenate([rest, chunk])
            whole = len(rest) // stretch * stretch
            power = np.square(rest[:whole], dtype=np.float64).reshape(-1, stretch).mean(axis=1)
            levels.append(np.sqrt(power))
            rest = rest[whole:]
            yield chunk

    head, end = sounding_range(watched(), sample_rate, SILENCE_DECIBELS)
    if not count:
        raise UserError("the piece holds no audio (0 samples)")
    if len(rest):
        levels.append(np.sqrt(np.square(rest, dtype=np.float64).mean(keepdims=True)))
    mean = total / count
    deviation = float(np.sqrt(max(0.0, squares / count - mean**2)))
    level = np.concatenate(levels)
    return Survey(sample_rate, count, least, most, mean, deviation, head, end, level)
