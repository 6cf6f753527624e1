"""FAD: the Frechet distance between normal distributions fitted to two sets of embeddings."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.metrics.cepstral import frechet_distance


def frechet_audio_distance(reference: np.ndarray, other: np.ndarray) -> float:
    """Frechet audio distance, with the bias that small samples give it.

    Formula: `|m1 - m2|^2 + trace(C1 + C2 - 2 (C1 C2)^(1/2))` of the means and covariances.

    Known answers: 0 for a set and itself; the squared distance of the means where the covariances
    are equal.

    How it fails: it is biased by the size of the samples. Two samples of one distribution are
    apart by about `d / n` times the variance and more, and covariances of fewer rows than columns
    are singular, so short audio scores worse than long audio of the same kind. Compare equal
    numbers of rows only. The embedding here is musicnn's: never put it beside published figures,
    which are of VGGish. `kernel_audio_distance` has no such bias.

    Args:
        reference: `(n, d)`.
        other: `(m, d)`, two rows or more.

    Returns:
        0 or more, in squared units of the embedding.

    Example:
        >>> rows = np.random.default_rng(0).normal(size=(300, 4))
        >>> round(frechet_audio_distance(rows, rows + [3, 0, 0, 0]), 6)
        9.0

    Reference:
        Kilgour, Zuluaga, Roblek and Sharifi, "Frechet Audio Distance", Interspeech 2019; Gui,
        Gamper, Braun and Emmanouilidou, "Adapting Frechet Audio Distance for Generative Music
        Evaluation", ICASSP 2024 (on the bias).
    """
    return frechet_distance(_moments(reference), _moments(other))


def _moments(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.mean(axis=0, dtype=np.float64), np.cov(np.asarray(rows, np.float64), rowvar=False)
