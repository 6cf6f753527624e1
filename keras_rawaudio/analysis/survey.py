"""One pass over a piece: its figures, its level, and where it begins and fades."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from keras_rawaudio.data.corpus.settings import CorpusSettings
from keras_rawaudio.data.corpus.splitting import sounding_range
from keras_rawaudio.errors import UserError

Read = Callable[[], Iterator[np.ndarray]]
"""Gives the piece from its first sample, as float32 vectors of any lengths."""

LEVELS_PER_SECOND = 5
FINE_LEVELS_PER_SECOND = 50
FADED_DECIBELS = 6.0  # under the piece's median level, and under its deepest dip
LONGER = 1.25  # than its longest dip


@dataclass(frozen=True)
class Survey:
    """What one pass over a piece gives.

    Attributes:
        sample_rate: in Hz.
        samples: how many there are.
        minimum, maximum, mean, deviation: of the samples.
        head: silent samples before the first sound, as many as the corpus trims.
        end: samples up to the last sound, where the corpus trims.
        level: `(n,)` root mean square of each fifth of a second.
        fine_level: `(n,)` root mean square of each 50th of a second.
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
    fine_level: np.ndarray

    @property
    def peak(self) -> float:
        """The greatest absolute sample."""
        return max(abs(self.minimum), abs(self.maximum))

    @property
    def fade(self) -> int:
        """The sample at which the piece begins to fade out for good; `end` where it does not.

        The end of the piece that lies 6 dB and more under its median level is a fade-out, if it
        reaches 6 dB below, or lasts a quarter longer than, any dip inside of the piece. The fade
        begins where the level was last at the median.
        """
        size = fine_stretch(self.sample_rate)
        first = -(-self.head // size)
        decibels = 20 * np.log10(self.fine_level[first : self.end // size] + 1e-6)
        if not len(decibels):
            return self.end
        median = np.median(decibels)
        (loud,) = np.nonzero(decibels >= median - FADED_DECIBELS)
        inside, tail = decibels[loud[0] : loud[-1] + 1], decibels[loud[-1] + 1 :]
        longest_dip = np.diff(loud, prepend=loud[0] - 1).max() - 1
        deeper = len(tail) > 0 and tail.min() < inside.min() - FADED_DECIBELS
        if not deeper and len(tail) <= LONGER * longest_dip:
            return self.end
        begins = first + 1 + int(np.flatnonzero(decibels >= median)[-1])
        return min(begins * size, self.end)


def fine_stretch(sample_rate: int) -> int:
    """Samples of a stretch of `Survey.fine_level`."""
    return max(1, sample_rate // FINE_LEVELS_PER_SECOND)


def survey(read: Read, sample_rate: int) -> Survey:
    """Go through a piece once, in little memory (440 bytes per second of it).

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
    coarse = _Levels(max(1, sample_rate // LEVELS_PER_SECOND))
    fine = _Levels(fine_stretch(sample_rate))
    count, total, squares = 0, 0.0, 0.0
    least, most = np.inf, -np.inf

    def watched() -> Iterator[np.ndarray]:
        nonlocal count, total, squares, least, most
        for chunk in read():
            if not len(chunk):
                continue
            count += len(chunk)
            total += float(chunk.sum(dtype=np.float64))
            squares += float(np.square(chunk, dtype=np.float64).sum())
            least, most = min(least, float(chunk.min())), max(most, float(chunk.max()))
            coarse.add(chunk)
            fine.add(chunk)
            yield chunk

    head, end = sounding_range(watched(), sample_rate, CorpusSettings().trim_decibels)
    if not count:
        raise UserError("the piece holds no audio (0 samples)")
    mean = total / count
    deviation = float(np.sqrt(max(0.0, squares / count - mean**2)))
    levels = coarse.finish(), fine.finish()
    return Survey(sample_rate, count, least, most, mean, deviation, head, end, *levels)


class _Levels:
    """Root mean square of equal stretches of blocks of any lengths."""

    def __init__(self, stretch: int) -> None:
        self._stretch = stretch
        self._levels: list[np.ndarray] = []
        self._rest = np.zeros(0, np.float32)

    def add(self, block: np.ndarray) -> None:
        audio = np.concatenate([self._rest, block])
        whole = len(audio) // self._stretch * self._stretch
        power = np.square(audio[:whole], dtype=np.float64).reshape(-1, self._stretch).mean(axis=1)
        self._levels.append(np.sqrt(power))
        self._rest = audio[whole:]

    def finish(self) -> np.ndarray:
        """All levels; the last stretch may be shorter."""
        if len(self._rest):
            power = np.square(self._rest, dtype=np.float64).mean(keepdims=True)
            self._levels.append(np.sqrt(power))
        return np.concatenate(self._levels)
