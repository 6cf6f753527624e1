"""From a plan to batches of values: cut from memory-mapped segments, encoded by a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keras_rawaudio.data.windows.memory_maps import join_segments, maps_of, release_pages
from keras_rawaudio.data.windows.plan import WindowPlan, Windows
from keras_rawaudio.data.windows.stream import StreamPlan

if TYPE_CHECKING:
    import tensorflow as tf

Array = npt.NDArray[Any]
Encode = Callable[[Array], Array]

FULL_SCALE = 32768
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
    begins = _places(segments, starts)[1]
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
    lengths, begins = (tf.constant(values, tf.int64) for values in _places(segments, starts))
    joined, first, mapped = join_segments(segments)
    firsts = tf.constant(first, tf.int64)
    kinds = None if labels is None else tf.constant(labels, tf.int32)
    with tf.device("CPU:0"):  # where tf.data runs
        codes = tf.constant(code_table(encode))
        if mapped is None:
            samples = tf.constant(joined)
        else:  # without a copy
            samples = tf.experimental.dlpack.from_dlpack(joined.__dlpack__())
    channels = samples.shape[1:]
    lead = context + 1  # y's first sample has `context` + 1 samples before it
    reach = tf.range(-lead, plan.window, dtype=tf.int64)

    @tf.autograph.experimental.do_not_convert  # to convert, it would write files
    def cut(
        segment: tf.Tensor, offset: tf.Tensor, reset: tf.Tensor, valid: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A batch from what the plan says of its rows."""
        place = offset[:, None] + reach
        inside = (place >= 0) & (place < tf.gather(lengths, segment)[:, None])
        index = tf.where(inside, tf.gather(firsts, segment)[:, None] + place, 0)
        audio = tf.gather(samples, index)
        inside = tf.reshape(inside, [*inside.shape, *(1 for _ in channels)])
        audio = tf.where(inside, tf.cast(audio, tf.int32), 0)
        values = tf.gather(codes, audio + FULL_SCALE)
        batch = {"x": values[:, :-1], "y": values[:, lead:], "reset": reset}
        batch["position"] = tf.gather(begins, segment) + offset
        if kinds is not None:
            batch["label"] = tf.gather(kinds, segment)
        if isinstance(plan, StreamPlan):
            batch["valid"] = tf.cast(valid, tf.int32)
        return batch

    def blocks() -> Iterator[tuple[Array, ...]]:
        """Python plans many batches at once, and no more than are read between two releases."""
        most = max(1, RELEASE_EVERY // (plan.batch * (lead + plan.window)))
        for block in _blocks(plan, epoch, skip_batches, repeat):
            for i in range(0, len(block.segment), most):
                yield tuple(part[i : i + most, rows] for part in block)
                release_pages([] if mapped is None else [mapped])

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


def code_table(encode: Encode) -> Array:
    """What each 16-bit sample is encoded to.

    Returns:
        `(65536,)` int32 where `encode` gives integers, else float32; sample `s` is at `s + 32768`.

    Example:
        >>> code_table(lambda audio: np.int32(audio * 32768))[[0, 32768, 32769]].tolist()
        [-32768, 0, 1]
    """
    samples = np.arange(-FULL_SCALE, FULL_SCALE, dtype=np.float32)
    codes = np.asarray(encode(samples / np.float32(FULL_SCALE)))
    return codes.astype(np.int32 if np.issubdtype(codes.dtype, np.integer) else np.float32)


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


def _places(segments: Sequence[Array], starts: Sequence[int] | None) -> tuple[Array, Array]:
    """The length of each segment, and where in its own file it begins."""
    lengths = np.array([len(segment) for segment in segments], np.int64)
    return lengths, np.zeros_like(lengths) if starts is None else np.asarray(starts, np.int64)
