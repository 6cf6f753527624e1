"""Rows shifted by a number of samples."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.data.windows.layout import Int64s, Places, RowLayout, Walks


class Offsets(RowLayout):
    """Begins row `i` of pass `p` at sample `g = (p * batch + i) * shift` of the joined segments.

    The row reads the strides at `g, g + stride, ...` of the segment that holds `g`, and in each
    later segment those at `g % stride + k * stride`: it keeps its phase, so that rows one sample
    apart never become the same. There are `ceil(stride / (batch * shift))` passes. Together they
    begin a row at every multiple of `shift` in `[0, stride)` once. Where `batch * shift` does not
    divide the stride, the last pass begins some rows beyond it, which read again what others have
    read.

    All rows of a pass take as many steps as the shortest. A row that begins at sample `o` of
    segment `z` has `(n_z - o) // stride + sum_{s > z} (n_s - g % stride) // stride` strides. With
    one segment, pass `p` has `max(0, (n - ((p + 1) * batch - 1) * shift) // stride)` steps.

    Args:
        lengths: as in `RowLayout`.
        stride: as in `RowLayout`.
        batch: as in `RowLayout`.
        seed: as in `RowLayout`.
        shift: Samples between the starts of neighbouring rows: 1 gives the shifted batches of the
            original experiments, `frame // K` offset augmentation.

    Example:
        >>> offsets = Offsets(np.array([100, 60]), stride=10, batch=4, seed=0, shift=2)
        >>> offsets.place(epoch=0, number=1, steps=np.array([0, 1])).offset.tolist()
        [[8, 10, 12, 14], [18, 20, 22, 24]]
    """

    def __init__(self, lengths: Int64s, stride: int, batch: int, seed: int, shift: int) -> None:
        super().__init__(lengths, stride, batch, seed)
        self.shift = shift
        passes = range(-(-stride // (batch * shift)))
        self.steps = np.array([self._walks(p).counts.sum(axis=1).min() for p in passes])

    def place(self, epoch: int, number: int, steps: Int64s) -> Places:
        """Where the rows read in these steps of pass `number`; the same in every epoch."""
        return self._walks(number).place(self.stride, steps)

    def used_samples(self) -> int:
        """Samples that some row of an epoch predicts."""
        begin = np.full(len(self.lengths), np.iinfo(np.int64).max)
        end = np.zeros(len(self.lengths), np.int64)
        for number, steps in enumerate(self.steps):
            base, counts = self._walks(number)
            used = np.clip(steps - (np.cumsum(counts, axis=1) - counts), 0, counts)
            begins, ends = base, base + used * self.stride
            if len(self.steps) == 1:
                return _union((begins + self._borders)[used > 0], (used * self.stride)[used > 0])
            # Rows begin less than a stride apart, so what they read of a segment has no holes.
            begin = np.minimum(begin, np.where(used > 0, begins, begin).min(axis=0))
            end = np.maximum(end, np.where(used > 0, ends, end).max(axis=0))
        return int(np.maximum(end - begin, 0).sum())

    @property
    def _borders(self) -> Int64s:
        return np.asarray(np.cumsum(self.lengths) - self.lengths)

    def _walks(self, number: int) -> Walks:
        begin = (number * self.batch + np.arange(self.batch)) * self.shift
        segment = np.searchsorted(self._borders, begin, side="right") - 1
        offset = begin - self._borders[segment]
        each = np.arange(len(self.lengths))
        phase = (begin % self.stride)[:, None]
        base = np.where(each == segment[:, None], offset[:, None], phase)
        counts = np.maximum(self.lengths - base, 0) // self.stride
        return Walks(base, np.where(each < segment[:, None], 0, counts))


def _union(begins: Int64s, sizes: Int64s) -> int:
    """Samples in the union of stretches."""
    order = np.argsort(begins)
    begins, ends = begins[order], (begins + sizes)[order]
    before = np.maximum.accumulate(np.append(0, ends[:-1]))
    return int(np.maximum(ends - np.maximum(begins, before), 0).sum())
