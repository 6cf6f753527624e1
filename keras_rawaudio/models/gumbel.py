"""Draws from a softmax: the largest of logits and Gumbel noise."""

from __future__ import annotations

from typing import Any

from keras import ops


def gumbel(uniform: Any) -> Any:
    """Gumbel variables, of any shape, from numbers inside (0, 1).

    Example:
        >>> round(float(gumbel(ops.convert_to_tensor(0.5))), 4)
        0.3665

    Reference:
        Gumbel 1954, "Statistical theory of extreme values and some practical applications".
    """
    return -ops.log(-ops.log(uniform))


def winner(race: Any) -> Any:
    """The largest along the last axis, one-hot; a draw from the softmax of logits where `race` is
    logits plus Gumbel variables.

    Example:
        >>> winner(ops.convert_to_tensor([[0.1, 2.0, -1.0]])).numpy().tolist()
        [[0.0, 1.0, 0.0]]
    """
    return ops.cast(race >= ops.max(race, axis=-1, keepdims=True), "float32")
