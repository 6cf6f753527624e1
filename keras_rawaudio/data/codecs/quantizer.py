"""What mu-law and linear quantisation share: a peak, a number of levels, a rounding."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from keras_rawaudio.data.codecs.base import (
    Codec,
    CodecSettings,
    Parts,
    Values,
    as_floats,
    require_positive,
    value_range,
)
from keras_rawaudio.errors import UserError

if TYPE_CHECKING:
    from typing_extensions import Self

MOST_LEVELS = 1 << 16


class QuantizerSettings(CodecSettings):
    """A quantizer by name."""

    levels: Annotated[int, Field(ge=2, le=MOST_LEVELS)] = 256
    """The number of codes."""


@dataclass(frozen=True)
class Quantizer(Codec):
    """Scale by the peak, clip to [-1, 1], compress, and round to one of `levels` codes."""

    values: ClassVar[Values] = "codes"

    peak: float
    levels: int = 256

    def __post_init__(self) -> None:
        require_positive(self, peak=self.peak)
        whole = isinstance(self.levels, int) and not isinstance(self.levels, bool)
        if not whole or not 2 <= self.levels <= MOST_LEVELS:
            raise UserError(
                f"levels of a '{self.name}' codec must be a whole number from 2 to {MOST_LEVELS}, "
                f"not {self.levels!r}"
            )

    @classmethod
    def fit(cls, parts: Parts, *, levels: int = 256) -> Self:
        """Take the peak of the train part.

        Raises:
            UserError: if the train part is empty, silent, constant or not finite.
        """
        low, high = value_range(parts)
        return cls(peak=max(-low, high), levels=levels)

    @abstractmethod
    def compress(self, relative: Any, xp: Any = np) -> Any:
        """Amplitude relative to the peak, in [-1, 1], to the evenly divided scale [-1, 1]."""

    @abstractmethod
    def expand(self, companded: Any, xp: Any = np) -> Any:
        """The inverse of `compress`."""

    def encode(self, audio: Any, xp: Any = np) -> Any:
        """Audio to codes; what is louder than the peak becomes the first or the last code.

        Args:
            audio: floats, any shape.
            xp: `numpy` or `keras.ops`.

        Returns:
            Codes in [0, levels): int32 with numpy, integer-valued float32 with `keras.ops`.
        """
        relative = xp.clip(as_floats(audio, xp) / self.peak, -1.0, 1.0)
        scaled = (self.compress(relative, xp) + 1.0) * (0.5 * (self.levels - 1))
        codes = xp.floor(scaled + 0.5)
        return codes.astype(np.int32) if xp is np else codes

    def decode(self, values: Any, xp: Any = np) -> Any:
        """Codes to the float32 amplitudes at the centres of their cells."""
        return self.expand(self.companded(values, xp), xp) * self.peak

    def companded(self, values: Any, xp: Any = np) -> Any:
        """Codes to the evenly divided scale [-1, 1], as float32: `2 * code / (levels - 1) - 1`."""
        return as_floats(values, xp) * (2.0 / (self.levels - 1)) - 1.0

    def cell_edges(self) -> np.ndarray:
        """Where codes meet: cell k is [edges[k], edges[k + 1]).

        Returns:
            float64 (levels + 1,), amplitudes relative to the peak, rising; the first is -inf and
            the last inf, since `encode` clips.
        """
        inner = (2.0 * np.arange(1, self.levels) - 1.0) / (self.levels - 1) - 1.0
        return np.concatenate([[-np.inf], self.expand(inner), [np.inf]])
