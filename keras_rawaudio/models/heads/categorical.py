"""A distribution over the codes of the next sample."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rawaudio.models.heads.base import Head


@keras.saving.register_keras_serializable("keras_rawaudio")
class CategoricalHead(Head):
    """Softmax over the codec's levels, sample by sample, through a small network.

    It sees the tier's conditioning, the last `embedded` codes through a table each (the
    embedding folded with the kernel behind it, so that a lookup and an addition do the work of a
    product) and the last `linear` samples as numbers in [-1, 1].

    Args:
        frame_size: samples per frame of the fastest tier.
        levels: number of codes.
        hidden_units: width of the hidden layers.
        layers: hidden layers, the first of which the inputs meet in; 1 or more.
        embedded: most recent codes that are looked up.
        linear: most recent samples that are seen as numbers.

    Example:
        >>> head = CategoricalHead(frame_size=8, levels=256, hidden_units=32)
        >>> history = keras.ops.zeros((1, head.context - 1 + 40))
        >>> logits, _ = head(history, keras.ops.zeros((1, 40, 32)), [])
        >>> logits.shape
        TensorShape([1, 40, 256])

    Reference:
        Mehri et al. 2017, "SampleRNN", section 2.2 (sample-level module).
    """

    kind = "categorical"
    measure = "bits_per_sample"
    quantizable = True

    def __init__(
        self,
        frame_size: int,
        levels: int,
        hidden_units: int = 128,
        layers: int = 2,
        embedded: int = 2,
        linear: int = 16,
        **kwargs: Any,
    ) -> None:
        super().__init__(frame_size, **kwargs)
        self._at_least(1, layers=layers, linear=linear)
        self._at_least(0, embedded=embedded)
        self.levels = levels
        self.hidden_units = hidden_units
        self.layers = layers
        self.embedded = embedded
        self.linear = linear
        self.context = max(embedded, linear)
        self.condition_width = hidden_units
        self.subframes = frame_size
        self.hidden = [
            keras.layers.Dense(hidden_units, activation="relu", name=f"hidden{i}")
            for i in range(1, layers)
        ]
        self.logits = keras.layers.Dense(levels, name="logits")

    def build(self, history_shape: Any, condition_shape: Any) -> None:
        self.tables = self.add_weight(
            shape=(self.embedded * self.levels, self.hidden_units),
            initializer=keras.initializers.RandomNormal(stddev=0.05),
            name="tables",
        )
        # One kernel over the past, oldest sample first.
        self.past = self.add_weight(
            shape=(self.linear, self.hidden_units), initializer="glorot_uniform", name="past"
        )
        for layer in [*self.hidden, self.logits]:
            layer.build((None, self.hidden_units))

    def call(
        self, history: Any, condition: Any, state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        N = ops.shape(condition)[1]
        last = self.context - 1
        codes = [history[:, last - k : last - k + N] for k in range(self.embedded)]
        first = self.context - self.linear
        past = ops.stack([history[:, first + k : first + k + N] for k in range(self.linear)], -1)
        h = condition + ops.matmul(self._companded(past), self.past)
        for k, code in enumerate(codes):
            h = h + ops.take(self.tables, ops.cast(code, "int32") + k * self.levels, axis=0)
        h = ops.relu(h)
        for layer in self.hidden:
            h = layer(h)
        return self.logits(h), []

    def _companded(self, codes: Any) -> Any:
        return ops.cast(codes, "float32") * (2.0 / (self.levels - 1)) - 1.0

    def loss(self, prediction: Any, target: Any) -> Any:
        target = ops.cast(target, "int32")
        return ops.sparse_categorical_crossentropy(target, prediction, from_logits=True)

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        """The noise, and the temperature beside it.

        The noise stays below the end of the cumulative sums, which rounding leaves below 1.
        """
        below = ops.minimum(noise, 1.0 - self.levels * 2.0**-23)
        return ops.concatenate([below, ops.zeros_like(noise) + temperature], axis=-1)

    def begin_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        by_sample = [ops.swapaxes(x, 0, 1) for x in (condition, noise[:, :, :1])]
        return [noise[:, 0, 1:]], by_sample

    def sample_subframe(
        self, past: Any, subframe_inputs: list[Any], frame_inputs: list[Any]
    ) -> Any:
        """One sample: the sums of `call`, in as few operations as can be."""
        (condition, noise), (temperature,) = subframe_inputs, frame_inputs
        # The scale and offset that turn codes into numbers are folded into the weights.
        scale, offset = 2.0 / (self.levels - 1), -ops.sum(self.past, axis=0, keepdims=True)
        h = condition if self.embedded else condition + offset
        for k in range(self.embedded):
            table = self.tables[k * self.levels : (k + 1) * self.levels] + offset / self.embedded
            code = ops.cast(ops.take(past, self.context - 1 - k, axis=1), "int32")
            h = h + ops.take(table, code, axis=0)
        linear = ops.matmul(past[:, self.context - self.linear :], scale * self.past)
        h = ops.relu(linear + h)
        for layer in self.hidden:
            h = layer(h)
        sums = ops.cumsum(ops.softmax(self.logits(h) / temperature), axis=-1)
        # Inverse transform: as many codes lie below the draw as cumulative sums do not exceed it.
        return ops.sum(ops.cast(sums <= noise, "float32"), axis=-1, keepdims=True)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "levels": self.levels,
            "hidden_units": self.hidden_units,
            "layers": self.layers,
            "embedded": self.embedded,
            "linear": self.linear,
        }
