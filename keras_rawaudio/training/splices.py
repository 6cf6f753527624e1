"""Training data that jumps between moments of a piece that are alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.models.spectral_model import SpectralModel

CONTEXT = 6  # blocks that are compared
COMPONENTS = 32  # of a block
ALIKE = 8  # places that are found for each
SHARE = 0.5  # of a label's places are left: those most like another
FAR = 2.0  # seconds between a place and those it is spliced with
IN_PHASE = 1.0  # hops by which a row may be off its clock
SHORTEST = 4  # blocks between two splices
MOST_PLACES = 1 << 15  # six minutes at 44.1 kHz: what is longer is hardly memorised
TARGETS = 1 << 14  # among which places alike are sought
CHUNK = 256  # places that are compared at a time


class Splices:
    """Rows of codes that jump between places of the train part whose last blocks are alike.

    A model that reads a short piece often enough memorises it: each block has one that follows.
    With splices a moment has several futures. A row jumps once per `seconds` in the mean, in time
    with the clock, within one label, to a place whose last blocks are like its own: no farther from
    them than the last blocks are from those of a block before, in the median. Slow music that does
    not repeat itself has few such places.

    Args:
        codes: stretches of the train part, `(blocks * bands,)`, counted from 1.
        starts: where in its own file each begins, in codes.
        labels: of each, for a model with labels.
        model: its codebooks and clock have been found.
        seconds: mean time between two splices.
        seed: of the rows.

    Attributes:
        alike: `(places, ALIKE)`, for each place the numbers of those whose last blocks are most
            like its own; -1 for none.
        often_enough: whether there are so many that a row can jump once per `seconds`.

    Example:
        >>> model = SpectralModel(8000, codebook_size=16, units=8)
        >>> codes = np.tile(np.arange(1, 13, dtype=np.int16), 40)
        >>> splices = Splices([codes], [0], None, model, seconds=2.0, seed=0)
        >>> rows, starts = splices.rows(epoch=0)
        >>> [len(row) for row in rows]
        [480]

    Reference:
        Schoedl et al. 2000, "Video textures"; Lu, Wenyin and Zhang 2004, "Audio textures: theory
        and applications".
    """

    def __init__(
        self,
        codes: Sequence[np.ndarray],
        starts: Sequence[int],
        labels: Sequence[int] | None,
        model: SpectralModel,
        seconds: float,
        seed: int,
    ) -> None:
        self.seed, bands = seed, model.frame
        rows = [row.reshape(-1, bands) for row in codes]
        lengths = np.array([len(row) for row in rows])
        self._codes = np.concatenate(rows)
        self._ends = np.cumsum(lengths)
        # Of each place, in hops: where it is, and how long a turn of its clock takes.
        begins = np.repeat(np.asarray(starts) / bands, lengths)
        number = np.arange(len(self._codes)) - np.repeat(self._ends - lengths, lengths)
        self._position = HOPS * (begins + number)
        self._label = np.repeat(labels or [0] * len(rows), lengths)
        self._turn = HOPS / bands * _periods(model)[self._label]
        self._goes_on = number < np.repeat(lengths - 1, lengths)
        self._usable = self._goes_on & (number >= CONTEXT - 1)
        self._splice(_contexts(rows, model), model)
        share = len(self._places) / max(1, int(self._usable.sum()))
        expected = share * (seconds * model.rate / model.block - SHORTEST)
        self.often_enough = expected >= 1.0
        self._chance = 1.0 / max(1.0, expected)

    def _splice(self, contexts: np.ndarray, model: SpectralModel) -> None:
        """Fill `alike`."""
        far = FAR * HOPS * model.rate / model.block
        self.alike = np.full((len(contexts), ALIKE), -1)
        distances = np.full((len(contexts), ALIKE), np.inf)
        squares = np.square(contexts).sum(axis=1)
        for here, targets in self._groups():
            apart = self._position[targets] - self._position[here, None]
            off = _within_turn(apart, self._turn[here[0]])
            found = squares[targets] - 2 * contexts[here] @ contexts[targets].T
            found += squares[here, None]
            found[(np.abs(apart) < far) | (np.abs(off) > IN_PHASE)] = np.inf
            count = min(ALIKE, len(targets))
            nearest = np.argpartition(found, count - 1, axis=1)[:, :count]
            distances[here, :count] = np.take_along_axis(found, nearest, axis=1)
            self.alike[here, :count] = targets[nearest]
        distances[~self._usable] = np.inf
        nearest = distances.min(axis=1)
        steps = np.square(np.diff(contexts, axis=0, prepend=contexts[:1])).sum(axis=1)
        limits = np.full((len(contexts), 1), -np.inf)
        for label in np.unique(self._label):
            mine = self._usable & (self._label == label)
            there = nearest[mine & np.isfinite(nearest)]
            if len(there):
                limits[mine] = min(np.quantile(there, SHARE), np.median(steps[mine]))
        self.alike[distances > limits] = -1
        self._places = np.flatnonzero((self.alike >= 0).any(axis=1))

    def _groups(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Places of one label and about one phase of its clock, and those that may be like them."""
        rng = np.random.default_rng((self.seed, 0))
        for label in np.unique(self._label):
            mine = np.flatnonzero(self._label == label)
            bins = max(1, int(self._turn[mine[0]]))
            phase = (self._position[mine] * bins / max(self._turn[mine[0]], 1.0)).astype(int) % bins
            for number in range(bins):
                near = np.isin((phase - number) % bins, [0, 1, bins - 1])
                targets = mine[near & self._usable[mine]]
                if len(targets) > TARGETS:
                    targets = np.sort(rng.choice(targets, TARGETS, replace=False))
                places = mine[phase == number]
                for first in range(0, len(places) if len(targets) else 0, CHUNK):
                    yield places[first : first + CHUNK], targets

    def rows(self, epoch: int) -> tuple[list[np.ndarray], list[int]]:
        """The stretches of an epoch, of the lengths of the given ones, and where each begins.

        Args:
            epoch: the number of the epoch: each has splices of its own.
        """
        rng = np.random.default_rng((self.seed, 1 + epoch))
        rows, starts, begin = [], [], 0
        for end in self._ends:
            if end == begin:  # of a file shorter than a block
                rows.append(self._codes[:0].ravel())
                starts.append(0)
                continue
            place = int(rng.integers(begin, end))
            rows.append(self._codes[self._path(place, end - begin, rng)].ravel())
            starts.append(round(self._position[place] / HOPS * self._codes.shape[1]))
            begin = end
        return rows, starts

    def _path(self, place: int, length: int, rng: np.random.Generator) -> np.ndarray:
        """The places that a row reads, the first given."""
        runs: list[np.ndarray] = []
        read, begin = 0, self._position[place]
        while read < length:
            last = self._ends[np.searchsorted(self._ends, place, side="right")] - 1
            later = np.searchsorted(self._places, place + SHORTEST)
            number = later + rng.geometric(self._chance) - 1
            splice = self._places[number] if number < len(self._places) else last
            runs.append(np.arange(place, min(splice, last) + 1))
            read += len(runs[-1])
            clock = begin + HOPS * (read - 1)
            place = self._next(runs[-1][-1], last, clock, rng)
        return np.concatenate(runs)[:length]

    def _next(self, place: int, last: int, clock: float, rng: np.random.Generator) -> int:
        """What is read after a place: what follows one like it, or itself.

        At the end of a stretch that is like no other, any place in time with the clock will do.
        """
        alike = self.alike[place]
        alike = alike[alike >= 0]
        alike = alike[self._off(alike, place, clock) <= IN_PHASE]
        if len(alike):
            return int(rng.choice(alike)) + 1
        if place < last:
            return place + 1
        others = np.flatnonzero((self._label == self._label[place]) & self._goes_on)
        if len(others) == 0:
            return place
        off = self._off(others, place, clock)
        return int(rng.choice(others[off <= max(off.min(), IN_PHASE)])) + 1

    def _off(self, places: np.ndarray, place: int, clock: float) -> np.ndarray:
        """Hops by which some places are off the clock of one."""
        return np.abs(_within_turn(self._position[places] - clock, self._turn[place]))


