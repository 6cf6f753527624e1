"""Which windows go into which batch of training: pure arithmetic, no audio."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Literal, NamedTuple

import numpy as np

from keras_rawaudio.data.windows.lanes import Lanes
from keras_rawaudio.data.windows.layout import Bools, Int64s, RowLayout
from keras_rawaudio.data.windows.offsets import Offsets
from keras_rawaudio.data.windows.random_starts import RandomStarts
from keras_rawaudio.errors import UserError

# Batches planned at once: long enough to cost nothing, short enough that a plan never fills memory.
BLOCK = 1024
# Below this share of a part, unused samples are not worth a line.
WORTH_A_NOTE = 0.01
# Above this share of a part, unused samples are worth shorter windows.
WASTE = 0.05


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
    reset: Bools
    valid: Int64s


@dataclass(frozen=True, eq=False)
class WindowPlan:
    """Cuts the segments of a part into batches of windows whose rows carry state.

    With `N = frame * frames` samples predicted per window, an epoch consists of *passes*. In each
    pass every row walks through the corpus window by window, so that row `i` of batch `n + 1`
    continues row `i` of batch `n` sample for sample, unless `reset` says otherwise: at the first
    batch of a pass, wherever the row enters another segment, and by chance (`reset_share`), so that
    a model learns to begin anywhere. No window crosses a segment's border; segments shorter than
    `N` are left out. All rows of a pass read the same number of windows, so that batches are full;
    nothing wraps around.

    `shift` says how the rows lie: `"lanes"` spreads them evenly (`Lanes`); a number of samples
    shifts each against the one before it (`Offsets`), the passes in an order shuffled by
    `(seed, epoch)`; `"random"` draws every start by itself and `"random-offsets"` one start per
    batch, with the rows one sample apart (`RandomStarts`): both reset every row in every batch.
    The closed forms of `batches_per_epoch` stand there.

    A *sequence* of several windows takes the window's place in all of this, its length that of `N`:
    rows begin with one, walk by it and are dealt it. It is read window by window, so that gradients
    reach no further than a window, and `reset` marks where each begins. With one window per
    sequence nothing is ever carried over.

    Args:
        lengths: Samples in each segment.
        frame: Samples in a frame, F.
        frames: Frames in a window, T.
        batch: Rows in a batch, B.
        shift: Samples between the starts of neighbouring rows, or `"lanes"`, `"random"`,
            `"random-offsets"`.
        seed: Seeds the order of passes and all draws, together with the epoch's number.
        sequence: Samples in a sequence, a multiple of the window's; None: state is carried to the
            end of the segment.
        grid: Lanes begin at multiples of so many samples of their segment.
        reset_share: Share of windows that begin anew besides, drawn by the seed and the epoch.

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
    shift: int | Literal["lanes", "random", "random-offsets"] = "lanes"
    seed: int = 0
    sequence: int | None = None
    grid: int = 1
    reset_share: float = 0.0

    def __post_init__(self) -> None:
        for name in ("frame", "frames", "batch", "shift"):
            value = getattr(self, name)
            if name == "shift" and value in LAYOUTS:
                continue
            if not isinstance(value, int | np.integer) or value < 1:
                names = "".join(f' or "{known}"' for known in LAYOUTS if name == "shift")
                raise UserError(
                    f"{name} must be a whole number of at least 1{names}, not {value!r}"
                )
        if self.seed < 0:
            raise UserError(f"seed must not be negative, not {self.seed}")
        if self._stride < 1 or self._stride % self.window:
            raise UserError(
                f"sequence must be a multiple of a window's {self.window} samples, "
                f"not {self.sequence}"
            )
        unit = "sequence" if self.sequence else "window"
        if not len(self.usable):
            longest = max(self.lengths, default=0)
            raise UserError(
                f"no stretch of audio holds one {unit}: the longest has {longest} samples, a {unit}"
                f" {self._stride} ({self._stride // self.frame} frames of {self.frame}); use fewer"
                f" frames per {unit} or longer audio"
            )
        if not self.batches_per_epoch:
            most = next(b for b in range(self.batch - 1, 0, -1) if self._lay_out(b).steps.any())
            raise UserError(
                f"too little audio for a batch of {self.batch} {unit}s of {self._stride} samples"
                f" with shift {self.shift}: use a batch of at most {most}, fewer frames per {unit},"
                " or more audio"
            )

    @classmethod
    def fitting(
        cls,
        lengths: Sequence[int],
        frame: int,
        frames: int,
        batch: int,
        shift: int | Literal["lanes", "random", "random-offsets"] = "lanes",
        seed: int = 0,
        sequence: int | None = None,
        grid: int = 1,
        reset_share: float = 0.0,
    ) -> WindowPlan:
        """The plan with windows of at most `frames` frames that wastes little audio.

        Lanes of long windows may leave much of a short piece in none. Then windows are shortened,
        by half at most: to the longest that leave `WASTE` of the samples, or else to those that
        leave the fewest.

        Args, raises: as in `WindowPlan`.

        Example:
            >>> WindowPlan.fitting([384_000], frame=250, frames=100, batch=10).window
            19000
        """
        if shift == "lanes" and sequence is None and frame >= 1 and frames >= 1 and batch >= 1:
            windows = frame * np.arange(frames, (frames - 1) // 2, -1)
            counts = [int((np.asarray(lengths, np.int64) // n).sum()) // batch for n in windows]
            unused = sum(lengths) - batch * windows * counts
            enough = np.flatnonzero(unused <= WASTE * sum(lengths))
            frames = int(windows[enough[0] if len(enough) else np.argmin(unused)]) // frame
        return cls(lengths, frame, frames, batch, shift, seed, sequence, grid, reset_share)

    @property
    def window(self) -> int:
        """Samples predicted in a window, N."""
        return self.frame * self.frames

    @cached_property
    def batches_per_epoch(self) -> int:
        """Batches in any epoch."""
        return int(self._layout.steps.sum()) * self._windows

    @property
    def passes(self) -> int:
        """Passes in an epoch."""
        return len(self._layout.steps)

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Windows]:
        """Plans an epoch, a block of batches at a time.

        Args:
            epoch: Its number, from 0; it alone, with the seed, decides the order.
            skip: Batches to leave out at the beginning, at no cost.

        Yields:
            Blocks of up to `BLOCK` batches of one pass.
        """
        for number in np.random.default_rng((self.seed, epoch)).permutation(self.passes):
            length = int(self._layout.steps[number]) * self._windows
            for first in range(skip, length, BLOCK):
                batches = np.arange(first, min(first + BLOCK, length))
                yield self._block(epoch, int(number), batches)
            skip = max(0, skip - length)

    @cached_property
    def unused_samples(self) -> int:
        """Samples that no window of an epoch predicts, those of too short segments included."""
        return sum(self.lengths) - self._layout.used_samples()

    def notes(self, length: int, unit: str = "samples") -> list[str]:
        """A line where windows are shorter than was asked for, and one where much is unused.

        Args:
            length: of a window, as it was asked for.
            unit: what it is measured in: samples, or codes.
        """
        notes, asked = [], length // self.frame * self.frame
        if self.window < asked:
            notes.append(
                f"windows of {self.window} {unit}, not {asked}, so that more of this audio is in "
                "one"
            )
        total, unused = sum(self.lengths), self.unused_samples
        if unused > WORTH_A_NOTE * total:
            line = f"{unused} of {total} {unit} ({100 * unused / total:.1f} %) are in no window"
            if short := len(self.lengths) - len(self.usable):
                line += f", {short} of {len(self.lengths)} segments being shorter than one"
            window = "sequence" if self.sequence else "window"
            notes.append(
                f"{line} ({self._stride} {unit}): shorter {window}s or a smaller batch would use "
                "more"
            )
        return notes

    @property
    def _stride(self) -> int:
        """Samples that rows walk by: a sequence, or a window."""
        return self.window if self.sequence is None else self.sequence

    @property
    def _windows(self) -> int:
        """Windows in a stride."""
        return self._stride // self.window

    @cached_property
    def usable(self) -> Int64s:
        """The numbers of the segments that hold a window; no row reads the others."""
        return np.flatnonzero(np.asarray(self.lengths, np.int64) >= self._stride)

    @cached_property
    def _layout(self) -> RowLayout:
        return self._lay_out(self.batch)

    def _lay_out(self, batch: int) -> RowLayout:
        lengths = np.asarray(self.lengths, np.int64)[self.usable]
        if self.shift == "lanes":
            return Lanes(lengths, self._stride, batch, self.seed, self.grid)
        if isinstance(self.shift, str):
            return LAYOUTS[self.shift](lengths, self._stride, batch, self.seed)
        return Offsets(lengths, self._stride, batch, self.seed, self.shift)

    def _block(self, epoch: int, number: int, batches: Int64s) -> Windows:
        """What the rows read in these batches of their pass."""
        stride, window = np.divmod(batches[:, None], self._windows)
        segment, offset, begins = self._layout.place(epoch, number, stride[:, 0])
        # A sequence begins anew even where it continues the one before it.
        reset = (window == 0) & (begins | (self.sequence is not None))
        if self.reset_share:
            drawn_before = int(batches[0]) * self.batch
            bits = np.random.PCG64((self.seed, epoch, number, 2)).advance(drawn_before)
            reset |= np.random.Generator(bits).random(reset.shape) < self.reset_share
        offset = offset + window * self.window
        return Windows(self.usable[segment], offset, reset, np.full_like(offset, self.window))


LAYOUTS: dict[str, Callable[[Int64s, int, int, int], RowLayout]] = {
    "lanes": Lanes,
    "random": RandomStarts,
    "random-offsets": partial(RandomStarts, shift=1),
}
