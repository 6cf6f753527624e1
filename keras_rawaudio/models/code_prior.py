"""A recurrent prior over the codes of blocks, band by band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.recurrent_stack import RecurrentStack
from keras_rawaudio.models.beats import NO_BEAT, begins_on_beat
from keras_rawaudio.models.clock import CLOCK, clock_features
from keras_rawaudio.models.controls import MUSIC
from keras_rawaudio.models.distributions import first_argmax

KEY_WIDTH = 128
HIDDEN_WIDTH = 256
LABEL_WIDTH = 32
LABEL_DROPOUT = 0.1  # share of rows in training whose label is left out


@keras.saving.register_keras_serializable("keras_rawaudio")
class CodePrior(keras.layers.Layer):
    """GRUs over blocks, and for each band a query that is compared with all entries.

    The logits of a band are inner products of the query with a learned map of each entry's own
    components, so that similar entries share what is learned. The query of a band also sees the
    entries that were drawn for the bands before it.

    With labels, the state holds a weight for each, and what is read is conditioned on the weighted
    sum of their learned embeddings. The clock is then that of the heaviest label. Where all weights
    are 0 the music is unknown, and there is no clock; some rows in training are read so.

    Args:
        bands: codes of a block.
        components: width of an entry.
        units: of each recurrent layer.
        layers: recurrent layers.
        dropout: in training.
        input_noise: standard deviation of the noise on what is read, in training.
        clock_harmonics: harmonics of a clock of eight pulses; 0: no clock.
        labels: how many pieces of music it tells apart; 0 for one alone.

    Attributes:
        frame_size: codes of a block.
        period: of the clock, in codes: `()`, or `(labels,)` with 0 for one that has no pulse.
        beat: phase of its strongest beat, in turns, likewise; `NO_BEAT` for none.

    Call arguments:
        entries: of each band, those of the block before, `(B, T, components)`.
        state: list of tensors, as `state_spec` names them.
        training: switches noise and dropout on.

    Returns:
        Hidden `(B, T, units)`, from which come each band's `logits`, and the new state.

    Example:
        >>> prior = CodePrior(bands=3, components=4, units=8)
        >>> prior.build()
        >>> entries = [ops.zeros((2, 5, 4))] * 3
        >>> hidden, state = prior(entries, [ops.zeros((2, 8)), ops.zeros((2, 8))])
        >>> tuple(hidden.shape)
        (2, 5, 8)
    """

    def __init__(
        self,
        bands: int,
        components: int,
        units: int = 384,
        layers: int = 2,
        dropout: float = 0.0,
        input_noise: float = 0.1,
        clock_harmonics: int = 0,
        labels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bands, self.components, self.units, self.layers = bands, components, units, layers
        self.dropout, self.input_noise = dropout, input_noise
        self.clock_harmonics, self.labels = clock_harmonics, labels
        self.frame_size = bands
        dense = keras.layers.Dense
        # Saved models have these names. `read` projects entries, `join` adds clock and label, and
        # `known` embeds an entry for the bands after it.
        self.read = dense(units, "relu", name="read")
        self.join = dense(units, "relu", name="join")
        self.stack = RecurrentStack("gru", units, layers, name="stack")
        self.query_hidden = [dense(HIDDEN_WIDTH, "relu", name=f"query{i}_a") for i in range(bands)]
        self.query = [dense(KEY_WIDTH, name=f"query{i}_b") for i in range(bands)]
        self.key_hidden = [dense(HIDDEN_WIDTH, "relu", name=f"key{i}_a") for i in range(bands)]
        self.key_out = [dense(KEY_WIDTH + 1, name=f"key{i}_b") for i in range(bands)]
        self.known = [dense(KEY_WIDTH, name=f"known{i}") for i in range(bands - 1)]
        far_apart = keras.initializers.RandomNormal(stddev=1.0)
        self.embedding = (
            dense(LABEL_WIDTH, use_bias=False, kernel_initializer=far_apart, name="embedding")
            if labels
            else None
        )
        self.dropout_layer = keras.layers.Dropout(dropout)
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Any = None) -> None:
        units, C = self.units, self.components
        self.read.build((None, self.bands * C))
        width = units + 2 * self.clock_harmonics
        if self.embedding:
            self.embedding.build((None, self.labels))
            width += LABEL_WIDTH
        self.join.build((None, width))
        self.stack.build((None, None, units))
        for band in range(self.bands):
            self.query_hidden[band].build((None, units + KEY_WIDTH))
            self.query[band].build((None, HIDDEN_WIDTH))
            self.key_hidden[band].build((None, C))
            self.key_out[band].build((None, HIDDEN_WIDTH))
        for layer in self.known:
            layer.build((None, C))
        if self.clock_harmonics:
            shape, first = ((self.labels,), "zeros") if self.labels else ((), "ones")
            self.period = self.add_weight(shape, initializer=first, trainable=False, name="period")
            none = keras.initializers.Constant(NO_BEAT)
            self.beat = self.add_weight(shape, initializer=none, trainable=False, name="beat")
        self.built = True

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes (without the batch) of the recurrent state."""
        clock: list[tuple[str, tuple[int, ...]]] = [(CLOCK, (1,))] if self.clock_harmonics else []
        music: list[tuple[str, tuple[int, ...]]] = [(MUSIC, (self.labels,))] if self.labels else []
        return [*self.stack.state_shapes(), *clock, *music]

    def set_period(self, period: float | Sequence[float]) -> None:
        """Turn the clock once in so many codes; with labels, one number for each, 0 for none."""
        self.period.assign(period)

    def set_beat(self, beat: Sequence[float]) -> None:
        """Say where the clock has its strongest beat; with labels, one number for each."""
        self.beat.assign(np.reshape(beat, self.beat.shape))

    def period_of(self, music: Any) -> Any:
        """Period in codes `(B, 1)` of the heaviest of weights `(B, labels)`; 1 without a clock."""
        return ops.maximum(ops.matmul(_heaviest(music), self.period[:, None]), 1.0)

    def on_beat(self, clock: Any, music: Any, longest: Any) -> tuple[Any, Any]:
        """Whether the next block begins on a beat, and whether there are beats: `(B, 1)` each.

        Args:
            clock: its phase `(B, 1)`.
            music: weights `(B, labels)`; None without labels.
            longest: blocks from one beat to the next, at most.
        """
        beat = self.beat
        if music is not None:
            beat = ops.matmul(_heaviest(music), (beat + 1.0)[:, None]) - 1.0  # unknown: none
        on_beat = begins_on_beat(clock, self._turns_per_block(music), beat, longest)
        return on_beat, ops.zeros_like(clock) + beat >= 0

    def call(
        self, entries: list[Any], state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        parts, T = [self._projected(entries, training)], entries[0].shape[1]
        states, clock, music = self.split_state(state)
        weights = self._label_weights(music, training)
        after = []
        if clock is not None:
            speed = self._turns_per_block(music)
            turns = clock + np.arange(T, dtype="float32") * speed
            parts.append(clock_features(turns, self.clock_harmonics))
            after.append(ops.mod(clock + T * speed, 1.0))
        if self.embedding:
            parts[1:] = [features * self._has_clock(weights)[..., None] for features in parts[1:]]
            embedded = self.embedding(weights)[:, None]
            parts.append(ops.broadcast_to(embedded, (*ops.shape(parts[0])[:2], LABEL_WIDTH)))
            after.append(music)
        hidden = self.join(ops.concatenate(parts, axis=-1))
        hidden = self.dropout_layer(hidden, training=training)
        hidden, states = self.stack(hidden, states, training=training)
        return self.dropout_layer(hidden, training=training), [*states, *after]

    def step(self, entries: list[Any], state: list[Any]) -> tuple[Any, list[Any]]:
        """`call` for one block, without the time axis, outside of training."""
        parts, after = [self._projected(entries, False)], []
        states, clock, music = self.split_state(state)
        if clock is not None:
            parts.append(clock_features(clock[:, 0], self.clock_harmonics))
            after.append(ops.mod(clock + self._turns_per_block(music), 1.0))
        if self.embedding:
            parts[1:] = [features * self._has_clock(music) for features in parts[1:]]
            parts.append(self.embedding(self._label_weights(music, False)))
            after.append(music)
        hidden, states = self.stack.step(self.join(ops.concatenate(parts, axis=-1)), states)
        return hidden, [*states, *after]

    def keys(self, band: int, entries: Any) -> tuple[Any, Any]:
        """Keys `(KEY_WIDTH, codebook_size)` and biases `(codebook_size,)` of a band's entries.

        Args:
            band: which.
            entries: `(codebook_size, components)`, the codebook.
        """
        keys = self.key_out[band](self.key_hidden[band](entries))
        return ops.transpose(keys[:, :-1]) / 8.0, keys[:, -1]

    def logits(self, band: int, hidden: Any, lower_bands: Any, keys: tuple[Any, Any]) -> Any:
        """Logits `(..., codebook_size)` of a band.

        Args:
            band: which.
            hidden: `(..., units)`.
            lower_bands: `(..., KEY_WIDTH)`, the sum of `embed` over the bands before.
            keys: from `keys`.
        """
        both = ops.concatenate([hidden, lower_bands], axis=-1)
        return ops.matmul(self.query[band](self.query_hidden[band](both)), keys[0]) + keys[1]

    def embed(self, band: int, entries: Any) -> Any:
        """Embedding `(..., KEY_WIDTH)` of a band's entries `(..., components)`, for later bands."""
        return self.known[band](entries)

    def teacher_forced_logits(
        self, hidden: Any, entries: list[Any], keys: list[Any], training: bool = False
    ) -> list[Any]:
        """Logits of each band, given the true entries of the bands before it.

        Args:
            hidden: `(B, T, units)`.
            entries: of each band, the true ones, `(B, T, components)`.
            keys: of each band, from `keys`.
            training: switches dropout on.

        Returns:
            For each band `(B, T, codebook_size)`.
        """
        lower_bands = ops.zeros((*ops.shape(hidden)[:-1], KEY_WIDTH))
        logits = []
        for band in range(self.bands):
            logits.append(self.logits(band, hidden, lower_bands, keys[band]))
            if band < self.bands - 1:
                dropped = self.dropout_layer(entries[band], training=training)
                lower_bands = lower_bands + self.embed(band, dropped)
        return logits

    def _projected(self, entries: list[Any], training: bool) -> Any:
        """Entries of all bands as one vector `(..., units)`, with noise and dropout in training."""
        values = ops.concatenate(entries, axis=-1)
        if training and self.input_noise:
            values = values + keras.random.normal(
                ops.shape(values), stddev=self.input_noise, seed=self.seed_generator
            )
        return self.read(self.dropout_layer(values, training=training))

    def split_state(self, state: list[Any]) -> tuple[list[Any], Any, Any]:
        """State of the layers, the clock, and the weights of labels; None for what is not there."""
        layers = len(self.stack.cells)
        clock = state[layers] if self.clock_harmonics else None
        return state[:layers], clock, state[-1] if self.labels else None

    def _label_weights(self, music: Any, training: bool) -> Any:
        """The weights of labels, in sum 1 or 0; of some rows in training 0."""
        if music is None:
            return None
        music = music / ops.maximum(ops.sum(music, axis=1, keepdims=True), 1e-6)
        if not training:
            return music
        uniform = keras.random.uniform((ops.shape(music)[0], 1), seed=self.seed_generator)
        return music * ops.cast(uniform >= LABEL_DROPOUT, "float32")

    def _turns_per_block(self, music: Any) -> Any:
        """Of the clock: a number, or `(B, 1)` by the heaviest label."""
        return self.bands / (self.period if music is None else self.period_of(music))

    def _has_clock(self, music: Any) -> Any:
        """`(B, 1)`: 1 where the heaviest label has a clock, else 0."""
        there = ops.cast(self.period > 0, "float32")
        return ops.matmul(_heaviest(music), there[:, None])

    def get_config(self) -> dict[str, Any]:
        names = ("bands", "components", "units", "layers", "dropout", "input_noise")
        return super().get_config() | {
            **{name: getattr(self, name) for name in names},
            "clock_harmonics": self.clock_harmonics,
            "labels": self.labels,
        }


def _heaviest(music: Any) -> Any:
    """1 at the greatest of weights `(B, labels)`, the first if several are; 0 where all are 0."""
    index = np.arange(music.shape[1], dtype="int32")
    heaviest = ops.logical_and(index == first_argmax(music)[:, None], music > 0)
    return ops.cast(heaviest, "float32")
