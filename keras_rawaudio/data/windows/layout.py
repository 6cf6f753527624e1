"""What every layout of rows is: where each row of a batch reads, in strides of equal length."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Places(NamedTuple):
    """Where the rows of `n` consecutive steps of a pass read one stride each.

    Attributes:
        segment: `(n, B)` int64, index among the usable segments.
        offset: `(n, B)` int64, the stride's first sample in that segment.
        begins: `(n, B)` bool, whether the stride does not continue the row's last one.
    """

    segment: Int64s
    offset: Int64s
    begins: Bools


class RowLayout(ABC):
    """Lays the rows of every batch over the segments.

    Args:
        lengths: `(S,)` int64, samples of each usable segment; at least one, each `stride` or more.
        stride: Samples that a row reads at a time: a window, or a sequence of them.
        batch: Rows, B.
        seed: Seeds whatever is random, together with the epoch's number.

    Attributes:
        steps: `(passes,)` int64, steps of one stride in each pass of an epoch.
    """

    steps: Int64s

    def __init__(self, lengths: Int64s, stride: int, batch: int, seed: int) -> None:
        self.lengths, self.stride, self.batch, self.seed = lengths, stride, batch, seed

    @abstractmethod
    def place(self, epoch: int, number: int, steps: Int64s) -> Places:
        """Where the rows read.

        Args:
            epoch: the number of the epoch, from 0.
            number: of a pass of the epoch, from 0.
            steps: `(n,)`, consecutive steps of the pass.

        Returns:
            The places of `n` steps.
        """

    @abstractmethod
    def used_samples(self) -> int:
        """Samples of the segments that some window of an epoch predicts."""


class Walks(NamedTuple):
    """Row `i` reads `counts[i, s]` strides of segment `s`, one after the other from `base[i, s]`.

    Attributes:
        base: `(B, S)` int64, first sample.
        counts: `(B, S)` int64, strides.
    """

    base: Int64s
    counts: Int64s

    def place(self, stride: int, steps: Int64s) -> Places:
        """Where the rows are after so many steps.

        Args:
            stride: samples that a row reads at a time.
            steps: `(n,)`.

        Returns:
            The places of `n` steps.
        """
        ends = np.cumsum(self.counts, axis=1)
        row = np.arange(len(self.counts))
        segment = np.stack([np.searchsorted(e, steps, side="right") for e in ends], axis=1)
        walked = steps[:, None] - (ends - self.counts)[row, segment]
        return Places(segment, self.base[row, segment] + walked * stride, walked == 0)
