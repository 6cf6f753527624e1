"""A convnet over spectra that is invertible by construction."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

LARGEST = 2.0  # of the logarithm of a factor


@keras.saving.register_keras_serializable("keras_rawaudio")
class AffineCoupling(keras.Layer):
    """Every second bin of a spectrum, scaled and moved by what a convnet makes of the others.

    The convnet itself needs no inverse: what it reads stays as it is. Untrained, the layer changes
    nothing.

    Args:
        parity: the bins that change: 0 for even ones, 1 for odd ones.
        filters: of the convnet.
        kernel_size: bins that a filter reads, an odd number.

    Call arguments:
        inputs: `(B, bins, channels)`.
        condition: `(B, width)`, which the convnet reads too.

    Returns:
        The outputs `(B, bins, channels)`, and the logarithm of the determinant of the Jacobian
        `(B,)`.

    Example:
        >>> layer, condition = AffineCoupling(0, filters=4), ops.ones((2, 3))
        >>> outputs, log_det = layer(ops.ones((2, 8, 2)), condition)
        >>> bool(ops.all(layer.inverse(outputs, condition) == 1.0)), log_det.shape
        (True, TensorShape([2]))

    Reference:
        Dinh et al. 2017, "Density estimation using Real NVP", section 3.3 and 3.4.
    """

    def __init__(self, parity: int, filters: int = 32, kernel_size: int = 9, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parity = parity
        self.filters = filters
        self.kernel_size = kernel_size
        self.read_layer = keras.layers.Conv1D(
            filters, kernel_size, padding="same", dtype=self.dtype_policy, name="read"
        )
        self.condition_layer = keras.layers.Dense(
            filters, use_bias=False, dtype=self.dtype_policy, name="condition"
        )

    def build(self, inputs_shape: Any, condition_shape: Any) -> None:
        _, bins, channels = inputs_shape
        changed = (np.arange(bins) % 2 == self.parity).astype(self.compute_dtype)
        self._changed = changed[:, None]
        self.output_layer = keras.layers.Conv1D(
            2 * channels,
            self.kernel_size,
            padding="same",
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="out",
        )
        self.read_layer.build((None, bins, channels))
        self.condition_layer.build((None, condition_shape[-1]))
        self.output_layer.build((None, bins, self.filters))

    def call(self, inputs: Any, condition: Any) -> tuple[Any, Any]:
        log_scale, shift = self._scale_and_shift(inputs, condition)
        return inputs * ops.exp(log_scale) + shift, ops.sum(log_scale, axis=(1, 2))

    def inverse(self, outputs: Any, condition: Any) -> Any:
        """The inputs `(B, bins, channels)` that `call` gives these outputs for."""
        log_scale, shift = self._scale_and_shift(outputs, condition)
        return (outputs - shift) * ops.exp(-log_scale)

    def _scale_and_shift(self, spectra: Any, condition: Any) -> tuple[Any, Any]:
        """For the bins that change, from those that do not; 0 for these."""
        seen = self.read_layer(spectra * (1.0 - self._changed))
        hidden = ops.relu(seen + self.condition_layer(condition)[:, None])
        log_scale, shift = ops.split(self.output_layer(hidden), 2, axis=-1)
        return LARGEST * ops.tanh(log_scale / LARGEST) * self._changed, shift * self._changed

    def compute_output_shape(self, inputs_shape: Any, condition_shape: Any) -> Any:
        return inputs_shape, (inputs_shape[0],)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "parity": self.parity,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }
