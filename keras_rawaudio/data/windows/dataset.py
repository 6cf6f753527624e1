"""From a plan to batches of values: sliced from memory-mapped segments, encoded batch by batch."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keras_rawaudio.data.windows.plan import WindowPlan
from keras_rawaudio.data.windows.stream import StreamPlan

if TYPE_CHECKING:
    import tensorflow as tf

Array = npt.NDArray[Any]
Encode = Callable[[Array], Array]

PREFETCH = 4
# Samples read between two releases: at most 64 MB of a map of hours stay in memory.
RELEASE_EVERY = 1 << 25


def read_batches(
    segments: Sequence[npt.NDArray[np.int16]],
    encode: Encode,
    plan: WindowPlan | StreamPlan,
    context: int,
    epoch: int = 0,
    skip_batches: int = 0,
    repeat: bool = False,
    starts: Sequence[int] | None = None,
) -> Iterator[dict[str, Array]]:
    """Yields the batches of `window_dataset` as plain NumPy arrays, without TensorFlow.

    Args, values and errors as there.

    Example:
        >>> ramp = np.arange(8, dtype=np.int16)
        >>> plan = StreamPlan([8], window=4)
        >>> batch = next(read_batches([ramp], lambda a: np.int32(a * 32768), plan, context=2))
        >>> batch["x"].tolist(), batch["y"].tolist()
        ([[0, 0, 0, 0, 1, 2]], [[0, 1, 2, 3]])
    """
    lengths = [len(segment) for segment in segments]
    if lengths != list(plan.lengths):
        raise ValueError("the plan was made for segments of other lengths")
    if context < 0:
        raise ValueError(f"context must not be negative, not {context}")
    # Plain views: slicing a memmap object itself costs several times as much.
    plain = [np.asarray(segment).view(np.ndarray) for segment in segments]
    channels = plain[0].shape[1:]
    dtype = _dtype(encode)
    begins = np.zeros(len(segments), np.int64) if starts is None else np.asarray(starts, np.int64)
    skipped, skip = divmod(skip_batches, plan.batches_per_epoch)
    epoch += skipped
    lead = context + 1  # y's first sample has `context` + 1 samples before it
    unreleased = 0
    while True:
        for block in plan.epoch(epoch, skip):
            for segment, offset, reset, valid in zip(*block, strict=True):
                audio = np.zeros((plan.batch, lead + plan.window, *channels), np.int16)
                for row, s, first in zip(audio, segment.tolist(), offset.tolist(), strict=True):
                    begin = first - lead
                    stretch = plain[s][max(begin, 0) : first + plan.window]
                    row[max(-begin, 0) : max(-begin, 0) + len(stretch)] = stretch
                values = np.asarray(encode(audio / np.float32(32768)), dtype)
                batch = {"x": values[:, :-1], "y": values[:, lead:], "reset": reset}
                batch["position"] = begins[segment] + offset
                if isinstance(plan, StreamPlan):
                    batch["valid"] = valid.astype(np.int32)
                yield batch
                unreleased += audio.size
                if unreleased > RELEASE_EVERY:
                    unreleased = 0
                    _release_pages(segments)
        if not repeat:
            return
        epoch, skip = epoch + 1, 0


def window_dataset(
    segments: Sequence[npt.NDArray[np.int16]],
    encode: Encode,
    plan: WindowPlan | StreamPlan,
    context: int,
    epoch: int = 0,
    skip_batches: int = 0,
    repeat: bool = True,
    starts: Sequence[int] | None = None,
) -> tf.data.Dataset:
    """A `tf.data` pipeline of batches, cut as the plan says, encoded and prefetched.

    With `s` a window's first target sample in its segment and `N = plan.window`:
    `y[i] = signal[s : s + N]` and `x[i] = signal[s - context - 1 : s + N - 1]`, so that `y[i, j]`
    is the sample after `x[i, context + j]`, and `y`'s last sample is nowhere in `x`. Outside the
    segment there is silence: audio of 0, encoded.

    Iterating again starts again at `epoch` and `skip_batches`; the batches from there on are those
    that an uninterrupted run gives.

    Args:
        segments: int16 arrays (memory-mapped, if large), each a contiguous stretch of audio:
            `(n,)`, or `(n, channels)`, which gives `x` and `y` channels as their last axis.
        encode: From float32 audio in [-1, 1) of any shape to values of that shape, elementwise.
        plan: A `WindowPlan` for training or a `StreamPlan` for evaluation, made for these segments.
        context: Samples of `x` before the window's own, C.
        epoch: The epoch to begin with.
        skip_batches: Batches of it that have been used already (may exceed an epoch).
        repeat: Go on with the following epochs, endlessly; otherwise stop at the end of this one.
        starts: Where in its own file each segment begins, in samples; None: at 0.

    Returns:
        A dataset of dicts: `x (B, C + N)` and `y (B, N)`, int32 where `encode` gives integers, else
        float32; `reset (B,)` bool; `position (B,)` int64, where in its file a window's first
        target stands; with a `StreamPlan` also `valid (B,)` int32, the number of
        targets that count.

    Raises:
        ValueError: If the plan's lengths are not those of the segments, or `context` is negative.

    Example:
        >>> ramp = np.arange(64, dtype=np.int16)
        >>> plan = WindowPlan([64], frame=4, frames=2, batch=2)
        >>> data = window_dataset([ramp], lambda a: np.int32(a * 32768), plan, context=3)
        >>> next(iter(data))["x"][1].numpy().tolist()
        [28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38]
    """
    import tensorflow as tf

    dtype, channels = _dtype(encode), np.shape(segments[0])[1:]
    signature = {
        "x": tf.TensorSpec((plan.batch, context + plan.window, *channels), dtype),
        "y": tf.TensorSpec((plan.batch, plan.window, *channels), dtype),
        "reset": tf.TensorSpec((plan.batch,), tf.bool),
        "position": tf.TensorSpec((plan.batch,), tf.int64),
    }
    if isinstance(plan, StreamPlan):
        signature["valid"] = tf.TensorSpec((plan.batch,), tf.int32)

    def batches() -> Iterator[dict[str, Array]]:
        return read_batches(segments, encode, plan, context, epoch, skip_batches, repeat, starts)

    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    if not repeat:
        left = plan.batches_per_epoch - skip_batches % plan.batches_per_epoch
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(left))
    return dataset.prefetch(PREFETCH)


def _release_pages(segments: Sequence[Array]) -> None:
    """Give back the pages of memory maps that were read; the next read finds them in the cache."""
    maps = {id(m): m for s in segments if (m := getattr(s, "_mmap", None)) is not None}
    for each in maps.values():
        if hasattr(mmap, "MADV_DONTNEED"):
            each.madvise(mmap.MADV_DONTNEED)


def _dtype(encode: Encode) -> type[np.int32] | type[np.float32]:
    probe = np.asarray(encode(np.zeros((1, 1), np.float32)))
    return np.int32 if np.issubdtype(probe.dtype, np.integer) else np.float32
