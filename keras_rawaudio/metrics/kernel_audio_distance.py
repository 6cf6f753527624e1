"""KAD: the distance between two sets of embeddings by a kernel, without a bias by their size."""

from __future__ import annotations

import numpy as np

SCALE = 100.0


def kernel_audio_distance(reference: np.ndarray, other: np.ndarray) -> float:
    """Kernel audio distance: the unbiased squared maximum mean discrepancy, times 100.

    Formula: `100 (mean k(x, x') + mean k(y, y') - 2 mean k(x, y))` over pairs of different rows,
    with `k(a, b) = exp(-|a - b|^2 / (2 s^2))` and `s` the median distance of two rows of the
    reference.

    Known answers: 0 in the mean for two samples of one distribution (single values fall below 0,
    too); 200 at most.

    How it fails: it depends on the embedding alone, so it never hears what the embedding does not;
    rows that overlap in time are not independent, so that short audio scores too high. Compare
    audio of one length.

    Args:
        reference: `(n, d)`, two rows or more.
        other: `(m, d)`, two rows or more.

    Returns:
        A number without a unit. It compares audio by one embedding and one reference only.

    Raises:
        ValueError: fewer than two rows in either set.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(2, 200, 8))
        >>> round(kernel_audio_distance(rows[0], rows[1]))
        0
        >>> kernel_audio_distance(rows[0], rows[1] + 3) > 50
        True

    Reference:
        Chung, Eu, Lee, Choi, Nam and Chon, "KAD: No More FAD! An Effective and Efficient
        Evaluation Metric for Audio Generation", arXiv 2502.15602, 2025; Gretton et al., "A Kernel
        Two-Sample Test", JMLR 13, 2012, lemma 6.
    """
    if min(len(reference), len(other)) < 2:
        raise ValueError("the kernel audio distance needs two rows or more of each set")
    within = squared_distances(reference, reference)
    pairs = within[np.triu_indices(len(within), 1)]
    bandwidth = max(float(np.median(np.sqrt(pairs))), 1e-12)

    def kernel(squares: np.ndarray) -> np.ndarray:
        values: np.ndarray = np.exp(-squares / (2 * bandwidth**2))
        return values

    across = kernel(squared_distances(reference, other)).mean()
    own = kernel(squared_distances(other, other))
    own_mean = (own.sum() - np.trace(own)) / (len(own) * (len(own) - 1))
    return float(SCALE * (kernel(pairs).mean() + own_mean - 2 * across))


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances of all rows: `(n, d)` and `(m, d)` to `(n, m)`."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    squares = np.square(a).sum(axis=1)[:, None] + np.square(b).sum(axis=1) - 2 * a @ b.T
    return np.maximum(squares, 0)