def _within_turn(hops: np.ndarray, turn: float) -> np.ndarray:
    """The remainder nearest to 0; 0 where there is no clock, and so no turn."""
    return hops - np.round(hops / turn) * turn if turn else np.zeros_like(hops)


def _periods(model: SpectralModel) -> np.ndarray:
    """Of each label's clock, in codes; 0 for none."""
    periods = model.prior.period if model.prior.clock_harmonics else 0.0
    return np.broadcast_to(np.asarray(periods, np.float64), max(1, len(model.labels)))


def _contexts(rows: Sequence[np.ndarray], model: SpectralModel) -> np.ndarray:
    """The last blocks of each place as a vector: principal components of their entries."""
    codes = np.concatenate(rows).astype(np.int32) - 1
    found = [np.asarray(band) for band in model.spectral_codec.look_up(codes)]
    entries = np.concatenate(found, axis=1)
    entries = entries - entries.mean(axis=0)
    _, basis = np.linalg.eigh(entries.T @ entries)
    points = entries @ basis[:, -COMPONENTS:]
    padded = [
        np.pad(part, ((CONTEXT - 1, 0), (0, 0)))
        for part in np.split(points, np.cumsum([len(row) for row in rows])[:-1])
        if len(part)
    ]
    blocks = [np.lib.stride_tricks.sliding_window_view(p, CONTEXT, axis=0) for p in padded]
    return np.concatenate([block.reshape(len(block), -1) for block in blocks])
