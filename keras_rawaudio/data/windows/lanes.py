"""Rows spread evenly over the corpus."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.data.windows.layout import Int64s, Places, RowLayout, Walks


class Lanes(RowLayout):
    """Deals the strides of all segments to the rows in `batch` equal, contiguous lanes.

    Strides are cut from each segment's first sample. One pass is an epoch. After the first epoch
    they are cut from a random one among the `n_s % stride + 1` first samples that leave room for
    as many, so that frames do not fall on the same samples each time.

    With `n_s` the lengths of the segments, an epoch has `sum_s(n_s // stride) // batch` steps.

    Args, attributes: as in `RowLayout`.
        grid: That first sample is a multiple of so many.

    Example:
        >>> lanes = Lanes(np.array([100, 60]), stride=10, batch=4, seed=0)
        >>> places = lanes.place(epoch=0, number=0, steps=np.array([0]))
        >>> places.segment.tolist(), places.offset.tolist()
        ([[0, 0, 0, 1]], [[0, 40, 80, 20]])
    """

    def __init__(self, lengths: Int64s, stride: int, batch: int, seed: int, grid: int = 1) -> None:
        super().__init__(lengths, stride, batch, seed)
        self.grid = grid
        self.steps = np.array([(lengths // stride).sum() // batch])

    def place(self, epoch: int, number: int, steps: Int64s) -> Places:
        """Where the rows read in these steps of an epoch's one pass."""
        strides = self.lengths // self.stride
        ends = np.cumsum(strides)
        begin = np.arange(self.batch) * self.steps[0]
        segment = np.searchsorted(ends, begin, side="right")
        each = np.arange(len(strides))
        skipped = begin - (ends - strides)[segment]
        base = np.where(each == segment[:, None], (skipped * self.stride)[:, None], 0)
        counts = np.where(each < segment[:, None], 0, (self.lengths - base) // self.stride)
        if epoch:
            late = np.random.default_rng((self.seed, epoch, 1))
            places = self.lengths % self.stride // self.grid + 1
            base = base + self.grid * late.integers(places)
        return Walks(base, counts).place(self.stride, steps)

    def used_samples(self) -> int:
        """Samples that the rows of an epoch predict."""
        return int(self.steps[0]) * self.batch * self.stride
