"""Loss and score of a refiner."""

from __future__ import annotations

from typing import Any, ClassVar

from keras import ops

from keras_rawaudio.layers.discriminator import (
    Discriminator,
    discriminator_loss,
    generator_loss,
)


class RestorationHead:
    """Squared error of restored audio and, with a discriminator, the adversarial losses.

    It stands where an `AudioModel` has a head.

    Args:
        discriminator: tells audio from restored audio; `None`: squared error alone.
        adversarial: weight of the generator's loss beside the squared error.
    """

    kind: ClassVar[str] = "restoration"
    measure: ClassVar[str] = "variance_unexplained"
    quantizable: ClassVar[bool] = False
    noise_per_sample: ClassVar[int] = 1
    reconstruct: ClassVar[bool] = True
    deterministic: ClassVar[bool] = True
    bound: ClassVar[bool] = False

    def __init__(self, discriminator: Discriminator | None, adversarial: float) -> None:
        self.discriminator = discriminator
        self.weight = adversarial
        self.adversarial = discriminator is not None
        self.loss_is_score = not self.adversarial

    def loss(self, prediction: Any, target: Any) -> Any:
        """What training minimises, per sample `(B, N)`.

        Each player's loss reaches its own weights alone, so that one step moves both.

        Args:
            prediction: `(B, N)` restored values.
            target: `(B, N)` true values.
        """
        loss = self.score(prediction, target)
        if self.adversarial:
            game = self.terms(prediction, target)
            loss = loss + self.weight * game["generator_loss"] + game["discriminator_loss"]
        return loss

    def terms(self, prediction: Any, target: Any) -> dict[str, Any]:
        """The losses of the two players by name, each `(B, 1)`."""
        if self.discriminator is None:
            return {}
        fooled = self.discriminator(prediction, frozen=True)
        real = self.discriminator(ops.cast(target, "float32"))
        fake = self.discriminator(ops.stop_gradient(prediction))
        return {
            "generator_loss": generator_loss(fooled)[:, None],
            "discriminator_loss": discriminator_loss(real, fake)[:, None],
        }

    def score(self, prediction: Any, target: Any) -> Any:
        """Squared error of each sample: `(B, N)`."""
        return ops.square(prediction - ops.cast(target, "float32"))
