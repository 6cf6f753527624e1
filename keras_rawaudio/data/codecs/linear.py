"""Linear quantisation: even steps from minus to plus the peak."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from keras_rawaudio.data.codecs.quantizer import Quantizer, QuantizerSettings


class LinearSettings(QuantizerSettings):
    """Evenly spaced codes."""

    name: Literal["linear"]


@dataclass(frozen=True)
class Linear(Quantizer):
    """Evenly spaced codes.

    Args:
        peak: the greatest absolute sample of the train part, over 0.
        levels: the number of codes, 2 to 65536.

    Raises:
        UserError: if an argument is out of its range.

    Example:
        >>> codec = Linear(peak=1.0, levels=5)
        >>> codec.encode([-1.0, -0.4, 0.0, 0.3, 7.0]).tolist()
        [0, 1, 2, 3, 4]
        >>> codec.decode([0, 1, 2]).tolist()
        [-1.0, -0.5, 0.0]
    """

    name: ClassVar[str] = "linear"
    settings = LinearSettings

    def compress(self, relative: Any, xp: Any = np) -> Any:
        """The identity."""
        return relative

    def expand(self, companded: Any, xp: Any = np) -> Any:
        """The identity."""
        return companded
