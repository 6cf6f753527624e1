"""How much codes change: what free-running draws and a train part are compared by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def distinct_codes(streams: Iterable[np.ndarray], window: int) -> np.ndarray:
    """Different codes of each band within a window, in the mean over windows.

    Args:
        streams: `(T, bands)` integers each; one shorter than a window counts for nothing.
        window: blocks; windows lie side by side.

    Returns:
        `(bands,)`; zeros where there is no window.

    Example:
        >>> distinct_codes([np.array([[1, 5], [1, 6], [2, 7], [2, 8]])], window=4)
        array([2., 4.])
    """
    counts = []
    for codes in streams:
        whole = codes[: len(codes) // window * window]
        ordered = np.sort(whole.reshape(-1, window, codes.shape[1]), axis=1)
        counts.append((np.diff(ordered, axis=1) != 0).sum(axis=1) + 1)
    found = np.concatenate(counts)
    mean: np.ndarray = found.sum(axis=0) / max(1, len(found))
    return mean


def moved_share(
    streams: Iterable[np.ndarray], entries: Sequence[np.ndarray], far: np.ndarray, lag: int
) -> np.ndarray:
    """Share of blocks of each band whose entry is far from that of some blocks before.

    Args:
        streams: `(T, bands)` integers each; what is no longer than `lag` counts for nothing.
        entries: of each band, `(codebook_size, components)`.
        far: `(bands,)`, squared distances; what is farther apart has moved.
        lag: blocks.

    Returns:
        `(bands,)`; zeros where there is no such block.

    Example:
        >>> codes = np.array([[0], [0], [1], [1]])
        >>> moved_share([codes], [np.array([[0.0], [5.0]])], np.array([4.0]), lag=1).round(2)
        array([0.33])
    """
    moved, count = np.zeros(len(entries)), 0
    for codes in streams:
        now, before = codes[lag:], codes[: max(0, len(codes) - lag)]
        count += len(now)
        for band, own in enumerate(entries):
            apart = np.square(own[now[:, band]] - own[before[:, band]]).sum(axis=1)
            moved[band] += (apart > far[band]).sum()
    share: np.ndarray = moved / max(1, count)
    return share
