"""A distribution over a whole next frame."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.models.distributions import (
    EPS,
    LOG_SCALE_RANGE,
    gaussian_log_mass,
    gumbel,
    one_hot_argmax,
    standard_normal,
)
from keras_rawaudio.models.heads.base import WholeFrameHead


@keras.saving.register_keras_serializable("keras_rawaudio")
class MixtureHead(WholeFrameHead):
    """Gaussians over all samples of the next frame: one is chosen for the frame, then drawn from.

    Samples are floats relative to the train part's peak. Bits are counted on mu-law cells, as for
    the predictive head: the mass of a Gaussian on the cell that a sample falls into (its density
    times the cell's width, where that mass is too small for 32 bits). The bits of a frame are those
    of the mixture of whole frames, so that samples of one frame may hang together.

    Args:
        frame_size: samples per frame.
        num_mixtures: Gaussians, 1 or more, at most as many as a frame has samples.
        hidden_units: width of a hidden layer between the tier and the frame; 0: none.
        levels: mu-law cells that bits are counted on.

    Example:
        >>> head = MixtureHead(frame_size=8, num_mixtures=2)
        >>> history = keras.ops.zeros((1, 40))
        >>> prediction, _ = head(history, keras.ops.zeros((1, 5, 16)), [])
        >>> head.loss(prediction, keras.ops.zeros((1, 40))).shape
        TensorShape([1, 40])

    Reference:
        Bishop 1994, "Mixture density networks"; Salimans et al. 2017, "PixelCNN++", section 2.1.
    """

    kind = "mixture"
    measure = "bits_per_sample"
    # A point of the unit square for the Gaussian, and a number for the choice.
    noise_per_sample = 3

    def __init__(
        self,
        frame_size: int,
        num_mixtures: int = 4,
        hidden_units: int = 0,
        levels: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(frame_size, **kwargs)
        K = num_mixtures
        self._at_least(1, num_mixtures=K)
        if frame_size < K:
            raise ValueError(f"a mixture head of {K} mixtures needs frames of {K} samples or more")
        self.num_mixtures = num_mixtures
        self.hidden_units = hidden_units
        self.levels = levels
        self._make_hidden_layer(hidden_units)

    def build(self, history_shape: Any, condition_shape: Any) -> None:
        K, frame = self.num_mixtures, self.frame_size
        self.output_layer = keras.layers.Dense(K * (2 * frame + 1), name="mixture")
        self.output_layer.build((None, self._build_hidden_layer(condition_shape[-1])))
        # Gaussians of several widths to choose from at the start.
        widths = np.tile(np.linspace(-3.0, -1.0, K + 2)[1:-1], frame)
        bias = np.concatenate([np.zeros(K * frame), widths, np.zeros(K)])
        self.output_layer.bias.assign(bias)

    def call(
        self, history: Any, condition: Any, state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        """`(B, N, 3 * num_mixtures)`: means, log deviations, logits (equal within a frame)."""
        K, F = self.num_mixtures, self.frame_size
        condition = self._hidden(condition)
        means, widths, logits = ops.split(self.output_layer(condition), [K * F, 2 * K * F], axis=-1)
        shape = (-1, condition.shape[1] * F, K)
        gaussians = [
            ops.reshape(means, shape),
            ops.clip(ops.reshape(widths, shape), *LOG_SCALE_RANGE),
        ]
        return ops.concatenate([*gaussians, ops.repeat(logits, F, axis=1)], axis=-1), []

    def loss(self, prediction: Any, target: Any) -> Any:
        means, widths, logits = ops.split(prediction, 3, axis=-1)
        y = ops.cast(target, "float32")[:, :, None]
        shape = (-1, prediction.shape[1] // self.frame_size, self.frame_size, self.num_mixtures)
        mass = gaussian_log_mass(y, means, widths, self.levels)
        frames = ops.sum(ops.reshape(mass, shape), axis=2)
        weights = ops.log_softmax(logits[:, :: self.frame_size], axis=-1)
        nats = ops.logsumexp(weights + frames, axis=-1)
        return ops.repeat(nats * (-1.0 / self.frame_size), self.frame_size, axis=1)

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        """A normal number and a Gumbel one for each sample, times the temperature."""
        normal = standard_normal(noise[..., :2])
        choice = gumbel(ops.clip(noise[..., 2:], EPS, 1.0 - EPS))
        return ops.concatenate([normal, choice], axis=-1) * temperature

    def sample_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        prediction, _ = self(history, condition, state)
        means, widths, logits = ops.split(prediction, 3, axis=-1)
        perturbed_logits = logits[:, 0] + noise[:, : self.num_mixtures, 1]
        chosen = one_hot_argmax(perturbed_logits)[:, None]
        drawn = means + ops.exp(widths) * noise[:, :, :1]
        return ops.clip(ops.sum(chosen * drawn, axis=-1), -1.0, 1.0), []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_mixtures": self.num_mixtures,
            "hidden_units": self.hidden_units,
            "levels": self.levels,
        }
