"""Frames drawn in several steps of a recurrent variational autoencoder."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from keras_rawaudio.models.distributions import (
    FIRST_LOG_SCALE,
    LOG_SCALE_RANGE,
    gaussian_log_mass,
    standard_normal,
)
from keras_rawaudio.models.gaussian_grid import GaussianGrid
from keras_rawaudio.models.heads.base import WholeFrameHead


@keras.saving.register_keras_serializable("keras_rawaudio")
class DRAWHead(WholeFrameHead):
    """Draws the next frame on a canvas, step by step, each step from its own latent numbers.

    The canvas and the unit of what is drawn on it begin as linear functions of the tier's output.
    In each step a decoder reads the latent numbers and the tier's output, and adds to the canvas
    through a grid of Gaussian filters. Samples are Gaussian around the last canvas. In training an
    encoder reads the true frame and what is still wrong with the canvas, in that unit, through a
    grid of its own, and gives the posterior of the step's latent numbers. The loss is the negative
    evidence lower bound. Samples are floats relative to the train part's peak, and bits are counted
    on mu-law cells, as for the mixture.

    Args:
        frame_size: samples per frame.
        steps: of drawing.
        latent: random numbers per step.
        hidden_units: width of encoder and decoder.
        filters: of each grid, 2 or more.
        levels: mu-law cells that bits are counted on.

    Example:
        >>> head = DRAWHead(frame_size=16, steps=2, latent=3, hidden_units=8, filters=4)
        >>> prediction, _ = head(ops.zeros((1, 48)), ops.zeros((1, 3, 6)), [])
        >>> head.loss(prediction, ops.zeros((1, 48))).shape
        TensorShape([1, 48])

    Reference:
        Gregor et al. 2015, "DRAW: A recurrent neural network for image generation".
    """

    kind = "draw"
    measure = "bits_per_sample"
    bound = True

    def __init__(
        self,
        frame_size: int,
        steps: int = 4,
        latent: int = 8,
        hidden_units: int = 128,
        filters: int = 12,
        levels: int = 256,
        **kwargs: Any,
    ) -> None:
        super().__init__(frame_size, **kwargs)
        self._at_least(1, steps=steps, latent=latent, hidden_units=hidden_units)
        self._at_least(2, filters=filters)
        self.steps = steps
        self.latent = latent
        self.hidden_units = hidden_units
        self.filters = filters
        self.levels = levels
        # A pair of uniform numbers for the sample itself and for each share of the latent ones.
        self._shares = math.ceil(steps * latent / frame_size)
        self.noise_per_sample = 2 * (1 + self._shares)
        self.seed_generator = keras.random.SeedGenerator()
        self.first_canvas = keras.layers.Dense(frame_size, name="first_canvas")
        self.log_unit = keras.layers.Dense(1, name="log_unit")
        self.read_grid = GaussianGrid(frame_size, filters, name="read_grid")
        self.write_grid = GaussianGrid(frame_size, filters, name="write_grid")
        self.encoder = keras.layers.LSTMCell(hidden_units, name="encoder")
        self.decoder = keras.layers.LSTMCell(hidden_units, name="decoder")
        self.posterior = keras.layers.Dense(2 * latent, name="posterior")
        self.patch = keras.layers.Dense(filters, name="patch")
        self.log_scale = keras.layers.Dense(1, name="log_scale")

    def build(self, history_shape: Any, condition_shape: Any) -> None:
        width, units = condition_shape[-1], self.hidden_units
        self.first_canvas.build((None, width))
        self.log_unit.build((None, width))
        self.log_unit.bias.assign([FIRST_LOG_SCALE])
        self.encoder.build((None, 2 * self.filters + units))
        self.decoder.build((None, self.latent + width))
        for layer in (
            self.read_grid,
            self.write_grid,
            self.posterior,
            self.patch,
            self.log_scale,
        ):
            layer.build((None, units))

    def call(
        self, history: Any, condition: Any, state: list[Any], training: bool = False
    ) -> tuple[dict[str, Any], list[Any]]:
        """The tier's output, `condition (B, T, width)`: the frame itself is needed for the rest.

        In training also the draws, `noise (B, T, steps, latent)`; in evaluation they are always
        the same.
        """
        prediction = {"condition": condition}
        if training:
            prediction["noise"] = self._noise(condition, self.seed_generator)
        return prediction, []

    def _noise(self, condition: Any, seed: Any) -> Any:
        shape = (*ops.shape(condition)[:2], self.steps, self.latent)
        return keras.random.normal(shape, seed=seed)

    def loss(self, prediction: dict[str, Any], target: Any) -> Any:
        """Negative evidence lower bound in nats, its mean over a frame given to each sample."""
        likelihood, kl, _ = self.infer(prediction, target, self._drawn(prediction))
        return ops.repeat((kl - likelihood) / self.frame_size, self.frame_size, axis=1)

    def terms(self, prediction: dict[str, Any], target: Any) -> dict[str, Any]:
        """The divergence of posterior from prior, `kl (B, N)`, in nats per sample."""
        kl = self.infer(prediction, target, self._drawn(prediction))[1]
        return {"kl": ops.repeat(kl / self.frame_size, self.frame_size, axis=1)}

    def _drawn(self, prediction: dict[str, Any]) -> Any:
        if "noise" in prediction:
            return prediction["noise"]
        return self._noise(prediction["condition"], 0)

    def infer(self, prediction: dict[str, Any], target: Any, noise: Any) -> tuple[Any, Any, Any]:
        """Draw the latent numbers of true frames from their posterior.

        Args:
            prediction: from `call`.
            target: `(B, N)` samples.
            noise: `(B, T, steps, latent)` standard normal numbers.

        Returns:
            `(B, T)` each, in nats: the log-likelihood of the frame given the latent numbers, the
            divergence of posterior from prior, and the log-ratio of prior to posterior at the
            latent numbers.
        """
        frames = ops.reshape(ops.cast(target, "float32"), (-1, self.frame_size))
        steps = ops.reshape(noise, (-1, self.steps, self.latent))
        condition = ops.reshape(prediction["condition"], (-1, prediction["condition"].shape[-1]))
        canvas, log_scale, kl, ratio = self._draw(condition, steps, frames)
        mass = gaussian_log_mass(frames, canvas, log_scale, self.levels)
        shape = (-1, prediction["condition"].shape[1])
        likelihood = ops.sum(mass, axis=-1)
        return tuple(ops.reshape(value, shape) for value in (likelihood, kl, ratio))

    def _draw(self, condition: Any, noise: Any, frames: Any = None) -> tuple[Any, ...]:
        """All steps: the canvas, the log of the samples' deviation, divergence and log-ratio.

        Args:
            condition: `(R, width)`.
            noise: `(R, steps, latent)`: the latent numbers, or, where there are `frames`, their
                deviations from the posterior's mean.
            frames: `(R, frame_size)` true frames; `None`: draw from the prior.
        """
        canvas = self.first_canvas(condition)
        log_unit = ops.clip(self.log_unit(condition), *LOG_SCALE_RANGE)
        unit = ops.exp(log_unit)
        idle = ops.zeros_like(condition[:, :1]) * ops.ones((1, self.hidden_units))
        reader, writer = [idle, idle], [idle, idle]
        kl = ratio = ops.zeros_like(condition[:, 0])
        for step in range(self.steps):
            latent = noise[:, step]
            if frames is not None:
                seen = self._read(frames, (frames - canvas) / unit, writer[0])
                read, reader = self.encoder(ops.concatenate([seen, writer[0]], axis=-1), reader)
                mean, log_deviation = ops.split(self.posterior(read), 2, axis=-1)
                log_deviation = ops.clip(log_deviation, *LOG_SCALE_RANGE)
                deviation, drawn = ops.exp(log_deviation), latent
                latent = mean + deviation * drawn
                squares = ops.square(mean) + ops.square(deviation)
                kl = kl + ops.sum(0.5 * (squares - 1.0) - log_deviation, axis=-1)
                gain = 0.5 * (ops.square(drawn) - ops.square(latent)) + log_deviation
                ratio = ratio + ops.sum(gain, axis=-1)
            _, writer = self.decoder(ops.concatenate([latent, condition], axis=-1), writer)
            bank, intensity = self.write_grid(writer[0])
            patch = self.patch(writer[0]) * unit / intensity
            canvas = canvas + ops.sum(patch[:, :, None] * bank, axis=1) * self._spread
        log_scale = ops.clip(log_unit + self.log_scale(writer[0]), *LOG_SCALE_RANGE)
        return canvas, log_scale, kl, ratio

    @property
    def _spread(self) -> float:
        """Samples per filter: a filter's weights sum to one, and so its peak is lower."""
        return self.frame_size / self.filters

    def _read(self, frames: Any, errors: Any, hidden: Any) -> Any:
        bank, intensity = self.read_grid(hidden)
        both = [ops.sum(bank * x[:, None], axis=-1) * intensity for x in (frames, errors)]
        return ops.concatenate(both, axis=-1)

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        pairs = ops.split(noise, 1 + self._shares, axis=-1)
        return ops.concatenate([standard_normal(pair) for pair in pairs], axis=-1) * temperature

    def sample_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        latent = ops.reshape(noise[:, :, 1:], (-1, self.frame_size * self._shares))
        latent = ops.reshape(latent[:, : self.steps * self.latent], (-1, self.steps, self.latent))
        canvas, log_scale, _, _ = self._draw(condition[:, 0], latent)
        return ops.clip(canvas + ops.exp(log_scale) * noise[:, :, 0], -1.0, 1.0), []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "steps": self.steps,
            "latent": self.latent,
            "hidden_units": self.hidden_units,
            "filters": self.filters,
            "levels": self.levels,
        }
