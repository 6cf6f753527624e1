"""Recurrent layers that read a window in both directions."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rawaudio.layers.recurrent_stack import RecurrentStack


@keras.saving.register_keras_serializable("keras_rawaudio")
class BidirectionalStack(keras.Layer):
    """Bidirectional recurrent layers over a whole window; no state goes in or out.

    Each layer reads the outputs of both directions of the layer below it.

    Args:
        cell: as `RecurrentStack` takes it.
        units: width of each direction.
        layers: how many.

    Call arguments:
        inputs: `(B, T, D)`.

    Returns:
        `(B, T, 2 * units)`.

    Example:
        >>> BidirectionalStack("gru", 4, 2)(ops.zeros((2, 5, 3))).shape
        TensorShape([2, 5, 8])

    Reference:
        Schuster and Paliwal 1997, "Bidirectional recurrent neural networks".
    """

    def __init__(self, cell: str = "gru", units: int = 128, layers: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cell = cell
        self.units = units
        self.layers = layers
        self.forward_layers, self.backward_layers = (
            [
                RecurrentStack(cell, units, dtype=self.dtype_policy, name=f"{way}{i}")
                for i in range(layers)
            ]
            for way in ("forward", "backward")
        )

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        for pair in zip(self.forward_layers, self.backward_layers, strict=True):
            for layer in pair:
                layer.build((None, None, width))
            width = 2 * self.units

    def call(self, inputs: Any) -> Any:
        rows, hidden = ops.shape(inputs)[0], inputs
        for forward, backward in zip(self.forward_layers, self.backward_layers, strict=True):
            ahead, _ = forward(hidden, forward.zero_state(rows))
            back, _ = backward(ops.flip(hidden, axis=1), backward.zero_state(rows))
            hidden = ops.concatenate([ahead, ops.flip(back, axis=1)], axis=-1)
        return hidden

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], 2 * self.units)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "cell": self.cell,
            "units": self.units,
            "layers": self.layers,
        }
