"""Which windows go into which batch of training: pure arithmetic, no audio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from keras_rawaudio.errors import UserError

Int64s = npt.NDArray[np.int64]

# Batches planned at once: long enough to cost nothing, short enough that a plan never fills memory.
BLOCK = 1024
# Below this share of a part, unused samples are not worth a word.
WORTH_A_WARNING = 0.01


class Windows(NamedTuple):
    """A stretch of consecutive batches: row `i` of batch `n` is what `[n, i]` says.

    Attributes:
        segment: `(batches, B)` int64, which segment.
        offset: `(batches, B)` int64, the window's first target sample in that segment.
        reset: `(batches, B)` bool, whether the row's state is zeroed before the window is read.
        valid: `(batches, B)` int64, how many of the window's targets exist and count.
    """

    segment: Int64s
    offset: Int64s
    reset: npt.NDArray[np.bool_]
    valid: Int64s


class _Rows(NamedTuple):
    """The walks of a pass: row i reads `counts[i, s]` windows of segment s from `base[i, s]` on."""

    base: Int64s
    counts: Int64s


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """Cuts the segments of a part into batches of windows whose rows carry state.

    With `N = frame * frames` samples predicted a window, an epoch consists of *passes*. In each
    pass every row walks through the corpus window by window, so that row `i` of batch `n + 1`
    continues row `i` of batch `n` sample for sample, unless `reset` says otherwise: at the first
    batch of a pass and wherever the row enters another segment. No window crosses a segment's
    border; segments shorter than `N` are left out.

    A whole number as `shift`: row `i` of pass `p` begins at sample `g = (p * batch + i) * shift` of
    the concatenated segments, reads the windows at `g, g + N, g + 2N, ...` of the segment that
    holds `g`, and in each later segment those at `g % N + k * N`: a row keeps its phase, so that
    rows one sample apart never become the same. There are `ceil(N / (batch * shift))` passes, in an
    order shuffled by `(seed, epoch)`; together they begin a row at every multiple of `shift` in
    `[0, N)` once (where `batch * shift` does not divide `N`, the last pass begins some beyond `N`,
    which read again what others have read).

    `shift="lanes"`: the windows of all segments, each cut from its first sample, are dealt to the
    rows in `batch` equal, contiguous lanes; one pass is an epoch. After the first epoch they are
    cut from a random one among the `n_s % N + 1` first samples that leave room for as many, so that
    frames do not fall on the same samples each time.

    All rows of a pass run the same number of windows, so that batches are full; nothing wraps
    around. Hence, with `n_s` the lengths of the segments of at least `N` samples:

    - lanes: `batches_per_epoch = sum_s(n_s // N) // batch`;
    - a shift: `batches_per_epoch = sum_p min_i W((p * batch + i) * shift)`, where a row that begins
      at sample `o` of segment `z` has `W(g) = (n_z - o) // N + sum_{s > z} (n_s - g % N) // N`
      windows. For one segment: `sum_p max(0, (n - ((p + 1) * batch - 1) * shift) // N)`.

    A *sequence* of several windows takes the window's place in all of this, its length that of `N`:
    rows begin with one, walk by it and are dealt it. It is read window by window, so that gradients
    reach no further than a window, and `reset` marks where each begins. With one window a sequence
    nothing is ever carried over.

    Args:
        lengths: Samples in each segment.
        frame: Samples in a frame, F.
        frames: Frames in a window, T.
        batch: Rows in a batch, B.
        shift: Samples between the starts of neighbouring rows: 1 gives the original experiments'
            shifted batches, `frame // K` offset augmentation; or `"lanes"`, evenly spread rows.
        seed: Seeds the order of passes, together with the epoch's number.
        sequence: Samples in a sequence, a multiple of the window's; None: state is carried to the
            end of the segment.

    Raises:
        UserError: If a number is out of range, no segment holds a window, or the segments are too
            short for so many rows.

    Example:
        >>> plan = WindowPlan([100, 60], frame=5, frames=2, batch=4)
        >>> plan.batches_per_epoch, plan.unused_samples
        (4, 0)
        >>> block = next(plan.epoch(0))
        >>> block.segment[0].tolist(), block.offset[0].tolist()
        ([0, 0, 0, 1], [0, 40, 80, 20])
    """

    lengths: Sequence[int]
    frame: int
    frames: int
    batch: int
    shift: int | Literal["lanes"] = "lanes"
    seed: int = 0
    sequence: int | None = None

    def __post_init__(self) -> None:
        for name in ("frame", "frames", "batch", "shift"):
            value = getattr(self, name)
            if name == "shift" and value == "lanes":
                continue
            if not isinstance(value, int | np.integer) or value < 1:
                lanes = ' or "lanes"' if name == "shift" else ""
                raise UserError(
                    f"{name} must be a whole number of at least 1{lanes}, not {value!r}"
                )
        if self.seed < 0:
            raise UserError(f"seed must not be negative, not {self.seed}")
        if self._stride < 1 or self._stride % self.window:
            raise UserError(
                f"sequence must be a multiple of a window's {self.window} samples, "
                f"not {self.sequence}"
            )
        unit = "sequence" if self.sequence else "window"
        if not len(self._usable):
            longest = max(self.lengths, default=0)
            raise UserError(
                f"no stretch of audio holds one {unit}: the longest has {longest} samples, a {unit}"
                f" {self._stride} ({self._stride // self.frame} frames of {self.frame}); use fewer"
                f" frames a {unit} or longer audio"
            )
        if not self.batches_per_epoch:
            most = next(b for b in range(self.batch - 1, 0, -1) if self._lengths(b).any())
            raise UserError(
                f"too little audio for a batch of {self.batch} {unit}s of {self._stride} samples"
                f" with shift {self.shift}: use a batch of at most {most}, fewer frames a {unit},"
                " or more audio"
            )

    @property
    def window(self) -> int:
        """Samples predicted in a window, N."""
        return self.frame * self.frames

    @cached_property
    def batches_per_epoch(self) -> int:
        """Batches in any epoch (the closed form stands in the class's description)."""
        return int(self._lengths_of_passes.sum()) * self._windows

    @property
    def passes(self) -> int:
        """Passes in an epoch."""
        return self._passes(self.batch)

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Windows]:
        """Plans an epoch, a block of batches at a time.

        Args:
            epoch: Its number, from 0; it alone, with the seed, decides the order.
            skip: Batches to leave out at the beginning, at no cost.

        Yields:
            Blocks of up to `BLOCK` batches of one pass.
        """
        for number in np.random.default_rng((self.seed, epoch)).permutation(self.passes):
            length = int(self._lengths_of_passes[number]) * self._windows
            if skip >= length:
                skip -= length
                continue
            rows = self._rows(int(number), self.batch)
            if self.shift == "lanes" and epoch:
                rows = rows._replace(base=rows.base + self._late(epoch))
            for first in range(skip, length, BLOCK):
                yield self._block(rows, np.arange(first, min(first + BLOCK, length)))
            skip = 0

    @cached_property
    def unused_samples(self) -> int:
        """Samples that no window of an epoch predicts, those of too short segments included."""
        total = sum(self.lengths)
        if self.shift == "lanes":
            return total - self.batches_per_epoch * self.batch * self.window
        begin = np.full(len(self._n), np.iinfo(np.int64).max)
        end = np.zeros(len(self._n), np.int64)
        for number, length in enumerate(self._lengths_of_passes):
            base, counts = self._rows(number, self.batch)
            used = np.clip(length - (np.cumsum(counts, axis=1) - counts), 0, counts)
            begins, ends = base, base + used * self._stride
            if self.passes == 1:
                return total - _union(
                    (begins + self._borders)[used > 0], (used * self._stride)[used > 0]
                )
            # Rows begin less than a stride apart, so what they read of a segment has no holes.
            begin = np.minimum(begin, np.where(used > 0, begins, begin).min(axis=0))
            end = np.maximum(end, np.where(used > 0, ends, end).max(axis=0))
        return total - int(np.maximum(end - begin, 0).sum())

    def warning(self) -> str | None:
        """One line that names the unused samples, or None where they are few."""
        total, unused = sum(self.lengths), self.unused_samples
        if unused <= WORTH_A_WARNING * total:
            return None
        short = len(self.lengths) - len(self._usable)
        line = f"{unused} of {total} samples ({100 * unused / total:.1f} %) are in no window"
        if short:
            line += f", {short} of {len(self.lengths)} segments being shorter than one"
        unit = "sequence" if self.sequence else "window"
        return f"{line} ({self._stride} samples): shorter {unit}s or a smaller batch would use more"

    @property
    def _stride(self) -> int:
        """Samples that rows walk by: a sequence, or a window."""
        return self.window if self.sequence is None else self.sequence

    @property
    def _windows(self) -> int:
        """Windows in a stride."""
        return self._stride // self.window

    @cached_property
    def _usable(self) -> Int64s:
        return np.flatnonzero(np.asarray(self.lengths, np.int64) >= self._stride)

    @cached_property
    def _n(self) -> Int64s:
        return np.asarray(self.lengths, np.int64)[self._usable]

    @cached_property
    def _borders(self) -> Int64s:
        return np.asarray(np.cumsum(self._n) - self._n)

    @cached_property
    def _lengths_of_passes(self) -> Int64s:
        return self._lengths(self.batch)

    def _lengths(self, batch: int) -> Int64s:
        if self.shift == "lanes":
            return np.array([(self._n // self._stride).sum() // batch])
        passes = range(self._passes(batch))
        return np.array([self._rows(p, batch).counts.sum(axis=1).min() for p in passes])

    def _passes(self, batch: int) -> int:
        return 1 if self.shift == "lanes" else -(-self._stride // (batch * self.shift))

    def _rows(self, number: int, batch: int) -> _Rows:
        row = number * batch + np.arange(batch)
        if self.shift == "lanes":
            strides = self._n // self._stride
            ends = np.cumsum(strides)
            begin = row * (ends[-1] // batch)
            segment = np.searchsorted(ends, begin, side="right")
            offset = (begin - (ends - strides)[segment]) * self._stride
            phase = np.zeros_like(row)
        else:
            begin = row * self.shift
            segment = np.searchsorted(self._borders, begin, side="right") - 1
            offset, phase = begin - self._borders[segment], begin % self._stride
        each = np.arange(len(self._n))
        base = np.where(each == segment[:, None], offset[:, None], phase[:, None])
        counts = np.maximum(self._n - base, 0) // self._stride
        return _Rows(base, np.where(each < segment[:, None], 0, counts))

    def _late(self, epoch: int) -> Int64s:
        """How many samples later than at its first each segment's windows begin in this epoch."""
        rng = np.random.default_rng((self.seed, epoch, 1))
        return np.asarray(rng.integers(self._n % self._stride + 1))

    def _block(self, rows: _Rows, batches: Int64s) -> Windows:
        """What the rows read in these batches of their pass."""
        ends = np.cumsum(rows.counts, axis=1)
        row = np.arange(self.batch)
        stride, window = np.divmod(batches, self._windows)
        at = np.stack([np.searchsorted(e, stride, side="right") for e in ends], axis=1)
        entered = (ends - rows.counts)[row, at]
        walked = (stride[:, None] - entered) * self._stride + window[:, None] * self.window
        offset = rows.base[row, at] + walked
        # The first batch of a pass is one, too: a row has entered its first segment at 0.
        reset = walked % self._stride == 0 if self.sequence else walked == 0
        return Windows(self._usable[at], offset, reset, np.full_like(offset, self.window))


def _union(begins: Int64s, sizes: Int64s) -> int:
    """Samples in the union of stretches."""
    order = np.argsort(begins)
    begins, ends = begins[order], (begins + sizes)[order]
    before = np.maximum.accumulate(np.append(0, ends[:-1]))
    return int(np.maximum(ends - np.maximum(begins, before), 0).sum())
