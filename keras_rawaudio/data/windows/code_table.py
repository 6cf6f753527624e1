"""An encoder of 16-bit audio as a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Encode = Callable[[Array], Array]

FULL_SCALE = 32768


def code_table(encode: Encode) -> Array:
    """What each 16-bit sample is encoded to.

    Returns:
        `(65536,)` int32 where `encode` gives integers, else float32; sample `s` is at `s + 32768`.

    Example:
        >>> code_table(lambda audio: np.int32(audio * 32768))[[0, 32768, 32769]].tolist()
        [-32768, 0, 1]
    """
    samples = np.arange(-FULL_SCALE, FULL_SCALE, dtype=np.float32)
    codes = np.asarray(encode(samples / np.float32(FULL_SCALE)))
    return codes.astype(np.int32 if np.issubdtype(codes.dtype, np.integer) else np.float32)
