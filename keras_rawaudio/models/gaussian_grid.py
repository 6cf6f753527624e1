"""Attention along time by a grid of Gaussian filters."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

LARGEST = 5.0  # of the logarithms
EPS = 1e-8


@keras.saving.register_keras_serializable("keras_rawaudio")
class GaussianGrid(keras.layers.Layer):
    """Evenly spaced Gaussian filters over a frame, placed by a hidden state.

    The state gives the grid's centre, the distance between filters, their width and an intensity.
    At the start the filters cover the frame evenly.

    Args:
        frame_size: samples per frame.
        filters: how many, 2 or more.

    Call arguments:
        hidden: `(B, units)`.

    Returns:
        The bank `(B, filters, frame_size)`, each filter's weights with the sum of one (of zero far
        outside the frame), and the intensity `(B, 1)`.

    Example:
        >>> bank, intensity = GaussianGrid(32, 4)(ops.zeros((2, 6)))
        >>> bank.shape, float(intensity[0, 0])
        (TensorShape([2, 4, 32]), 1.0)

    Reference:
        Gregor et al. 2015, "DRAW: A recurrent neural network for image generation", section 3.2,
        in one dimension.
    """

    def __init__(self, frame_size: int, filters: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frame_size = frame_size
        self.filters = filters
        self.parameters = keras.layers.Dense(4, name="parameters")

    def build(self, input_shape: Any) -> None:
        self.parameters.build(input_shape)
        self.parameters.bias.assign([0.0, 0.0, self._variance, 0.0])

    @property
    def _variance(self) -> float:
        """The logarithm at the start: half the distance, so that filters see every sample."""
        return 2 * math.log(0.5 * self._distance)

    @property
    def _distance(self) -> float:
        return (self.frame_size - 1) / (self.filters - 1)

    def call(self, hidden: Any) -> tuple[Any, Any]:
        centre, distance, variance, intensity = ops.split(self.parameters(hidden), 4, axis=-1)
        centre = 0.5 * (self.frame_size - 1) * (centre + 1.0)
        distance = self._distance * ops.exp(ops.clip(distance, -LARGEST, LARGEST))
        place = np.arange(self.filters, dtype="float32") - 0.5 * (self.filters - 1)
        samples = np.arange(self.frame_size, dtype="float32")
        means = (centre + distance * place)[:, :, None]
        widest = max(2 * LARGEST, self._variance + LARGEST)
        precision = ops.exp(-ops.clip(variance, -LARGEST, widest))[:, :, None]
        bank = ops.exp(-0.5 * ops.square(samples - means) * precision)
        bank = bank / (ops.sum(bank, axis=-1, keepdims=True) + EPS)
        return bank, ops.exp(ops.clip(intensity, -LARGEST, LARGEST))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.filters, self.frame_size), (input_shape[0], 1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "frame_size": self.frame_size,
            "filters": self.filters,
        }
