"""Draws from a softmax, and the mu-law cells that bits are counted on."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_rawaudio.data.codecs import MuLaw

FAR = 1e4  # the outermost cells reach on


def gumbel(uniform: Any) -> Any:
    """Gumbel variables, of any shape, from numbers inside (0, 1).

    Example:
        >>> round(float(gumbel(ops.convert_to_tensor(0.5))), 4)
        0.3665

    Reference:
        Gumbel 1954, "Statistical theory of extreme values and some practical applications".
    """
    return -ops.log(-ops.log(uniform))


def one_hot_argmax(perturbed_logits: Any) -> Any:
    """The largest along the last axis, one-hot.

    Of logits plus Gumbel variables, it is a sample of their softmax (the Gumbel-max trick).

    Example:
        >>> one_hot_argmax(ops.convert_to_tensor([[0.1, 2.0, -1.0]])).numpy().tolist()
        [[0.0, 1.0, 0.0]]
    """
    return ops.cast(
        perturbed_logits >= ops.max(perturbed_logits, axis=-1, keepdims=True), "float32"
    )


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
