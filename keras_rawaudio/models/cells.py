"""The mu-law cells that bits are counted on where audio is not quantised."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_rawaudio.codecs import MuLaw

FAR = 1e4  # the outermost cells reach on


def cell_edges(samples: Any, levels: int) -> tuple[Any, Any]:
    """The edges of the cells that samples fall into.

    Args:
        samples: floats, of any shape, relative to the peak.
        levels: how many cells there are.

    Returns:
        Lower and upper edges, of the same shape.

    Example:
        >>> low, high = cell_edges(ops.convert_to_tensor([0.5, 1.0]), 256)
        >>> bool(low[0] < 0.5 < high[0]), float(high[1])
        (True, 10000.0)
    """
    cells = MuLaw(1.0, levels)
    code = cells.encode(samples, xp=ops)
    low, high = (cells.expand(cells.companded(code + d, ops), ops) for d in (-0.5, 0.5))
    return ops.where(code <= 0, -FAR, low), ops.where(code >= levels - 1, FAR, high)
