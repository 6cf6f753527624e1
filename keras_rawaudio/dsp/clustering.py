"""Clustering by k-means."""

from __future__ import annotations

import numpy as np


def clusters(
    points: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Sort points into clusters by k-means.

    Args:
        points: `(n, d)`, `n` not less than `count`.
        count: how many clusters; where many points are the same, some may stay empty.
        rng: of the start.

    Returns:
        Centres `(count, d)` and the cluster of each point `(n,)`.

    Example:
        >>> points = np.array([[0.0], [0.1], [5.0], [5.1]])
        >>> centres, labels = clusters(points, 2, np.random.default_rng(0))
        >>> sorted(centres.ravel().round(2).tolist()), bool(labels[0] != labels[2])
        ([0.05, 5.05], True)

    Reference:
        Arthur and Vassilvitskii 2007, "k-means++: the advantages of careful seeding".
    """
    import warnings

    from scipy.cluster.vq import kmeans2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster keeps its centre
        return kmeans2(points, count, iter=25, minit="++", seed=rng, missing="warn")
