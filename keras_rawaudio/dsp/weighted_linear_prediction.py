"""Linear prediction for likelihood: least squares in which each sample counts by its own scale."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.errors import UserError

STRETCH = 8000  # samples of a stretch
STRETCHES = 40  # more hardly change the result
WINDOW = 16  # residuals that set the scale
MINIMUM_RESIDUAL_SCALE = 1e-4
NOISE = 3e-4  # standard deviation of the noise that is assumed on the past
ITERATIONS = 3  # the first is plain least squares
RADIUS = 0.9998  # a pole there rings for 5000 samples


def fit_weighted_prediction(
    segments: Sequence[np.ndarray],
    order: int,
    radius: float = RADIUS,
    seed: int = 0,
) -> np.ndarray:
    """Coefficients that predict well where the audio is quiet, too.

    Plain least squares is dominated by loud passages. A likelihood whose scale follows the
    residual weighs each residual by that scale. So each iteration divides by the square of the
    scale that the last iteration found (iteratively reweighted least squares). White noise is
    assumed on the past, which keeps coefficients small and the free-running filter calm.

    Args:
        segments: floats in [-1, 1], each `(n,)`, contiguous.
        order: how many past values.
        radius: largest pole radius of the synthesis filter; one with a pole further out gets
            bandwidth expansion, so that its ringing dies away.
        seed: of the choice of stretches to fit on.

    Returns:
        `(order,)` float64: `prediction[t] = sum_k a[k] * x[t-1-k]`.

    Raises:
        UserError: no segment is longer than `order`.

    Example:
        >>> x = np.sin(0.3 * np.arange(9000))
        >>> a = fit_weighted_prediction([x], order=2)
        >>> bool(abs(a[0] - 1.9107) < 0.01 and abs(a[1] + 1) < 0.01)
        True

    Reference:
        Green 1984, "Iteratively reweighted least squares for maximum likelihood estimation".
    """
    stretches = _choose(segments, order, np.random.default_rng(seed))
    a: np.ndarray = np.zeros(order)
    for iteration in range(ITERATIONS):
        matrix, right = np.zeros((order, order)), np.zeros(order)
        for x in stretches:
            past = np.lib.stride_tricks.sliding_window_view(x[:-1], order)[:, ::-1]
            now = x[order:]
            weights = np.ones(len(now)) if iteration == 0 else residual_weights(now - past @ a)
            weighted = past * weights[:, None]
            matrix += weighted.T @ past + np.eye(order) * NOISE**2 * weights.sum()
            right += weighted.T @ now
        a = np.asarray(np.linalg.solve(matrix, right))
    return expand_bandwidth(a, radius)


def expand_bandwidth(a: np.ndarray, radius: float) -> np.ndarray:
    """The filter with its poles scaled inwards until none lies beyond a radius.

    Args:
        a: `(order,)`, newest value first.
        radius: of the outermost pole at most.

    Returns:
        `(order,)` float64.

    Example:
        >>> expand_bandwidth(np.array([2.0]), radius=0.5).tolist()  # the pole lies at 2
        [0.5]
    """
    outermost = np.abs(np.roots(np.concatenate([[1.0], -a]))).max()
    return np.asarray(a * (radius / max(radius, outermost)) ** np.arange(1, len(a) + 1))


def residual_weights(residual: np.ndarray) -> np.ndarray:
    """Weight of each residual: one over the squared scale of the residuals before it.

    Args:
        residual: `(n,)`.

    Returns:
        `(n,)` float64.

    Example:
        >>> weights = residual_weights(np.full(40, 0.5))
        >>> round(float(weights[-1]), 1)  # about 1 / 0.5^2
        4.0
    """
    size = np.abs(residual)
    before = np.concatenate([np.zeros(WINDOW), size])
    scale = _running_mean(before, WINDOW)[:-1] + MINIMUM_RESIDUAL_SCALE
    # A sudden large residual must not count too much.
    return np.asarray(1.0 / np.square(np.maximum(scale, size / 2)))


def _running_mean(values: np.ndarray, window: int) -> np.ndarray:
    sums = np.cumsum(np.concatenate([[0.0], values]))
    return np.asarray((sums[window:] - sums[:-window]) / window)


def _choose(
    segments: Sequence[np.ndarray], order: int, rng: np.random.Generator
) -> list[np.ndarray]:
    places = [
        (s, start)
        for s, segment in enumerate(segments)
        for start in range(order, len(segment), STRETCH)
    ]
    if not places:
        raise UserError(
            f"the audio is too short: no stretch of it is longer than the {order} samples that the "
            "linear prediction looks back on; use longer audio or a lower order"
        )
    if len(places) > STRETCHES:
        places = [places[i] for i in sorted(rng.choice(len(places), STRETCHES, replace=False))]
    return [np.asarray(segments[s][p - order : p + STRETCH], np.float64) for s, p in places]
