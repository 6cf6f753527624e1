"""How much codes change: what free-running draws and a train part are compared by."""

from __future__ import annotations

from collections.abc import Iterable

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
