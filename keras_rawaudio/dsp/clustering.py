"""Clustering by k-means: centres, or points that stand for clusters."""

from __future__ import annotations

import numpy as np

ITERATIONS = 8  # of the search for medoids


def kmeans(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Centres of clusters, from a start by k-means++.

    This start takes a time that grows with the square of `count`: it is for hundreds of clusters.

    Args:
        points: `(n, d)`, `n` not less than `count`.
        count: how many clusters; where many points are the same, some may stay empty.
        rng: of the start.

    Returns:
        `(count, d)`.

    Example:
        >>> points = np.array([[0.0], [0.1], [5.0], [5.1]])
        >>> centres = kmeans(points, 2, np.random.default_rng(0))
        >>> sorted(centres.ravel().round(2).tolist())
        [0.05, 5.05]

    Reference:
        Arthur and Vassilvitskii 2007, "k-means++: the advantages of careful seeding".
    """
    import warnings

    from scipy.cluster.vq import kmeans2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty cluster keeps its centre
        centres, _ = kmeans2(points, count, iter=25, minit="++", seed=rng, missing="warn")
    return np.asarray(centres)


def medoids(points: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """The points that are nearest to the centres of clusters, all of them different.

    It starts from random points, and is for a thousand clusters. An empty cluster begins anew at a
    random point.

    Args:
        points: `(n, d)`, `n` not less than `count`.
        count: how many.
        rng: of the start.

    Returns:
        Their indices, `(count,)`.

    Example:
        >>> points = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
        >>> sorted(medoids(points, 2, np.random.default_rng(0)).tolist())
        [1, 4]
    """
    centres = points[rng.permutation(len(points))[:count]].copy()
    for _ in range(ITERATIONS):
        labels = nearest(points, centres)
        sizes = np.bincount(labels, minlength=count)
        sums = np.zeros_like(centres)
        np.add.at(sums, labels, points)
        used = sizes > 0
        centres[used] = sums[used] / sizes[used, None]
        centres[~used] = points[rng.integers(0, len(points), (~used).sum())]
    chosen = np.unique(nearest(centres, points))
    others = rng.permutation(np.setdiff1d(np.arange(len(points)), chosen))
    return np.concatenate([chosen, others[: count - len(chosen)]])


def nearest(points: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Index of the entry that is nearest to each point.

    Args:
        points: `(n, d)`.
        entries: `(k, d)`.

    Returns:
        `(n,)`.

    Example:
        >>> nearest(np.array([[0.2], [0.9]]), np.array([[1.0], [0.0]])).tolist()
        [1, 0]
    """
    offset = 0.5 * np.square(entries).sum(axis=1)
    starts = range(0, max(1, len(points)), 4096)
    found = [(points[i : i + 4096] @ entries.T - offset).argmax(axis=1) for i in starts]
    return np.concatenate(found)
