"""Standardised samples: mean 0, standard deviation 1."""

from __future__ import annotations

import math
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
    require_positive,
    value_range,
)

if TYPE_CHECKING:
    from typing_extensions import Self


class StandardizeSettings(CodecSettings):
    """Samples of mean 0 and deviation 1."""

    name: Literal["standardize"]


@dataclass(frozen=True)
class Standardize(Continuous):
    """`(x - mean) / std`, with the train part's own mean and standard deviation.

    Args:
        mean: of the train part's samples.
        std: their standard deviation (of the population), over 0.

    Raises:
        UserError: if an argument is out of its range.

    Example:
        >>> codec = Standardize(mean=0.5, std=0.25)
        >>> codec.encode([0.0, 0.5, 1.0]).tolist()
        [-2.0, 0.0, 2.0]
        >>> codec.decode([-2.0, 0.0, 2.0]).tolist()
        [0.0, 0.5, 1.0]
    """

    name: ClassVar[str] = "standardize"
    values: ClassVar[Values] = "numbers"
    settings = StandardizeSettings

    mean: float
    std: float

    def __post_init__(self) -> None:
        require_finite(self, mean=self.mean)
        require_positive(self, std=self.std)

    @classmethod
    def fit(cls, parts: Parts) -> Self:
        """Read the train part: for its range, its mean, and then the spread about that mean.

        Raises:
            UserError: if the train part is empty, silent, constant or not finite.
        """
        value_range(parts)
        train = parts["train"]
        sums = [(chunk.size, float(np.sum(chunk, dtype=np.float64))) for chunk in train()]
        count = sum(size for size, _ in sums)
        mean = math.fsum(total for _, total in sums) / count
        squares = (float(np.sum(np.square(chunk - np.float64(mean)))) for chunk in train())
        return cls(mean=mean, std=math.sqrt(math.fsum(squares) / count))

    def encode(self, audio: Any, xp: Any = np) -> Any:
        """Audio of any shape to float32 values."""
        return (as_floats(audio, xp) - self.mean) / self.std

    def decode(self, values: Any, xp: Any = np) -> Any:
        """Values to float32 audio; not clipped, which is for whoever writes a file to do."""
        return as_floats(values, xp) * self.std + self.mean
