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
from keras_rawaudio.models.recognised_music import code_counts
from keras_rawaudio.models.spectral_codec import CODES, SpectralCodec

# The state that holds the number of the section, those of all labels counted; -1 for none.
SECTION = "section"
RECENT = "recent"  # the state that holds the mean of the entries read last, and of how many
WINDOW = 10.0  # seconds over which entries are averaged
SHORTEST = 20.0  # seconds of the train part that a section has at least
ABSENT = 1e4  # in each component, of the mean of a section that a label does not have
SMOOTHING = 0.05  # share of the label's code frequencies in those of a section


@keras.saving.register_keras_serializable("keras_rawaudio")
class SectionChain(keras.layers.Layer):
    """Sections of each label, by the mean of entries over ten seconds, and a Markov chain of them.

    Where a state begins anew, codes are drawn that are frequent in the section. Nothing of it
    learns by gradients: `fit` takes all of it from the train part.

    Args:
        codec: has the entries; they are set before `fit`.
        count: how many sections a label has at most.
        labels: how many labels there are; 0 for one piece alone.

    Attributes:
        means: `(labels or 1, count, bands * components)`, the centres.
        transitions: `(labels or 1, count + 1, count)`, for each section the cumulative distribution
            of the next block's; the last row is that of a first block, and of a section that a
            label does not have.
        log_ratios: `(bands, (labels or 1) * count, codebook_size)`, logarithms of each section's
            code frequencies over those of its label.

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
        codes = self.codec.bands, labels * self.count, self.codec.codebook_size
        self.means, self.transitions, self.log_ratios = (
            self.add_weight(shape, initializer="zeros", trainable=False, name=name)
            for name, shape in (
                ("means", (labels, self.count, width)),
                ("transitions", (labels, self.count + 1, self.count)),
                ("log_ratios", codes),
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
        sections = [[self.of(row, label) for row in each] for label, each in enumerate(own)]
        self.transitions.assign([self._cumulative(each) for each in sections])
        counts = self._counts(
            [row for each in own for row in each],
            [self.count * label + s for label, each in enumerate(sections) for s in each],
        )
        self.log_ratios.assign(_log_ratios(counts.reshape(len(own), self.count, *counts.shape[1:])))

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
        shares = counts / counts.sum(axis=1, keepdims=True)
        cumulative: np.ndarray = np.cumsum(shares, axis=1)
        # Rounding must not lead to what is not there.
        cumulative[cumulative > 1 - 1e-6] = 1.0
        return cumulative

    def of(self, codes: np.ndarray, label: int = 0) -> np.ndarray:
        """The section of each block of a stretch.

        Args:
            codes: `(blocks, bands)` from 0.
            label: of the stretch.

        Returns:
            `(blocks,)`, from 0 for each label.
        """
        if len(codes) == 0:
            return np.zeros(0, int)
        return nearest(self._averaged(codes), np.asarray(self.means)[label])

    def code_counts(self, rows: Sequence[np.ndarray], labels: Sequence[int]) -> np.ndarray:
        """How often each section of each label has each code.

        Args:
            rows: `(blocks, bands)` from 0.
            labels: of each.

        Returns:
            `((labels or 1) * count, bands, codebook_size)` float64.
        """
        pairs = zip(rows, labels, strict=True)
        return self._counts(
            rows, [self.count * label + self.of(row, label) for row, label in pairs]
        )

    def _counts(self, rows: Sequence[np.ndarray], sections: Sequence[np.ndarray]) -> np.ndarray:
        """`code_counts` where each block's section is known, those of all labels counted."""
        bands, count, levels = self.log_ratios.shape
        parts, numbers = [], []
        for row, own in zip(rows, sections, strict=True):
            for section in np.unique(own):
                parts.append(row[own == section].ravel() + 1)
                numbers.append(int(section))
        return code_counts(parts, numbers, (count, bands, levels))

    def _averaged(self, codes: np.ndarray) -> np.ndarray:
        """Mean of the entries within five seconds of each block, `(blocks, bands * components)`."""
        entries = np.concatenate(self.codec.look_up(codes.astype(np.int32)), axis=1)
        sums = np.cumsum(np.pad(entries, ((1, 0), (0, 0))), axis=0, dtype=np.float64)
        place, half = np.arange(len(entries)), self.window // 2
        first, last = np.maximum(place - half, 0), np.minimum(place + half + 1, len(entries))
        means: np.ndarray = (sums[last] - sums[first]) / (last - first)[:, None]
        return means.astype(np.float32)

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
        label = ops.zeros_like(noise, "int32") if music is None else first_argmax(music)[:, None]
        before = ops.cast(state[SECTION], "int32")
        own = ops.logical_and(before >= 0, before // self.count == label)
        row = ops.where(own, before - self.count * label, self.count)
        now = ops.one_hot(row, self.count + 1, dtype="float32")
        chain = ops.matmul(now, ops.take(self.transitions, label[:, 0], axis=0))[:, 0]
        moved = ops.sum(ops.cast(chain <= noise, "int32"), axis=1, keepdims=True)
        section = self.count * label + ops.minimum(moved, self.count - 1)
        after = {}
        if RECENT in state:
            recent = after[RECENT] = self._recent(state, drawn)
            means = ops.take(self.means, label[:, 0], axis=0)
            distances = ops.sum(ops.square(means - recent[:, None, :-1]), axis=-1)
            read = self.count * label + first_argmax(-distances)[:, None]
            section = ops.where(drawn > 0.5, section, ops.where(recent[:, -1:] > 0, read, before))
        if music is not None:
            section = ops.where(ops.any(music > 0, axis=1, keepdims=True), section, -1)
        return {SECTION: ops.cast(section, "float32"), **after}

    def log_ratio(self, band: int, section: Any) -> Any:
        """What is added to a band's logits in a section, `(B, codebook_size)`; 0 for none.

        Args:
            band: which.
            section: `(B, 1)`, the state.
        """
        number = ops.cast(section[:, 0], "int32")
        ratios = ops.take(self.log_ratios[band], ops.maximum(number, 0), axis=0)
        return ops.where(section >= 0, ratios, 0.0)

    def _recent(self, state: State, drawn: Any) -> Any:
        """`RECENT` with the block before in it, where that was read."""
        codes, recent = ops.cast(state[CODES], "int32"), state[RECENT]
        there = ops.cast(codes[:, :1] >= 0, "float32") * (1.0 - drawn)
        count = ops.minimum(recent[:, -1:] + there, float(self.window))
        entries = ops.concatenate(self.codec.look_up(codes), axis=-1)
        mean = recent[:, :-1] + there / ops.maximum(count, 1.0) * (entries - recent[:, :-1])
        return ops.concatenate([mean, count], axis=1)

    def get_config(self) -> dict[str, Any]:
        codec = keras.saving.serialize_keras_object(self.codec)
        return {**super().get_config(), "codec": codec, "count": self.count, "labels": self.labels}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SectionChain:
        codec = keras.saving.deserialize_keras_object(config["codec"])
        return cls(**{**config, "codec": codec})


def _log_ratios(counts: np.ndarray) -> np.ndarray:
    """`SectionChain.log_ratios` of counts `(labels, sections, bands, codebook_size)`."""
    frequencies = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    label = counts.sum(axis=1, keepdims=True)
    label = label / np.maximum(label.sum(axis=-1, keepdims=True), 1)
    mixed = (1 - SMOOTHING) * frequencies + SMOOTHING * label
    there = np.logical_and(label > 0, counts.sum(axis=-1, keepdims=True) > 0)
    ratios = np.log(np.where(there, mixed, 1.0) / np.where(there, label, 1.0))
    return ratios.reshape(-1, *ratios.shape[2:]).transpose(1, 0, 2)
