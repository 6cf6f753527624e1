"""An LSTM cell whose gates are small networks of two layers."""

from typing import Any

import keras
from keras import ops

from keras_rawaudio.layers.noisy_lstm_cell import NoisyLSTMCell


@keras.saving.register_keras_serializable("keras_rawaudio")
class DeepGateLSTMCell(NoisyLSTMCell):
    """Long short-term memory in which each gate, and the candidate, has a hidden layer of its own.

    With the inputs `x` and the output before, `h`, for each of the four:

        hidden = tanh(W x + U h + b)
        gate   = sigmoid(V hidden + a), the candidate: tanh(V hidden + a)

    Everything else is `NoisyLSTMCell`'s: arguments, noise, state. The noise on the pre-activations
    is added to those of the gates, after both layers; the forget bias is part of `a`.

    Args:
        units: Width of state and output, and of each of the four hidden layers.
        kwargs: See `NoisyLSTMCell`.

    Example:
        >>> import numpy as np
        >>> layer = keras.layers.RNN(DeepGateLSTMCell(3, preactivation_noise=0.02))
        >>> tuple(layer(np.zeros((2, 5, 4), "float32")).shape)
        (2, 3)

    Reference:
        Pascanu, Gulcehre, Cho and Bengio 2014, "How to construct deep recurrent neural networks",
        section 3.3.1 (deep transition), here inside of each gate.
    """

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.hidden_bias = self.add_weight(
            shape=(self.blocks * self.units,), initializer="zeros", name="hidden_bias"
        )
        self.gate_kernels = self.add_weight(
            shape=(self.blocks, self.units, self.units),
            initializer=keras.initializers.VarianceScaling(1.0, "fan_avg", "uniform"),
            name="gate_kernels",
        )

    def input_bias(self) -> Any:
        return self.hidden_bias

    def project(self, inputs: Any, training: bool = False) -> Any:
        """Inputs for the hidden layers, beside what the gates start from: `(..., 8 * units)`."""
        hidden = ops.matmul(inputs, self.kernel) + self.input_bias()
        gates = self.disturbed(ops.zeros_like(hidden) + self.bias, training)
        return ops.concatenate([hidden, gates], axis=-1)

    def preactivations(self, projected: Any, h: Any) -> Any:
        hidden, gates = ops.split(projected, 2, axis=-1)
        hidden = ops.tanh(hidden + ops.matmul(h, self.recurrent_kernel))
        parts = ops.split(hidden, self.blocks, axis=-1)
        sums = [ops.matmul(part, self.gate_kernels[k]) for k, part in enumerate(parts)]
        return gates + ops.concatenate(sums, axis=-1)

    def scan(self, projected: Any, state: list[Any]) -> tuple[Any, ...]:
        return self.loop(projected, state)
