"""How long a training lasts and how its learning rate falls."""

from __future__ import annotations

import math
from dataclasses import dataclass

from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes import TrainingSettings

# The cosine ends here, as a share of the first rate.
FINAL_SHARE = 0.01
MOST_MINUTES = 10**6
MOST_EPOCHS = 10**9


@dataclass(frozen=True)
class Budget:
    """Minutes of training steps, or epochs; exactly one of the two.

    Minutes count training steps alone: not validation, sampling, saving, nor the first step
    (which compiles).

    Args:
        minutes: above 0 and up to a million; `None`: epochs count.
        epochs: passes over the data, 1 to a thousand million; `None`: minutes count.

    Raises:
        UserError: both, none, or one out of its range.

    Example:
        >>> Budget(epochs=2).fraction(steps=30, seconds=5.0, steps_per_epoch=60)
        0.25
    """

    minutes: float | None = None
    epochs: int | None = None

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.epochs is None):
            raise UserError("minutes and epochs are two budgets; give one of them")
        if self.minutes is not None and not (
            isinstance(self.minutes, (int, float)) and 0 < self.minutes <= MOST_MINUTES
        ):
            raise UserError(
                f"minutes must be above 0 and up to {MOST_MINUTES}, not {self.minutes!r}"
            )
        if self.epochs is not None and not (
            isinstance(self.epochs, int) and 0 < self.epochs <= MOST_EPOCHS
        ):
            raise UserError(f"epochs must be from 1 to {MOST_EPOCHS}, not {self.epochs!r}")

    def fraction(self, steps: int, seconds: float, steps_per_epoch: int) -> float:
        """How much of it is used.

        Args:
            steps: taken so far.
            seconds: of training steps so far.
            steps_per_epoch: steps of a pass over the data.

        Returns:
            From 0 to 1, and beyond 1 where more than the budget is used.
        """
        if self.minutes is not None:
            return seconds / (60.0 * self.minutes)
        return steps / ((self.epochs or 1) * steps_per_epoch)

    def seconds_left(self, fraction: float, seconds: float) -> float:
        """Seconds of training until all of it is used.

        Args:
            fraction: used so far, from 0 to 1.
            seconds: of training steps that have used it.

        Example:
            >>> Budget(minutes=2).seconds_left(0.25, 30.0), Budget(epochs=4).seconds_left(0.5, 10.0)
            (90.0, 10.0)
        """
        if self.minutes is not None:
            return 60 * self.minutes * (1 - fraction)
        return seconds * (1 / max(fraction, 1e-9) - 1)


def learning_rate(settings: TrainingSettings, fraction: float, steps: int) -> float:
    """The rate at this point of the budget.

    Args:
        settings: rate, schedule and warm-up.
        fraction: used share of the budget, 0 to 1.
        steps: steps taken so far.

    Reference:
        Loshchilov and Hutter 2017, "SGDR", equation 5 (one period).
    """
    rate = settings.learning_rate
    if settings.schedule == "cosine":
        share = 0.5 * (1.0 + math.cos(math.pi * min(1.0, fraction)))
        rate *= FINAL_SHARE + (1.0 - FINAL_SHARE) * share
    if steps < settings.warmup_steps:
        rate *= (steps + 1) / settings.warmup_steps
    return rate
