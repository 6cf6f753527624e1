"""Batches by graph operations, from a map of the prepared file."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from keras_rawaudio.data.windows.code_table import FULL_SCALE, Array
from keras_rawaudio.data.windows.memory_maps import join_segments, release_pages


class BatchCutter:
    """Cuts a batch's rows from the segments, and encodes them.

    Args:
        segments: as in `window_dataset`, arrays alone.
        codes: `(65536,)`, from `code_table`.
        begins: `(len(segments),)` int64, where in its own file each segment begins.
        labels: as in `window_dataset`.
        context: samples of `x` before the window's own, C.
        window: targets of a row, N.
    """

    def __init__(
        self,
        segments: Sequence[Array],
        codes: Array,
        begins: Array,
        labels: Sequence[int] | None,
        context: int,
        window: int,
    ) -> None:
        self.lead = context + 1  # y's first sample has `context` + 1 samples before it
        joined, firsts, self._mapped = join_segments(segments)
        self._lengths = tf.constant([len(segment) for segment in segments], tf.int64)
        self._begins, self._firsts = tf.constant(begins), tf.constant(firsts, tf.int64)
        self._labels = None if labels is None else tf.constant(labels, tf.int32)
        self._reach = tf.range(-self.lead, window, dtype=tf.int64)
        with tf.device("CPU:0"):  # where tf.data runs
            self._codes = tf.constant(codes)
            if self._mapped is None:
                self._samples = tf.constant(joined)
            else:  # without a copy
                self._samples = tf.experimental.dlpack.from_dlpack(joined.__dlpack__())

    def cut(self, segment: tf.Tensor, offset: tf.Tensor, reset: tf.Tensor) -> dict[str, tf.Tensor]:
        """A batch.

        Args:
            segment: `(B,)` int64, the number of each row's segment.
            offset: `(B,)` int64, where in it the row's first target stands.
            reset: `(B,)` bool.

        Returns:
            `x (B, C + N)`, `y (B, N)`, `reset`, `position` and, with labels, `label`, as in
            `window_dataset`.
        """
        place = offset[:, None] + self._reach
        inside = (place >= 0) & (place < tf.gather(self._lengths, segment)[:, None])
        index = tf.where(inside, tf.gather(self._firsts, segment)[:, None] + place, 0)
        audio = tf.gather(self._samples, index)
        inside = tf.reshape(inside, [*inside.shape, *(1 for _ in self._samples.shape[1:])])
        audio = tf.where(inside, tf.cast(audio, tf.int32), 0)
        values = tf.gather(self._codes, audio + FULL_SCALE)
        batch = {"x": values[:, :-1], "y": values[:, self.lead :], "reset": reset}
        batch["position"] = tf.gather(self._begins, segment) + offset
        if self._labels is not None:
            batch["label"] = tf.gather(self._labels, segment)
        return batch

    def release_pages(self) -> None:
        """Give back the pages of the map that were read."""
        release_pages([] if self._mapped is None else [self._mapped])
