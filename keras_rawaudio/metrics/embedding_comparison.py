"""Distances of music in the features of musicnn."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

import numpy as np

from keras_rawaudio.metrics.coverage_density import NEIGHBOURS, coverage_density
from keras_rawaudio.metrics.frechet_audio_distance import frechet_audio_distance
from keras_rawaudio.metrics.kernel_audio_distance import kernel_audio_distance
from keras_rawaudio.metrics.musicnn import MusicNN
from keras_rawaudio.metrics.timed import Timed


class EmbeddingComparison:
    """KAD, coverage, density and FAD in the features of musicnn."""

    def installed(self) -> bool:
        """Whether the weights are here."""
        try:
            distribution("musicnn")
        except PackageNotFoundError:
            return False
        return True

    def features(self, audio: np.ndarray, rate: int) -> Timed:
        """Rows of 200 values, of windows of 3 s every 0.5 s."""
        return MusicNN.load().features(audio, rate)

    def distances(self, train: Timed, other: Timed) -> dict[str, float | None]:
        """Each by its name. None where either is too short.

        The rows of the train part that coverage and density count are chosen not to overlap.
        """
        names = ("KAD (musicnn)", "coverage (musicnn)", "density (musicnn)", "FAD (musicnn)")
        apart = without_overlap(train)
        if len(apart) <= NEIGHBOURS or len(other.values) < 2:
            return dict.fromkeys(names)
        values = (
            kernel_audio_distance(train.values, other.values),
            *coverage_density(apart, other.values),
            frechet_audio_distance(train.values, other.values),
        )
        return dict(zip(names, values, strict=True))


def without_overlap(rows: Timed) -> np.ndarray:
    """The rows that share no audio with the last one taken.

    Example:
        >>> rows = Timed(5.0, np.arange(5.0), np.arange(5.0)[:, None], 2.0)
        >>> without_overlap(rows).ravel().tolist()
        [0.0, 2.0, 4.0]
    """
    chosen: list[int] = []
    end = -np.inf
    for i, start in enumerate(rows.start):
        if start >= end:
            chosen.append(i)
            end = start + rows.span
    return rows.values[chosen]
