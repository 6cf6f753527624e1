"""Codes that are integers already: the codec of a corpus that is read as codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from keras_rawaudio.data.codecs.base import Codec, Parts, Values


@dataclass(frozen=True)
class Indices(Codec):
    """Integers as they lie on disk: `encode` takes back the scale of 16-bit audio.

    0 stands for no code; code `c` of a codebook is `c + 1`.

    Args:
        levels: codes of the largest codebook, and one for none.

    Example:
        >>> Indices(16).encode(np.float32([0, 3]) / 32768).tolist()
        [0, 3]
    """

    levels: int

    name: ClassVar[str] = "indices"
    values: ClassVar[Values] = "codes"

    @classmethod
    def fit(cls, parts: Parts, *, levels: int = 1025) -> Indices:
        """Nothing is fitted."""
        return cls(levels)

    def encode(self, audio: Any, xp: Any = np) -> Any:
        values = xp.round(audio * 32768.0)
        return np.asarray(values, np.int32) if xp is np else xp.cast(values, "int32")

    def decode(self, values: Any, xp: Any = np) -> Any:
        floats = np.asarray(values, np.float32) if xp is np else xp.cast(values, "float32")
        return floats / 32768.0
