"""Sections of a piece: which one a block is in, and which one follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.dsp.clustering import kmeans, nearest
from keras_rawaudio.models.carried_state import State
from keras_rawaudio.models.controls import MUSIC
from keras_rawaudio.models.distributions import first_argmax
from keras_rawaudio.models.spectral_codec import CODES, SpectralCodec

SECTION = "section"  # the state that holds the number of the section; -1 before the first
RECENT = "recent"  # the state that holds the mean of the entries read last, and of how many
WINDOW = 10.0  # seconds over which entries are averaged
SHORTEST = 20.0  # seconds of the train part that a section has at least
ABSENT = 1e4  # in each component, of the mean of a section that a label does not have
CODE_LIMIT = 32_767  # of a code with its section, which is kept in 16 bits


@keras.saving.register_keras_serializable("keras_rawaudio")
class SectionChain(keras.layers.Layer):
    """Sections of each label, by the mean of entries over ten seconds, and a Markov chain of them.

    Nothing of it learns by gradients: `fit` takes centres and transitions from the train part.

    Args:
        codec: has the entries; they are set before `fit`.
        count: how many sections a label has at most.
        labels: how many labels there are; 0 for one piece alone.

    Attributes:
        means: `(labels or 1, count, bands * components)`, the centres.
        transitions: `(labels or 1, count + 1, count)`, for each section the cumulative distribution
            of the next block's; the last row is that of a first block, and of a section that a
            label does not have.

    Example:
        >>> codec = SpectralCodec(8000, codebook_size=16)
        >>> chain = SectionChain(codec, count=4)
        >>> chain.build()
        >>> chain.fit([np.zeros((3000, 3), int)], [0])
        >>> chain.of(np.zeros((2, 3), int)).tolist()
        [0, 0]

    Reference:
        Levy and Sandler 2008, "Structural segmentation of musical audio by constrained clustering".
    """

    def __init__(self, codec: SpectralCodec, count: int, labels: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.codec, self.count, self.labels = codec, count, labels

    def build(self, input_shape: Any = None) -> None:
        labels, width = max(1, self.labels), self.codec.bands * self.codec.components
        self.means, self.transitions = (
            self.add_weight(shape, initializer="zeros", trainable=False, name=name)
            for name, shape in (
                ("means", (labels, self.count, width)),
                ("transitions", (labels, self.count + 1, self.count)),
            )
        )
        self.built = True

    @property
    def window(self) -> int:
        """Blocks over which entries are averaged."""
        return max(1, round(WINDOW * self.codec.rate / self.codec.spectra.block))

    def state_spec(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """Shape without the batch and first value of each tensor of its state."""
        return {SECTION: ((1,), -1.0), RECENT: ((self.means.shape[2] + 1,), 0.0)}

    def fit(self, rows: Sequence[np.ndarray], labels: Sequence[int]) -> None:
        """Find the sections of each label, and how often one follows another.

        There are as many as the root of the number of windows. Those that are less than 20 s of the
        train part go to the others, the shortest first.

        Args:
            rows: stretches of the train part, `(blocks, bands)` from 0.
            labels: of each.
        """
        own: list[list[np.ndarray]] = [[] for _ in range(self.means.shape[0])]
        for row, label in zip(rows, labels, strict=True):
            if len(row):
                own[label].append(row)
        means = np.full(self.means.shape, ABSENT, np.float32)
        for label, each in enumerate(own):
            if each:
                centres = self._centres(each)
                means[label, : len(centres)] = centres
        self.means.assign(means)
        chains = [self._cumulative([self.of(r, k) for r in each]) for k, each in enumerate(own)]
        self.transitions.assign(chains)

    def _centres(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Centres of the sections of one label, at least one."""
        second = max(1, self.window // round(WINDOW))
        points = np.concatenate([self._averaged(row)[::second] for row in rows])
        seconds = sum(map(len, rows)) * WINDOW / self.window
        most = max(1, min(self.count, len(points), round(np.sqrt(seconds / WINDOW))))
        centres = kmeans(points, most, np.random.default_rng(0))
        while len(centres) > 1:
            sizes = np.bincount(nearest(points, centres), minlength=len(centres))
            if sizes.min() * seconds >= SHORTEST * len(points):
                break
            centres = np.delete(centres, sizes.argmin(), axis=0)
        return centres

    def _cumulative(self, rows: Sequence[np.ndarray]) -> np.ndarray:
        """Cumulative transitions of one label, the rows one after the other in a circle."""
        counts = np.zeros((self.count + 1, self.count))
        for row, after in zip(rows, [*rows[1:], *rows[:1]], strict=True):
            np.add.at(counts, (row, np.append(row[1:], after[0])), 1)
        counts[-1] = counts.sum(axis=0) if rows else np.eye(self.count)[0]
        counts[counts.sum(axis=1) == 0] = counts[-1]
        cumulative = np.cumsum(counts / counts.sum(axis=1, keepdims=True), axis=1)
        # Rounding must not lead to what is not there.
        cumulative[cumulative > 1 - 1e-6] = 1.0
        found: np.ndarray = cumulative
        return found

    def of(self, codes: np.ndarray, label: int = 0) -> np.ndarray:
        """The section of each block of a stretch.

        Args:
            codes: `(blocks, bands)` from 0.
            label: of the stretch.

        Returns:
            `(blocks,)` from 0.
        """
        if len(codes) == 0:
            return np.zeros(0, int)
        return nearest(self._averaged(codes), np.asarray(self.means)[label])

    def _averaged(self, codes: np.ndarray) -> np.ndarray:
        """Mean of the entries within five seconds of each block, `(blocks, bands * components)`."""
        entries = np.concatenate(self.codec.look_up(codes.astype(np.int32)), axis=1)
        sums = np.cumsum(np.pad(entries, ((1, 0), (0, 0))), axis=0, dtype=np.float64)
        place, half = np.arange(len(entries)), self.window // 2
        first, last = np.maximum(place - half, 0), np.minimum(place + half + 1, len(entries))
        means: np.ndarray = (sums[last] - sums[first]) / (last - first)[:, None]
        return means.astype(np.float32)

    def with_sections(self, codes: np.ndarray, label: int = 0) -> np.ndarray:
        """A stretch of codes with their sections, as one row; `split` parts them again.

        Args:
            codes: `(blocks, bands)` from 0.
            label: of the stretch.

        Returns:
            `(blocks * bands,)` int16 from 1; to the first code of a block `codebook_size` is added
            for each section before its own.
        """
        row = codes + 1
        row[:, 0] += self.codec.codebook_size * self.of(codes, label)
        return row.astype(np.int16).ravel()

    def step(self, state: State, noise: Any, drawn: Any) -> State:
        """Move to the section of the next block.

        That is drawn from the chain. While audio is read, it is the section whose mean is nearest
        to that of the entries read in the last ten seconds. Where the music is unknown, there is
        none.

        Args:
            state: `SECTION`, `CODES` and, with labels, `MUSIC`; without `RECENT` nothing is read.
            noise: `(B, 1)` in [0, 1).
            drawn: 1 where the next block is drawn, 0 where it is read.

        Returns:
            What of the state is new.
        """
        music = state.get(MUSIC)
        label = ops.zeros_like(noise[:, 0], "int32") if music is None else first_argmax(music)
        before = state[SECTION]
        row = ops.where(before < 0, float(self.count), before)
        now = ops.one_hot(ops.cast(row[:, 0], "int32"), self.count + 1, dtype="float32")
        chain = ops.sum(now[:, :, None] * ops.take(self.transitions, label, axis=0), axis=1)
        moved = ops.sum(ops.cast(chain <= noise, "float32"), axis=1, keepdims=True)
        after = {SECTION: ops.minimum(moved, self.count - 1.0)}
        if RECENT in state:
            recent = self._recent(state, drawn)
            means = ops.take(self.means, label, axis=0)
            distances = ops.sum(ops.square(means - recent[:, None, :-1]), axis=-1)
            read = ops.cast(first_argmax(-distances), "float32")[:, None]
            read = ops.where(recent[:, -1:] > 0, read, before)
            after = {SECTION: ops.where(drawn > 0.5, after[SECTION], read), RECENT: recent}
        if music is not None:
            known = ops.any(music > 0, axis=1, keepdims=True)
            after[SECTION] = ops.where(known, after[SECTION], -1.0)
        return after

    def _recent(self, state: State, drawn: Any) -> Any:
        """`RECENT` with the block before in it, where that was read."""
        codes, recent = ops.cast(state[CODES], "int32"), state[RECENT]
        there = ops.cast(codes[:, :1] >= 0, "float32") * (1.0 - drawn)
        count = ops.minimum(recent[:, -1:] + there, float(self.window))
        entries = ops.concatenate(self.codec.look_up(codes), axis=-1)
        mean = recent[:, :-1] + there / ops.maximum(count, 1.0) * (entries - recent[:, :-1])
        return ops.concatenate([mean, count], axis=1)


def split(x: Any, codebook_size: int) -> tuple[Any, Any]:
    """Part codes from their sections.

    Args:
        x: integers as of `SectionChain.with_sections`; 0 for none.
        codebook_size: entries of a band.

    Returns:
        Codes from 1, 0 for none; and sections, both of the shape of `x`.

    Example:
        >>> codes, sections = split(ops.convert_to_tensor([0, 1, 16, 17, 40]), 16)
        >>> codes.numpy().tolist(), sections.numpy().tolist()
        ([0, 1, 16, 1, 8], [0, 0, 0, 1, 2])
    """
    section = ops.floor_divide(ops.maximum(x - 1, 0), codebook_size)
    return x - codebook_size * section, section
