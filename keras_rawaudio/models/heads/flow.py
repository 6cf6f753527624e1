"""The spectrum of the next frame through an invertible convnet."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.affine_coupling import AffineCoupling
from keras_rawaudio.models.distributions import (
    FIRST_LOG_SCALE,
    LOG_SCALE_RANGE,
    cell_edges,
    standard_normal,
)
from keras_rawaudio.models.heads.base import WholeFrameHead

LEAST_WIDTH = 1e-6


@keras.saving.register_keras_serializable("keras_rawaudio")
class FlowHead(WholeFrameHead):
    """The exact likelihood of whole frames, by an invertible map.

    A frame becomes its spectrum, real and imaginary parts as two channels (an orthonormal map).
    Each bin is moved and scaled by a linear function of the tier's output; then coupling layers
    over frequency turn the spectrum into independent standard normal numbers. Drawing runs the
    same layers backwards. Samples are floats relative to the train part's peak. Bits are counted
    on mu-law cells: the density at a random point of a sample's cell, times the cell's width,
    which is an upper bound.

    Args:
        frame_size: samples per frame, even.
        couplings: coupling layers; even and odd bins change in turn.
        filters: of each layer's convnet.
        kernel_size: bins that a filter reads.
        levels: mu-law cells that bits are counted on.

    Example:
        >>> head = FlowHead(frame_size=16, couplings=2, filters=4)
        >>> prediction, _ = head(ops.zeros((1, 48)), ops.zeros((1, 3, 6)), [])
        >>> head.loss(prediction, ops.zeros((1, 48))).shape
        TensorShape([1, 48])

    Reference:
        Dinh et al. 2017, "Density estimation using Real NVP"; Theis et al. 2016, "A note on the
        evaluation of generative models", section 3.1 (densities and discrete values).
    """

    kind = "flow"
    measure = "bits_per_sample"
    bound = True
    noise_per_sample = 2

    def __init__(
        self,
        frame_size: int,
        couplings: int = 4,
        filters: int = 32,
        kernel_size: int = 9,
        levels: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(frame_size, **kwargs)
        self._at_least(1, couplings=couplings, filters=filters)
        if frame_size % 2 or frame_size < 4:
            raise ValueError(f"a flow head needs a frame of 4 samples or more, even: {frame_size}")
        self.couplings = couplings
        self.filters = filters
        self.kernel_size = kernel_size
        self.levels = levels
        self.seed_generator = keras.random.SeedGenerator()
        self.matrix = _orthonormal_fourier(frame_size)
        self.bins_layer = keras.layers.Dense(2 * frame_size, name="bins")
        self.layers = [
            AffineCoupling(i % 2, filters, kernel_size, name=f"coupling{i}")
            for i in range(couplings)
        ]

    def build(self, history_shape: Any, condition_shape: Any) -> None:
        width, F = condition_shape[-1], self.frame_size
        self.bins_layer.build((None, width))
        self.bins_layer.bias.assign(np.repeat([0.0, FIRST_LOG_SCALE], F))
        for layer in self.layers:
            layer.build((None, F // 2, 2), (None, width))

    def call(
        self, history: Any, condition: Any, state: list[Any], training: bool = False
    ) -> tuple[dict[str, Any], list[Any]]:
        """The tier's output, `condition (B, T, width)`: the frame itself is needed for the rest.

        In training also where in their cells samples lie, `place (B, T, F)` in [0, 1); in
        evaluation it is always the same.
        """
        prediction = {"condition": condition}
        if training:
            prediction["place"] = self._place(condition, self.seed_generator)
        return prediction, []

    def _place(self, condition: Any, seed: Any) -> Any:
        return keras.random.uniform((*ops.shape(condition)[:2], self.frame_size), seed=seed)

    def forward(self, frames: Any, condition: Any) -> tuple[Any, Any]:
        """Frames as standard normal numbers.

        Args:
            frames: `(R, frame_size)`.
            condition: `(R, width)`.

        Returns:
            `(R, frame_size)`, and the logarithm of the determinant of the Jacobian `(R,)`.
        """
        mean, log_scale = self._bins(condition)
        spectra = (ops.matmul(frames, self.matrix) - mean) * ops.exp(-log_scale)
        spectra = ops.reshape(spectra, (-1, self.frame_size // 2, 2))
        log_det = -ops.sum(log_scale, axis=-1)
        for layer in self.layers:
            spectra, more = layer(spectra, condition)
            log_det = log_det + more
        return ops.reshape(spectra, (-1, self.frame_size)), log_det

    def inverse(self, numbers: Any, condition: Any) -> Any:
        """Frames `(R, frame_size)` that `forward` gives these numbers for."""
        spectra = ops.reshape(numbers, (-1, self.frame_size // 2, 2))
        for layer in reversed(self.layers):
            spectra = layer.inverse(spectra, condition)
        mean, log_scale = self._bins(condition)
        spectra = ops.reshape(spectra, (-1, self.frame_size)) * ops.exp(log_scale) + mean
        return ops.matmul(spectra, np.transpose(self.matrix))

    def _bins(self, condition: Any) -> tuple[Any, Any]:
        mean, log_scale = ops.split(self.bins_layer(condition), 2, axis=-1)
        return mean, ops.clip(log_scale, *LOG_SCALE_RANGE)

    def loss(self, prediction: dict[str, Any], target: Any) -> Any:
        """Nats of the samples' cells, the mean over a frame given to each of its samples."""
        condition, F = prediction["condition"], self.frame_size
        place = prediction["place"] if "place" in prediction else self._place(condition, 0)
        low, high = cell_edges(ops.cast(target, "float32"), self.levels)
        low, high = ops.clip(low, -1.0, 1.0), ops.clip(high, -1.0, 1.0)
        width = ops.reshape(ops.maximum(high - low, LEAST_WIDTH), (-1, F))
        frames = ops.reshape(low, (-1, F)) + width * ops.reshape(place, (-1, F))
        numbers, log_det = self.forward(frames, ops.reshape(condition, (-1, condition.shape[-1])))
        normal = 0.5 * ops.square(numbers) + 0.5 * math.log(2 * math.pi)
        nats = ops.sum(normal - ops.log(width), axis=-1) - log_det
        return ops.repeat(ops.reshape(nats, (-1, condition.shape[1])) / F, F, axis=1)

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        return standard_normal(noise) * temperature

    def sample_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        return ops.clip(self.inverse(noise[:, :, 0], condition[:, 0]), -1.0, 1.0), []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "couplings": self.couplings,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "levels": self.levels,
        }


def _orthonormal_fourier(size: int) -> np.ndarray:
    """`(size, size)`: a frame to real and imaginary part of each bin, in turn, norms kept.

    The first bin has the mean and the highest frequency, which are real.
    """
    spectra = np.fft.rfft(np.eye(size), axis=1) / math.sqrt(size)
    inner = math.sqrt(2) * spectra[:, 1:-1]
    pairs = np.stack([inner.real, inner.imag], axis=-1).reshape(size, -1)
    ends = spectra[:, [0, -1]].real
    return np.concatenate([ends, pairs], axis=1).astype("float32")
