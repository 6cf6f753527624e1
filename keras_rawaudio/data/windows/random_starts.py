"""Rows that begin anywhere, in every batch anew."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.data.windows.layout import Int64s, Places, RowLayout


class RandomStarts(RowLayout):
    """Draws the starts of each step from all samples that leave room, with replacement.

    Nothing continues what came before, so no state is carried from stride to stride. An epoch is
    one pass of `sum_s(n_s // stride) // batch` steps: as much audio as the segments hold.

    Args:
        lengths: as in `RowLayout`.
        stride: as in `RowLayout`.
        batch: as in `RowLayout`.
        seed: as in `RowLayout`.
        shift: None draws one start per row. A number draws one start per step, for the first row;
            each further row begins `shift` samples after the one before it.

    Example:
        >>> starts = RandomStarts(np.array([100]), stride=10, batch=4, seed=0, shift=1)
        >>> offset = starts.place(epoch=0, number=0, steps=np.array([0])).offset
        >>> (offset - offset[:, :1]).tolist()
        [[0, 1, 2, 3]]
    """

    def __init__(
        self, lengths: Int64s, stride: int, batch: int, seed: int, shift: int | None = None
    ) -> None:
        super().__init__(lengths, stride, batch, seed)
        self.shift = shift
        reach = stride + (0 if shift is None else (batch - 1) * shift)
        self._rooms = np.maximum(lengths - reach + 1, 0)  # starts per segment
        strides = (lengths // stride)[self._rooms > 0].sum()
        self.steps = np.array([strides // batch])

    def place(self, epoch: int, number: int, steps: Int64s) -> Places:
        """Where the rows read in these steps of an epoch's one pass."""
        ends = np.cumsum(self._rooms)
        rows = self.batch if self.shift is None else 1
        unique, inverse = np.unique(steps, return_inverse=True)
        # One generator per step: any step is drawn without those before it.
        draws = [
            np.random.default_rng((self.seed, epoch, 2, int(step))).integers(ends[-1], size=rows)
            for step in unique
        ]
        start = np.stack(draws)[inverse]
        segment = np.searchsorted(ends, start, side="right")
        offset = start - (ends - self._rooms)[segment]
        if self.shift is not None:
            offset = offset + np.arange(self.batch) * self.shift
            segment = np.broadcast_to(segment, offset.shape)
        return Places(segment, offset, np.ones_like(offset, bool))

    def used_samples(self) -> int:
        """Samples that some draw can reach; an epoch may miss a few of them."""
        return int(self.lengths[self._rooms > 0].sum())
