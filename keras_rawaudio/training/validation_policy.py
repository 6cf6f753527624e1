"""When to validate, which validation is the best, and when no better one is to be expected."""

from __future__ import annotations

# The most of a run's time that validating, generating and saving may take: a long validation part
# (17 million samples for three hours of audio: three minutes on two cores) makes them rarer.
VALIDATION_SHARE = 0.2
# A loss that is worse by this share counts as equal: free running improves with more training.
AS_GOOD = 0.005


class ValidationPolicy:
    """Decides by the loss that training minimises, not by the measure that is shown.

    Args:
        every: minutes of training between two validations.
        patience: validations without a new best before training stops; `None`: never.
        keep_latest: keep every model. A model of codes generates better long after it has ceased to
            predict better what it never saw.

    Attributes:
        best: lowest loss so far.
        since_best: validations since then.

    Example:
        >>> policy = ValidationPolicy(every=1.0, patience=2)
        >>> [policy.accept(loss) for loss in (3.0, 3.01, 3.1)], policy.finished
        ([True, True, False], True)
    """

    def __init__(
        self, every: float, patience: int | None = None, keep_latest: bool = False
    ) -> None:
        self.every, self.patience, self.keep_latest = every, patience, keep_latest
        self.best, self.since_best = float("inf"), 0

    @property
    def finished(self) -> bool:
        """Whether the patience is over."""
        return self.patience is not None and self.since_best >= self.patience

    def accept(self, loss: float) -> bool:
        """Take a validation's loss.

        Returns:
            Whether the model is to be kept: it is as good as the best so far, or `keep_latest`.
        """
        as_good = self.keep_latest or loss <= self.best + AS_GOOD * abs(self.best)
        if loss < self.best:
            self.best, self.since_best = loss, 0
        else:
            self.since_best += 1
        return as_good

    def pause(self, cost: float = 0.0) -> float:
        """Seconds of training before the next validation.

        Args:
            cost: seconds that the last one took.
        """
        return max(60 * self.every, cost / VALIDATION_SHARE - cost)
