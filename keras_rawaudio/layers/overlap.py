"""Frames that overlap: windows whose copies sum to one, cutting, and adding up again."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

SHAPES = ("hann", "triangle", "flat")


def sum_to_one(span: int, hop: int, shape: str = "hann") -> np.ndarray:
    """A window whose copies, `hop` apart, sum to one everywhere.

    Args:
        span: samples in the window, a multiple of `hop`.
        hop: samples between two copies.
        shape: `"hann"`, `"triangle"` or `"flat"`; each is divided by the sum of its copies.

    Returns:
        `(span,)` float32, above 0; ones where `span` is `hop`.

    Raises:
        ValueError: no such shape, or a span that is not whole hops.

    Example:
        >>> sum_to_one(4, 2, "flat").tolist()
        [0.5, 0.5, 0.5, 0.5]
        >>> sum_to_one(8, 2).reshape(4, 2).sum(axis=0).round(6).tolist()
        [1.0, 1.0]
    """
    if hop < 1 or span < hop or span % hop:
        raise ValueError(f"a span of {span} samples is not whole hops of {hop}")
    # Between the samples, so that neither end is zero.
    place = (np.arange(span) + 0.5) / span
    if shape not in SHAPES:
        raise ValueError(f"no window {shape!r}; choose from {', '.join(SHAPES)}")
    window = {
        "hann": np.sin(np.pi * place) ** 2,
        "triangle": 1 - np.abs(2 * place - 1),
        "flat": np.ones(span),
    }[shape]
    copies = window.reshape(-1, hop)
    return (copies / copies.sum(axis=0)).reshape(-1).astype("float32")


def cut(signal: Any, span: int, hop: int) -> Any:
    """The overlapping frames that lie in a signal, one at each hop.

    Args:
        signal: `(B, (T - 1) * hop + span)`.
        span: samples in a frame, a multiple of `hop`.
        hop: samples between two frames.

    Returns:
        `(B, T, span)`.

    Example:
        >>> cut(ops.convert_to_tensor([[1, 2, 3, 4]]), span=2, hop=1).numpy().tolist()
        [[[1, 2], [2, 3], [3, 4]]]
    """
    parts = span // hop
    count = signal.shape[1] // hop
    blocks = ops.reshape(signal, (-1, count, hop))
    T = count - parts + 1
    return ops.concatenate([blocks[:, r : r + T] for r in range(parts)], axis=-1)


def overlap_add(frames: Any, pending: Any) -> tuple[Any, Any]:
    """Add up frames where they overlap.

    Args:
        frames: `(B, T, span)`, each beginning one hop after the one before.
        pending: `(B, span - hop)`: what earlier frames left for the samples from here on.

    Returns:
        `(B, T * hop)`: the samples that no later frame reaches; and what is pending for those
        that follow.

    Example:
        >>> frames = ops.ones((1, 2, 4))
        >>> samples, pending = overlap_add(frames, ops.zeros((1, 2)))
        >>> samples.numpy().tolist(), pending.numpy().tolist()
        ([[1.0, 1.0, 2.0, 2.0]], [[1.0, 1.0]])
    """
    span, T = frames.shape[2], frames.shape[1]
    hop = span - pending.shape[1]
    parts = span // hop
    blocks = ops.reshape(frames, (-1, T, parts, hop))
    total = ops.reshape(ops.pad(pending, ((0, 0), (0, T * hop))), (-1, T + parts - 1, hop))
    for r in range(parts):
        total = total + ops.pad(blocks[:, :, r], ((0, 0), (r, parts - 1 - r), (0, 0)))
    total = ops.reshape(total, (-1, (T + parts - 1) * hop))
    return total[:, : T * hop], total[:, T * hop :]
