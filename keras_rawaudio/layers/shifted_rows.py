"""Matrices whose rows are one sequence, each shifted against the row above."""

from __future__ import annotations

from typing import Any

from keras import ops


def shifted_rows(x: Any, count: int, step: int) -> Any:
    """`out[..., r, i] = x[..., (i + r * step) % n]`: all rows in one copy, without an index.

    The sequence is repeated, and cut into rows that are `step` longer than it is.

    Args:
        x: `(B, ..., n)`, with all sizes known but the first.
        count: rows.
        step: above `-n`.

    Returns:
        `(B, ..., count, n + step)`.

    Example:
        >>> shifted_rows(ops.array([[1, 2, 3]]), 2, 1)[0].numpy().tolist()
        [[1, 2, 3, 1], [2, 3, 1, 2]]
    """
    *middle, n = x.shape[1:]
    width = n + step
    repeats = -(-count * width // n)
    repeated = ops.tile(x, (1,) * (1 + len(middle)) + (repeats,))
    return ops.reshape(repeated[..., : count * width], (-1, *middle, count, width))


def convolution_matrix(taps: Any, count: int) -> Any:
    """The matrix that gives `count` samples of a filter's output.

    Args:
        taps: `(B, ..., n)`, oldest sample first.
        count: samples.

    Returns:
        `(B, ..., count, n + count - 1)`: each row holds the taps, one place further right than the
        row above, and zeros.

    Example:
        >>> convolution_matrix(ops.array([[1, 2]]), 3)[0].numpy().tolist()
        [[1, 2, 0, 0], [0, 1, 2, 0], [0, 0, 1, 2]]
    """
    padding = ((0, 0),) * (len(taps.shape) - 1) + ((0, count),)
    return shifted_rows(ops.pad(taps, padding), count, -1)
