"""Coverage and density: how much of the reference is reached, and how close to it."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.metrics.kernel_audio_distance import squared_distances

NEIGHBOURS = 5


def coverage_density(
    reference: np.ndarray, other: np.ndarray, neighbours: int = NEIGHBOURS
) -> tuple[float, float]:
    """Share of the reference that has a row of the other set near, and how many are near.

    Formula: around each row of the reference lies a ball that reaches to its `neighbours`-th
    nearest row of the reference. Coverage is the share of balls that hold a row of the other set.
    Density is the number of balls that a row of the other set lies in, over `neighbours`.

    Known answers: for two samples of one distribution coverage tends to `1 - 2^-neighbours` at
    equal sizes (0.97 for 5), and density to 1; both are 0 for sets that are far apart.

    How it fails: coverage grows with the rows of the other set, so compare equal numbers only; rows
    of the reference that overlap in time are each other's neighbours, which leaves no room for
    anything else in the balls, so give rows that do not overlap; density can be over 1.

    Args:
        reference: `(n, d)`, more rows than `neighbours`.
        other: `(m, d)`, one row or more.
        neighbours: int. Which neighbour a ball reaches to.

    Returns:
        Coverage, 0 to 1, and density, 0 or more.

    Raises:
        ValueError: too few rows.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(2, 500, 2))
        >>> coverage, density = coverage_density(rows[0], rows[1])
        >>> coverage > 0.9, round(density)
        (True, 1)
        >>> coverage_density(rows[0], rows[1] + 100)
        (0.0, 0.0)

    Reference:
        Naeem, Oh, Uh, Choi and Yoo, "Reliable Fidelity and Diversity Metrics for Generative
        Models", ICML 2020.
    """
    if len(reference) <= neighbours or len(other) == 0:
        raise ValueError(
            f"coverage needs more than {neighbours} rows of the reference, and one of the other set"
        )
    within = squared_distances(reference, reference)
    np.fill_diagonal(within, -1)  # a row comes before its own first neighbour
    radius = np.partition(within, neighbours, axis=1)[:, neighbours]
    inside = squared_distances(reference, other) <= radius[:, None]
    return float(inside.any(axis=1).mean()), float(inside.sum() / neighbours / len(other))
