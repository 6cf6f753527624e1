"""Mu-law quantisation: fine steps for quiet samples, coarse ones for loud."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from keras_rawaudio.data.codecs.quantizer import Quantizer, QuantizerSettings


class MuLawSettings(QuantizerSettings):
    """Mu-law codes."""

    name: Literal["mulaw"]


@dataclass(frozen=True)
class MuLaw(Quantizer):
    """Mu-law codes with `mu = levels - 1`.

    With x the audio divided by the peak and clipped to [-1, 1],
    `code = floor((sign(x) ln(1 + mu |x|) / ln(1 + mu) + 1) / 2 * (levels - 1) + 0.5)`.

    Args:
        peak: the greatest absolute sample of the train part, over 0.
        levels: the number of codes, 2 to 65536.

    Raises:
        UserError: if an argument is out of its range.

    Example:
        >>> codec = MuLaw(peak=0.5)
        >>> codec.encode([-0.5, 0.0, 0.001, 0.5]).tolist()
        [0, 128, 137, 255]
        >>> codec.decode([0, 255]).tolist()
        [-0.5, 0.5]

    Reference:
        ITU-T G.711 in its continuous form; van den Oord et al. 2016, "WaveNet", section 2.2.
    """

    name: ClassVar[str] = "mulaw"
    settings = MuLawSettings

    def compress(self, relative: Any, xp: Any = np) -> Any:
        """Amplitude relative to the peak, in [-1, 1], to the evenly divided scale [-1, 1]."""
        mu = float(self.levels - 1)
        return xp.sign(relative) * (xp.log(1.0 + mu * xp.abs(relative)) / math.log1p(mu))

    def expand(self, companded: Any, xp: Any = np) -> Any:
        """The inverse of `compress`."""
        mu = float(self.levels - 1)
        return xp.sign(companded) * ((xp.exp(xp.abs(companded) * math.log1p(mu)) - 1.0) / mu)
