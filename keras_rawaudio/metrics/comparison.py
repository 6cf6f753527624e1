"""What compares generated audio with a piece: features along time, and distances between them."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from keras_rawaudio.metrics.embedding_comparison import EmbeddingComparison
from keras_rawaudio.metrics.note_comparison import NoteComparison
from keras_rawaudio.metrics.octave_comparison import OctaveComparison
from keras_rawaudio.metrics.timed import Timed


class Comparison(Protocol):
    """Features that are computed once of each audio, and what is read off two of them."""

    def features(self, audio: np.ndarray, rate: int) -> Timed:
        """Of `(n,)` or `(n, channels)` in [-1, 1]."""
        ...

    def distances(self, train: Timed, other: Timed) -> dict[str, float | None]:
        """Figures by their names; None where there is nothing to compare."""
        ...


def available_comparisons() -> list[Comparison]:
    """All that can be computed here: octaves always, the others where their extra is installed."""
    every = (OctaveComparison(), EmbeddingComparison(), NoteComparison())
    return [comparison for comparison in every if comparison.installed()]
