"""From a plan to batches of values: cut from memory-mapped segments, encoded by a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_rawaudio.data.windows.code_table import FULL_SCALE, Array, Encode, code_table
from keras_rawaudio.data.windows.memory_maps import maps_of, release_pages
from keras_rawaudio.data.windows.plan import WindowPlan, Windows
from keras_rawaudio.data.windows.stream import StreamPlan

if TYPE_CHECKING:
    import tensorflow as tf

PREFETCH = 4
READERS = 2  # batches that are cut at the same time
# Samples read between two releases: at most 64 MB of a map of hours stay in memory.
RELEASE_EVERY = 1 << 25
ALL_ROWS = slice(None)


def read_batches(
    segments: Sequence[Any],
    encode: Encode,
    plan: WindowPlan | StreamPlan,
    context: int,
    epoch: int = 0,
    skip_batches: int = 0,
    repeat: bool = False,
    starts: Sequence[int] | None = None,
    labels: Sequence[int] | None = None,
    rows: slice = ALL_ROWS,
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
    _check(segments, plan, context)
    # Plain views: slicing a memmap object itself costs several times as much.
    plain = [s.view(np.ndarray) if isinstance(s, np.ndarray) else s for s in segments]
    channels = plain[0].shape[1:]
    codes = code_table(encode)
    begins = _begins(segments, starts)
    lead = context + 1  # y's first sample has `context` + 1 samples before it
    maps, unreleased = maps_of(segments), 0
    for block in _blocks(plan, epoch, skip_batches, repeat):
        read = (part[:, rows] for part in block)
        for segment, offset, reset, valid in zip(*read, strict=True):
            audio = np.zeros((len(segment), lead + plan.window, *channels), np.int16)
            for row, s, first in zip(audio, segment.tolist(), offset.tolist(), strict=True):
                begin = first - lead
                stretch = plain[s][max(begin, 0) : first + plan.window]
                row[max(-begin, 0) : max(-begin, 0) + len(stretch)] = stretch
            values = codes[audio.astype(np.int32) + FULL_SCALE]
            batch = {"x": values[:, :-1], "y": values[:, lead:], "reset": reset}
            batch["position"] = begins[segment] + offset
            if labels is not None:
                batch["label"] = np.asarray(labels, np.int32)[segment]
            if isinstance(plan, StreamPlan):
                batch["valid"] = valid.astype(np.int32)
            yield batch
            unreleased += audio.size
            if unreleased > RELEASE_EVERY:
                unreleased = 0
                release_pages(maps)


def window_dataset(
    segments: Sequence[Any],
    encode: Encode,
    plan: WindowPlan | StreamPlan,
    context: int,
    epoch: int = 0,
    skip_batches: int = 0,
    repeat: bool = True,
    starts: Sequence[int] | None = None,
    labels: Sequence[int] | None = None,
    rows: slice = ALL_ROWS,
) -> tf.data.Dataset:
    """A `tf.data` pipeline of batches, cut as the plan says, encoded and prefetched.

    Python plans where the rows read, for many batches at once. The batches themselves are cut and
    encoded by graph operations, from a map of the prepared file. Only where segments lie in a store
    (`StoredSegment`), Python cuts them.

    With `s` a window's first target sample in its segment and `N = plan.window`:
    `y[i] = signal[s : s + N]` and `x[i] = signal[s - context - 1 : s + N - 1]`, so that `y[i, j]`
    is the sample after `x[i, context + j]`, and `y`'s last sample is nowhere in `x`. Outside the
    segment there is silence: audio of 0, encoded.

    Iterating again starts again at `epoch` and `skip_batches`; the batches from there on are those
    that an uninterrupted run gives.

    Args:
        segments: int16 arrays (memory-mapped, if large), each a contiguous stretch of audio:
            `(n,)`, or `(n, channels)`, which gives `x` and `y` channels as their last axis. Or
            `StoredSegment`s.
        encode: From float32 audio in [-1, 1) of any shape to values of that shape, elementwise.
        plan: A `WindowPlan` for training or a `StreamPlan` for evaluation, made for these segments.
        context: Samples of `x` before the window's own, C.
        epoch: The epoch to begin with.
        skip_batches: Batches of it that have been used already (may exceed an epoch).
        repeat: Go on with the following epochs, endlessly; otherwise stop at the end of this one.
        starts: Where in its own file each segment begins, in samples; None: at 0.
        labels: What each segment is, a number; None: batches have no label.
        rows: The rows of each batch that are read, where several processes divide them.

    Returns:
        A dataset of dicts: `x (B, C + N)` and `y (B, N)`, int32 where `encode` gives integers, else
        float32; `reset (B,)` bool; `position (B,)` int64, where in its file a window's first
        target stands; with labels `label (B,)` int32; with a
        `StreamPlan` also `valid (B,)` int32, the number of targets that count.

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

    from keras_rawaudio.data.windows.batch_cutter import BatchCutter

    _check(segments, plan, context)
    if not isinstance(segments[0], np.ndarray):
        reading = partial(
            read_batches,
            *(segments, encode, plan, context, epoch, skip_batches, repeat),
            *(starts, labels, rows),
        )
        specs = {k: tf.TensorSpec(v.shape, v.dtype) for k, v in next(reading()).items()}
        stored = tf.data.Dataset.from_generator(reading, output_signature=specs)
        return _finished(stored, plan, skip_batches, repeat)
    begins = _begins(segments, starts)
    cutter = BatchCutter(segments, code_table(encode), begins, labels, context, plan.window)

    def blocks() -> Iterator[tuple[Array, ...]]:
        """Python plans many batches at once, and no more than are read between two releases."""
        most = max(1, RELEASE_EVERY // (plan.batch * (cutter.lead + plan.window)))
        for block in _blocks(plan, epoch, skip_batches, repeat):
            for i in range(0, len(block.segment), most):
                yield tuple(part[i : i + most, rows] for part in block)
                cutter.release_pages()

    @tf.autograph.experimental.do_not_convert  # to convert, it would write files
    def cut(
        segment: tf.Tensor, offset: tf.Tensor, reset: tf.Tensor, valid: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        batch = cutter.cut(segment, offset, reset)
        if isinstance(plan, StreamPlan):
            batch["valid"] = tf.cast(valid, tf.int32)
        return batch

    read = len(range(plan.batch)[rows])
    types = (tf.int64, tf.int64, tf.bool, tf.int64)
    signature = Windows(*(tf.TensorSpec((None, read), each) for each in types))
    dataset = tf.data.Dataset.from_generator(blocks, output_signature=tuple(signature))
    dataset = dataset.unbatch().map(cut, num_parallel_calls=READERS, deterministic=True)
    return _finished(dataset, plan, skip_batches, repeat)


def _finished(
    dataset: tf.data.Dataset, plan: WindowPlan | StreamPlan, skip_batches: int, repeat: bool
) -> tf.data.Dataset:
    """Batches ahead of time, and how many there are."""
    import tensorflow as tf

    if not repeat:
        left = plan.batches_per_epoch - skip_batches % plan.batches_per_epoch
        dataset = dataset.apply(tf.data.experimental.assert_cardinality(left))
    options = tf.data.Options()
    # To rewrite the pipeline, TensorFlow would copy the samples, all hours of them.
    options.experimental_optimization.apply_default_optimizations = False
    options.autotune.enabled = False
    return dataset.prefetch(PREFETCH).with_options(options)


def _blocks(
    plan: WindowPlan | StreamPlan, epoch: int, skip_batches: int, repeat: bool
) -> Iterator[Windows]:
    skipped, skip = divmod(skip_batches, plan.batches_per_epoch)
    epoch += skipped
    yield from plan.epoch(epoch, skip)
    while repeat:
        epoch += 1
        yield from plan.epoch(epoch)


def _check(segments: Sequence[Array], plan: WindowPlan | StreamPlan, context: int) -> None:
    if [len(segment) for segment in segments] != list(plan.lengths):
        raise ValueError("the plan was made for segments of other lengths")
    if context < 0:
        raise ValueError(f"context must not be negative, not {context}")


def _begins(segments: Sequence[Array], starts: Sequence[int] | None) -> Array:
    """Where in its own file each segment begins."""
    return np.asarray([0] * len(segments) if starts is None else starts, np.int64)
