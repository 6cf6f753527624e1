"""Samples divided by the peak of the train part, at full precision."""

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
    require_positive,
    value_range,
)

if TYPE_CHECKING:
    from typing_extensions import Self


class PeakSettings(CodecSettings):
    """Samples divided by the peak."""

    name: Literal["peak"]


@dataclass(frozen=True)
class Peak(Continuous):
    """`x / peak`, clipped to [-1, 1]; unlike `MinMax`, silence stays 0.

    Args:
        peak: the greatest absolute sample of the train part, over 0.

    Raises:
        UserError: if the peak is not a number over 0.

    Example:
        >>> codec = Peak(peak=0.5)
        >>> codec.encode([-0.5, 0.0, 0.125, 0.75]).tolist()
        [-1.0, 0.0, 0.25, 1.0]
        >>> codec.decode([-1.0, 0.25]).tolist()
        [-0.5, 0.125]
    """

    name: ClassVar[str] = "peak"
    values: ClassVar[Values] = "amplitudes"
    settings = PeakSettings

    peak: float

    def __post_init__(self) -> None:
        require_positive(self, peak=self.peak)

    @classmethod
    def fit(cls, parts: Parts) -> Self:
        """Take the peak of the train part.

        Raises:
            UserError: if the train part is empty, silent, constant or not finite.
        """
        low, high = value_range(parts)
        return cls(peak=max(-low, high))

    def encode(self, audio: Any, xp: Any = np) -> Any:
        """Audio of any shape to float32 values in [-1, 1]."""
        return xp.clip(as_floats(audio, xp) / self.peak, -1.0, 1.0)

    def decode(self, values: Any, xp: Any = np) -> Any:
        """Values of any shape to float32 audio."""
        return as_floats(values, xp) * self.peak
