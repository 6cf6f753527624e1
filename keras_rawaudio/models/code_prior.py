"""A recurrent prior over the codes of blocks, band by band."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.recurrent_stack import RecurrentStack
from keras_rawaudio.models.tier import CLOCK

KEY_WIDTH = 128
HIDDEN_WIDTH = 256


@keras.saving.register_keras_serializable("keras_rawaudio")
class CodePrior(keras.layers.Layer):
    """GRUs over blocks, and for each band a query that is compared with all entries.

    The logits of a band are inner products of the query with a learned map of each entry's own
    components, so that similar entries share what is learned. The query of a band also sees the
    entries that were drawn for the bands before it.

    Args:
        bands: codes of a block.
        components: width of an entry.
        units: of each recurrent layer.
        layers: recurrent layers.
        dropout: in training.
        input_noise: standard deviation of the noise on what is read, in training.
        clock_harmonics: harmonics of a clock of eight pulses; 0: no clock.

    Attributes:
        frame_size: codes of a block.
        period: of the clock, in codes.
    """

    def __init__(
        self,
        bands: int,
        components: int,
        units: int = 384,
        layers: int = 2,
        dropout: float = 0.25,
        input_noise: float = 0.1,
        clock_harmonics: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bands, self.components, self.units, self.layers = bands, components, units, layers
        self.dropout, self.input_noise = dropout, input_noise
        self.clock_harmonics = clock_harmonics
        self.frame_size = bands
        dense = keras.layers.Dense
        self.read = dense(units, "relu", name="read")
        self.join = dense(units, "relu", name="join")
        self.stack = RecurrentStack("gru", units, layers, name="stack")
        self.query_hidden = [dense(HIDDEN_WIDTH, "relu", name=f"query{i}_a") for i in range(bands)]
        self.query = [dense(KEY_WIDTH, name=f"query{i}_b") for i in range(bands)]
        self.key_hidden = [dense(HIDDEN_WIDTH, "relu", name=f"key{i}_a") for i in range(bands)]
        self.key_out = [dense(KEY_WIDTH + 1, name=f"key{i}_b") for i in range(bands)]
        self.known = [dense(KEY_WIDTH, name=f"known{i}") for i in range(bands - 1)]
        self.leave_out = keras.layers.Dropout(dropout)
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape: Any = None) -> None:
        units, C = self.units, self.components
        self.read.build((None, self.bands * C))
        self.join.build((None, units + 2 * self.clock_harmonics))
        self.stack.build((None, None, units))
        for band in range(self.bands):
            self.query_hidden[band].build((None, units + KEY_WIDTH))
            self.query[band].build((None, HIDDEN_WIDTH))
            self.key_hidden[band].build((None, C))
            self.key_out[band].build((None, HIDDEN_WIDTH))
        for layer in self.known:
            layer.build((None, C))
        if self.clock_harmonics:
            self.period = self.add_weight((), initializer="ones", trainable=False, name="period")
        self.built = True

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes (without the batch) of the recurrent state."""
        clock: list[tuple[str, tuple[int, ...]]] = [(CLOCK, (1,))] if self.clock_harmonics else []
        return [*self.stack.state_shapes(), *clock]

    def set_period(self, period: float) -> None:
        """Turn the clock once in so many codes."""
        self.period.assign(period)

    def call(
        self, points: list[Any], state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        """Hidden `(B, T, units)` from the entries of the block before, and the new state."""
        hidden = self._read(points, training)
        after = []
        if self.clock_harmonics:
            T = points[0].shape[1]
            turns = state[-1] + np.arange(T, dtype="float32") * (self.bands / self.period)
            hidden = ops.concatenate([hidden, self._waves(turns)], axis=-1)
            after = [ops.mod(state[-1] + T * self.bands / self.period, 1.0)]
        hidden = self.leave_out(self.join(hidden), training=training)
        hidden, states = self.stack(hidden, state[: len(self.stack.cells)], training=training)
        return self.leave_out(hidden, training=training), [*states, *after]

    def step(self, points: list[Any], state: list[Any], tempo: Any = 1.0) -> tuple[Any, list[Any]]:
        """`call` for one block, without the time axis; `tempo` `(B, 1)` is the clock's speed."""
        hidden, after = self._read(points, False), []
        if self.clock_harmonics:
            hidden = ops.concatenate([hidden, self._waves(state[-1][:, 0])], axis=-1)
            after = [ops.mod(state[-1] + tempo * self.bands / self.period, 1.0)]
        hidden, states = self.stack.step(self.join(hidden), state[: len(self.stack.cells)])
        return hidden, [*states, *after]

    def key(self, band: int, points: Any) -> tuple[Any, Any]:
        """Keys `(width, codebook_size)` and biases of a band's entries."""
        keys = self.key_out[band](self.key_hidden[band](points))
        return ops.transpose(keys[:, :-1]) / 8.0, keys[:, -1]

    def logits(self, band: int, hidden: Any, known: Any, key: tuple[Any, Any]) -> Any:
        """Logits `(..., codebook_size)` of a band.

        Args:
            band: which.
            hidden: `(..., units)`.
            known: `(..., 128)`, the sum of `know` over the bands before.
            key: from `key`.
        """
        both = ops.concatenate([hidden, known], axis=-1)
        return ops.matmul(self.query[band](self.query_hidden[band](both)), key[0]) + key[1]

    def know(self, band: int, points: Any) -> Any:
        """What later bands see of the entry of this one."""
        return self.known[band](points)

    def all_logits(
        self, hidden: Any, points: list[Any], keys: list[Any], training: bool = False
    ) -> list[Any]:
        """Logits of each band, the true entries of the bands before it being known."""
        known = ops.zeros((*ops.shape(hidden)[:-1], KEY_WIDTH))
        logits = []
        for band in range(self.bands):
            logits.append(self.logits(band, hidden, known, keys[band]))
            if band < self.bands - 1:
                seen = self.leave_out(points[band], training=training)
                known = known + self.know(band, seen)
        return logits

    def _read(self, points: list[Any], training: bool) -> Any:
        values = ops.concatenate(points, axis=-1)
        if training and self.input_noise:
            values = values + keras.random.normal(
                ops.shape(values), stddev=self.input_noise, seed=self.seed_generator
            )
        return self.read(self.leave_out(values, training=training))

    def _waves(self, turns: Any) -> Any:
        """Sines and cosines `(..., 2 * harmonics)` of a clock in turns."""
        angles = turns[..., None] * (2 * np.pi * np.arange(1, self.clock_harmonics + 1)).astype(
            "float32"
        )
        return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)

    def get_config(self) -> dict[str, Any]:
        names = ("bands", "components", "units", "layers", "dropout", "input_noise")
        return super().get_config() | {
            **{name: getattr(self, name) for name in names},
            "clock_harmonics": self.clock_harmonics,
        }
