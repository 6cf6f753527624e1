"""Timbre: the distance between cepstral statistics, beside the distance of the piece to itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_rawaudio.dsp.spectra import log_mel

COEFFICIENTS = 20
HOP_SECONDS = 0.032
LENGTHS = (1.0, 2.0, 5.0, 10.0, 20.0, 40.0)


@dataclass(frozen=True)
class Statistics:
    """Count, sum `(d,)` and sum of outer products `(d, d)` of cepstral frames; they add up."""

    count: float
    total: np.ndarray
    outer: np.ndarray

    @classmethod
    def of(cls, frames: np.ndarray) -> Statistics:
        frames = frames.astype(np.float64)
        return cls(len(frames), frames.sum(axis=0), frames.T @ frames)

    def without(self, other: Statistics) -> Statistics:
        return Statistics(
            self.count - other.count, self.total - other.total, self.outer - other.outer
        )

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean `(d,)` and covariance `(d, d)`."""
        mean = self.total / self.count
        return mean, self.outer / self.count - np.outer(mean, mean)


def cepstra(audio: np.ndarray, rate: int) -> np.ndarray:
    """20 mel-frequency cepstral coefficients per frame of 64 ms, every 32 ms.

    The orthonormal cosine transform of 40 log mel bands; the first one is the loudness.

    Args:
        audio: `(n,)` or `(n, channels)`.
        rate: samples per second.

    Returns:
        `(frames, 20)` float32.

    Example:
        >>> cepstra(np.zeros(8000), 8000).shape
        (30, 20)

    Reference:
        Davis and Mermelstein, IEEE Trans. ASSP 28(4), 1980.
    """
    from scipy.fft import dct

    bands: np.ndarray = dct(log_mel(audio, rate, hop=HOP_SECONDS), norm="ortho", axis=1)[
        :, :COEFFICIENTS
    ]
    return bands


def frechet_distance(a: tuple[np.ndarray, np.ndarray], b: tuple[np.ndarray, np.ndarray]) -> float:
    """Frechet distance between two normal distributions.

    `|m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2))`; 0 for equal ones.

    Args:
        a: mean `(d,)` and covariance `(d, d)`.
        b: likewise.

    Returns:
        The distance, in squared units of the mean.

    Example:
        >>> frechet_distance((np.zeros(2), np.eye(2)), (np.array([3.0, 0.0]), 4 * np.eye(2)))
        11.0

    Reference:
        Dowson and Landau, J. Multivariate Analysis 12, 1982; Kilgour et al., "Frechet Audio
        Distance", Interspeech 2019 (there over a network's embeddings).
    """
    (mean_a, cov_a), (mean_b, cov_b) = a, b
    roots = np.sqrt(np.maximum(np.linalg.eigvals(cov_a @ cov_b).real, 0)).sum()
    distance = np.square(mean_a - mean_b).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * roots
    return float(max(distance, 0.0))


def own_distances(frames: Sequence[np.ndarray], per_second: float) -> dict[str, list[float]]:
    """How far the piece's own excerpts lie from the rest of it, by length.

    Args:
        frames: cepstra of each stretch of the train part, each `(frames, 20)`.
        per_second: frames per second.

    Returns:
        `seconds`, and the `median` and `high` (90 %) distance of excerpts of that length from all
        but themselves. Lengths over a third of the whole are left out (one at least stays).
    """
    everything = np.concatenate(list(frames))
    whole = Statistics.of(everything)
    table: dict[str, list[float]] = {"seconds": [], "median": [], "high": []}
    for seconds in LENGTHS:
        length = round(seconds * per_second)
        if table["seconds"] and length * 3 > len(everything):
            break
        length = max(2, min(length, len(everything) // 2))
        starts = np.linspace(0, len(everything) - length, 48).round().astype(int)
        distances = []
        for start in np.unique(starts):
            part = Statistics.of(everything[start : start + length])
            distances.append(frechet_distance(part.moments(), whole.without(part).moments()))
        table["seconds"].append(float(seconds))
        table["median"].append(float(np.median(distances)))
        table["high"].append(float(np.quantile(distances, 0.9)))
    return table


def cepstral_ratio(frames: np.ndarray, whole: Statistics, own: dict[str, list[float]]) -> float:
    """Distance of an excerpt from the piece, over that of the piece's own excerpts of its length.

    Near 1 for the piece itself; 10 and more for noise or silence.

    How it fails: order in time is ignored (a shuffled piece scores 1); excerpts of few seconds are
    noisy, hence the median over own excerpts of equal length (between the measured lengths it is
    interpolated, on logarithmic scales).

    Args:
        frames: cepstra of the excerpt, `(frames, 20)`, two frames at least.
        whole: statistics of the train part.
        own: from `own_distances`.
    """
    usual = _own_distance(len(frames), own, "median")
    return frechet_distance(Statistics.of(frames).moments(), whole.moments()) / usual


def own_spread(frames: int, own: dict[str, list[float]]) -> float:
    """The ratio that 90 % of the piece's own excerpts of so many frames stay under.

    A few seconds make the ratio noisy: one under this says no more than that it may be the piece.
    """
    return _own_distance(frames, own, "high") / _own_distance(frames, own, "median")


def _own_distance(frames: int, own: dict[str, list[float]], which: str) -> float:
    seconds = frames * HOP_SECONDS
    distances = np.log(np.maximum(own[which], 1e-9))
    return float(np.exp(np.interp(np.log(seconds), np.log(own["seconds"]), distances)))
