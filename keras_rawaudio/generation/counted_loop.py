"""A loop of as many turns as a tensor says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops


def counted_loop(count: Any, carry: Any, step: Callable[[Any, Any], Any]) -> Any:
    """`carry = step(t, carry)` for `t` from 0 to `count - 1`.

    Args:
        count: int32 scalar, or a number.
        carry: a tensor, or a structure of tensors.
        step: from the turn, an int32 scalar, and the carry to the next carry, of the same shapes.

    Returns:
        The last carry.

    Example:
        >>> int(counted_loop(4, ops.zeros((), "int32"), lambda t, total: total + t))
        6
    """

    def body(t: Any, carry: Any) -> tuple[Any, Any]:
        return t + 1, step(t, carry)

    return ops.while_loop(lambda t, carry: t < count, body, (ops.zeros((), "int32"), carry))[1]
