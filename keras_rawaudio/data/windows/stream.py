"""Which windows go into which batch of evaluation: every sample once, in order."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from keras_rawaudio.data.windows.layout import Int64s
from keras_rawaudio.data.windows.plan import BLOCK, Windows
from keras_rawaudio.errors import UserError


@dataclass(frozen=True, eq=False)
class StreamPlan:
    """Reads each segment as one stream, from its first sample to its last.

    State is reset at the beginning of a segment and nowhere else, and every sample is predicted
    exactly once: a segment's last window is ragged, with its first `valid` targets to be counted
    and silence behind them. With several rows, whole segments are dealt to the rows, the longest
    first; a row that has no more is filled up with windows in which nothing is valid. (A single
    segment is one stream and fills one row.)

    Args:
        lengths: Samples in each segment.
        window: Samples predicted in a window, N.
        batch: Rows in a batch, B.

    Raises:
        UserError: If there is no sample at all, or a number is below 1.

    Example:
        >>> plan = StreamPlan([25, 7], window=10)
        >>> block = next(plan.epoch(0))
        >>> block.offset[:, 0].tolist(), block.valid[:, 0].tolist()
        ([0, 10, 20, 0], [10, 10, 5, 7])
    """

    lengths: Sequence[int]
    window: int
    batch: int = 1

    def __post_init__(self) -> None:
        if self.window < 1 or self.batch < 1:
            raise UserError("a window and a batch must be at least 1")
        if not sum(self.lengths):
            raise UserError("no audio to evaluate: every segment is empty")

    @property
    def batches_per_epoch(self) -> int:
        """Batches in the one pass; with one row `sum_s(ceil(n_s / N))`."""
        return max(int(ends[-1]) for _, ends in self._rows if len(ends))

    def epoch(self, epoch: int = 0, skip: int = 0) -> Iterator[Windows]:
        """Plans the pass, a block of batches at a time; every epoch is the same."""
        for first in range(skip, self.batches_per_epoch, BLOCK):
            batches = np.arange(first, min(first + BLOCK, self.batches_per_epoch))
            rows = [self._row(segments, ends, batches) for segments, ends in self._rows]
            yield Windows(*(np.stack(part, axis=1) for part in zip(*rows, strict=True)))

    @cached_property
    def _rows(self) -> list[tuple[Int64s, Int64s]]:
        """For each row its segments, and after how many windows each of them ends."""
        windows = -(-np.asarray(self.lengths, np.int64) // self.window)
        order = np.argsort(-windows, kind="stable") if self.batch > 1 else np.arange(len(windows))
        loads = [(0, row) for row in range(self.batch)]
        rows: list[list[int]] = [[] for _ in loads]
        for segment in order[windows[order] > 0]:
            load, row = loads[0]
            rows[row].append(int(segment))
            heapq.heapreplace(loads, (load + int(windows[segment]), row))
        arrays = [np.array(row, np.int64) for row in rows]
        return [(row, np.cumsum(windows[row])) for row in arrays]

    def _row(self, segments: Int64s, ends: Int64s, batches: Int64s) -> Windows:
        if not len(segments):
            nothing = np.zeros_like(batches)
            return Windows(nothing, nothing, nothing == 0, nothing)
        at = np.searchsorted(ends, batches, side="right")
        over = at == len(ends)
        segment = segments[np.minimum(at, len(ends) - 1)]
        offset = (batches - np.append(0, ends)[at]) * self.window
        n = np.asarray(self.lengths, np.int64)[segment]
        valid = np.where(over, 0, np.minimum(n - offset, self.window))
        # A row that is over stands behind the end of its last segment.
        return Windows(segment, np.where(over, n, offset), over | (offset == 0), valid)
