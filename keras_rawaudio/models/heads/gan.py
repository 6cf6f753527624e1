"""Frames drawn from noise, learned from a discriminator alone."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rawaudio.layers.discriminator import (
    Discriminator,
    discriminator_loss,
    generator_loss,
)
from keras_rawaudio.models.distributions import standard_normal
from keras_rawaudio.models.heads.base import WholeFrameHead

FAKES = ("generated", "noise")


@keras.saving.register_keras_serializable("keras_rawaudio")
class GANHead(WholeFrameHead):
    """A generator of the next frame against a discriminator of frames.

    The generator reads the tier's output and random numbers. The discriminator sees a frame with
    the frame before it. One loss holds both: each player's part reaches its own weights alone.

    Args:
        frame_size: samples per frame.
        latent: random numbers per frame, at most `frame_size`.
        hidden_units: width of the generator's hidden layer.
        fakes: what the discriminator learns to tell frames from: `"generated"`, what the generator
            makes; or `"noise"`, Gaussian noise as loud as the frames, so that the generator plays
            against a discriminator of noise.

    Example:
        >>> head = GANHead(frame_size=32, latent=4, hidden_units=8)
        >>> prediction, _ = head(ops.zeros((2, 31 + 64)), ops.zeros((2, 2, 6)), [])
        >>> head.loss(prediction, ops.zeros((2, 64))).shape
        TensorShape([2, 64])

    Reference:
        Goodfellow et al. 2014, "Generative adversarial nets"; Mirza and Osindero 2014,
        "Conditional generative adversarial nets".
    """

    kind = "gan"
    measure = "variance_unexplained"
    loss_is_score = False
    adversarial = True
    noise_per_sample = 2

    def __init__(
        self,
        frame_size: int,
        latent: int = 16,
        hidden_units: int = 256,
        fakes: str = "generated",
        **kwargs: Any,
    ) -> None:
        super().__init__(frame_size, **kwargs)
        self._at_least(1, latent=latent, hidden_units=hidden_units)
        if latent > frame_size:
            raise ValueError(f"a gan head of {latent} random numbers needs frames as long")
        if fakes not in FAKES:
            raise ValueError(f"a gan head has no fakes {fakes!r}; choose from {', '.join(FAKES)}")
        self.latent = latent
        self.hidden_units = hidden_units
        self.fakes = fakes
        self.context = frame_size
        self.seed_generator = keras.random.SeedGenerator()
        self._make_hidden_layer(hidden_units)
        self.output_layer = keras.layers.Dense(frame_size, name="frame")
        self.discriminator = Discriminator(name="discriminator")

    def build(self, history_shape: Any, condition_shape: Any) -> None:
        self._build_hidden_layer(condition_shape[-1] + self.latent)
        self.output_layer.build((None, self.hidden_units))
        self.discriminator.build((None, 2 * self.frame_size))

    def call(
        self, history: Any, condition: Any, state: list[Any], training: bool = False
    ) -> tuple[dict[str, Any], list[Any]]:
        """The tier's output `condition (B, T, width)` and the frames `before (B, T, F)`.

        In training also the draws, `latent (B, T, latent)` and `noise (B, T, F)`; in evaluation
        they are always the same.
        """
        T = condition.shape[1]
        before = ops.reshape(history[:, : T * self.frame_size], (-1, T, self.frame_size))
        prediction = {"condition": condition, "before": before}
        if training:
            self.discriminator.update()
            prediction |= self._draws(prediction, self.seed_generator)
        return prediction, []

    def _draws(self, prediction: dict[str, Any], seed: Any) -> dict[str, Any]:
        """The draws of a prediction, or else those of a seed."""
        rows = ops.shape(prediction["before"])[:2]
        sizes = {"latent": self.latent, "noise": self.frame_size}
        return {
            name: prediction[name]
            if name in prediction
            else keras.random.normal((*rows, size), seed=seed)
            for name, size in sizes.items()
        }

    def _frames(self, condition: Any, latent: Any) -> Any:
        return self.output_layer(self._hidden(ops.concatenate([condition, latent], axis=-1)))

    def loss(self, prediction: dict[str, Any], target: Any) -> Any:
        """The sum of both players' losses, per sample `(B, N)`."""
        players = self.terms(prediction, target)
        return players["generator_loss"] + players["discriminator_loss"]

    def terms(self, prediction: dict[str, Any], target: Any) -> dict[str, Any]:
        """The losses of the two players by name, `(B, N)` each, ln 2 at chance."""
        before, draws = prediction["before"], self._draws(prediction, 0)
        real = ops.reshape(ops.cast(target, "float32"), ops.shape(before))
        made = self._frames(prediction["condition"], draws["latent"])
        fake = made if self.fakes == "generated" else draws["noise"] * ops.std(real)

        def logits(frames: Any, frozen: bool = False) -> Any:
            pairs = ops.concatenate([before, frames], axis=-1)
            return self.discriminator(ops.reshape(pairs, (-1, 2 * self.frame_size)), frozen=frozen)

        def per_sample(loss: Any) -> Any:
            return ops.repeat(ops.reshape(loss, (-1, before.shape[1])), self.frame_size, axis=1)

        return {
            "generator_loss": per_sample(generator_loss(logits(made, frozen=True))),
            "discriminator_loss": per_sample(
                discriminator_loss(logits(real), logits(ops.stop_gradient(fake)))
            ),
        }

    def score(self, prediction: dict[str, Any], target: Any) -> Any:
        """Squared error of one drawn frame: `(B, N)`."""
        made = self._frames(prediction["condition"], self._draws(prediction, 0)["latent"])
        return ops.square(ops.reshape(made, ops.shape(target)) - ops.cast(target, "float32"))

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        return standard_normal(noise) * temperature

    def sample_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        return self._frames(condition[:, 0], noise[:, : self.latent, 0]), []

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "latent": self.latent,
            "hidden_units": self.hidden_units,
            "fakes": self.fakes,
        }
