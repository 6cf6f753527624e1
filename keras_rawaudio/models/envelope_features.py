"""Envelope features: levels of frequency bands and of the whole signal over a window."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

MIN_BAND_POWER = 1e-5  # power of a band below which it is silent
MIN_POWER = 1e-7  # the same of the whole signal
WARP = 10.0  # bands are even at the bottom and widen towards the top, much as hearing has them


class EnvelopeFeatures:
    """Levels of frequency bands, of the signal, and of its changes from sample to sample.

    Bands are measured through a Hann window over all samples, the two levels over the later half. A
    number is a quarter of the logarithm of a power: 0.1 are 1.7 dB.

    Args:
        window: samples that are looked at, even.
        bands: how many bands.

    Attributes:
        num_features: numbers in a description, `bands + 2`.

    Example:
        >>> bands = EnvelopeFeatures(window=256, bands=20)
        >>> bands(ops.zeros((3, 256))).shape
        TensorShape([3, 22])
    """

    def __init__(self, window: int, bands: int = 20) -> None:
        self.window = window
        self.num_features = bands + 2
        turns = np.outer(np.arange(window), np.arange(window // 2 + 1)) % window / window
        shape = np.hanning(window + 1)[:window, None]
        self._cosine = (np.cos(2 * np.pi * turns) * shape).astype("float32")
        self._sine = (np.sin(2 * np.pi * turns) * shape).astype("float32")
        self._triangles = _triangles(window // 2 + 1, bands)

    def __call__(self, x: Any) -> Any:
        """`(..., window)` samples to `(..., features)`."""
        power = ops.square(ops.matmul(x, self._cosine)) + ops.square(ops.matmul(x, self._sine))
        levels = ops.log(ops.matmul(power, self._triangles) + MIN_BAND_POWER) * 0.25
        return ops.concatenate([levels, loudness(x[..., self.window // 2 :])], axis=-1)


def loudness(x: Any) -> Any:
    """The level of a signal and that of its changes from sample to sample.

    Args:
        x: `(..., n)` samples.

    Returns:
        `(..., 2)`, a quarter of the natural logarithm of `powers`.
    """
    return ops.log(powers(x)) * 0.25


def powers(x: Any) -> Any:
    """Mean squares of a signal and of its changes from sample to sample, never quite 0.

    Args:
        x: `(..., n)` samples.

    Returns:
        `(..., 2)`.

    Example:
        >>> powers(ops.convert_to_tensor([[0.5, -0.5, 0.5]])).numpy().round(3).tolist()
        [[0.25, 1.0]]
    """
    n = x.shape[-1]
    samples = np.eye(n, dtype="float32")
    both = np.concatenate([samples, samples[:, 1:] - samples[:, :-1]], axis=1)
    means = np.repeat(np.eye(2) / [n, n - 1], [n, n - 1], axis=0).astype("float32")
    return ops.matmul(ops.square(ops.matmul(x, both)), means) + np.full(2, MIN_POWER, "float32")


def _triangles(bins: int, bands: int) -> np.ndarray:
    """`(bins, bands)`: overlapping triangles, each of which sums to one."""
    place = np.log1p(WARP * np.linspace(0, 1, bins))
    edges = np.linspace(place[1], place[-1], bands + 2)
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    up = (place[:, None] - left) / (middle - left)
    down = (right - place[:, None]) / (right - middle)
    weights = np.maximum(0.0, np.minimum(up, down))
    # A band narrower than the bins lie apart takes the nearest one.
    empty = weights.sum(0) == 0
    nearest = np.abs(place[:, None] - middle).argmin(0)
    weights[nearest[empty], np.flatnonzero(empty)] = 1.0
    return (weights / weights.sum(0)).astype("float32")
