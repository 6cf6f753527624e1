"""Samples scaled by the least and the greatest value of the train part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from keras_rawaudio.data.codecs.base import (
    CodecSettings,
    Continuous,
    Parts,
    Values,
    as_floats,
    require_finite,
    value_range,
)
from keras_rawaudio.errors import UserError

if TYPE_CHECKING:
    from typing_extensions import Self


LEAST_RANGE = 1e-30  # of a smaller one, the factor of `encode` is no float32


class MinMaxSettings(CodecSettings):
    """Samples scaled to [-1, 1] by their range."""

    name: Literal["minmax"]


@dataclass(frozen=True)
class MinMax(Continuous):
    """`2 (x - low) / (high - low) - 1`, so that [low, high] becomes [-1, 1].

    Args:
        low: the least sample of the train part.
        high: its greatest sample, over `low`.

    Raises:
        UserError: if an argument is not finite, or `high` is not over `low` by 1e-30 or more.

    Example:
        >>> codec = MinMax(low=-0.25, high=0.75)
        >>> codec.encode([-0.25, 0.25, 0.75]).tolist()
        [-1.0, 0.0, 1.0]
        >>> codec.decode([-1.0, 0.0, 1.0]).tolist()
        [-0.25, 0.25, 0.75]
    """

    name: ClassVar[str] = "minmax"
    values: ClassVar[Values] = "numbers"
    settings = MinMaxSettings

    low: float
    high: float

    def __post_init__(self) -> None:
        require_finite(self, low=self.low, high=self.high)
        if self.high - self.low < LEAST_RANGE:
            raise UserError(f"low of a 'minmax' codec must be under high: {self.low}, {self.high}")

    @classmethod
    def fit(cls, parts: Parts) -> Self:
        """Take the range of the train part, which then has values in [-1, 1].

        Louder samples of the other parts get values beyond [-1, 1]: their extremes must not reach
        the scale that the train part is learned in.

        Raises:
            UserError: if the train part is empty, silent, constant or not finite.
        """
        low, high = value_range(parts)
        return cls(low=low, high=high)

    def encode(self, audio: Any, xp: Any = np) -> Any:
        """Audio of any shape to float32 values; beyond the range they go beyond [-1, 1]."""
        return (as_floats(audio, xp) - self.low) * (2.0 / (self.high - self.low)) - 1.0

    def decode(self, values: Any, xp: Any = np) -> Any:
        """Values to float32 audio; not clipped, which is for whoever writes a file to do."""
        return (as_floats(values, xp) + 1.0) * ((self.high - self.low) / 2.0) + self.low
