"""Which music a generator plays that was trained on several."""

import difflib
from collections.abc import Sequence

import numpy as np

from .errors import ServingError
from .metadata import Label

LARGEST = 1e6  # weight: all of them in sum are finite, too


def read_music(words: Sequence[str], labels: Sequence[Label]) -> np.ndarray:
    """Weights from words such as `night` or `night=0.7,day=0.3`.

    Args:
        words: one for all streams, or one per stream.
        labels: of the file.

    Returns:
        float32 `(words, labels)`, each row in sum 1.

    Raises:
        ServingError: no such music, or a weight that is none.

    Example:
        >>> labels = [Label("night", 0.5), Label("day", 0.5)]
        >>> read_music(["day", "night=3,day=1"], labels).tolist()
        [[0.0, 1.0], [0.75, 0.25]]
    """
    names = [label.name for label in labels]
    if not names:
        raise ServingError("--music: this file names no music; train `default` on several files")
    weights = np.zeros((len(words), len(names)))
    for row, word in zip(weights, words, strict=True):
        for part in word.split(","):
            name, equals, number = part.partition("=")
            name = name if name in names else name.strip()
            if name not in names:
                near = difflib.get_close_matches(name, names, 3, 0.4) or names[:3]
                raise ServingError(
                    f"no music {name!r:.60}: nearest of {len(names)}: {', '.join(near)}"
                )
            try:
                weight = float(number) if equals else 1.0
            except ValueError:
                weight = -1.0
            if not 0 <= weight <= LARGEST:
                raise ServingError(
                    f"--music {word:.60}: give NAME or NAME=WEIGHT,NAME=WEIGHT, with weights from "
                    f"0 to {LARGEST:g}"
                )
            row[names.index(name)] = weight
        if not row.sum() > 0:
            raise ServingError(f"--music {word:.60}: the weights add up to nothing")
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def random_music(labels: Sequence[Label], random_seed: int, streams: int) -> np.ndarray:
    """One music for each stream, drawn by its share of the train part.

    Stream `i` depends on `(random_seed, i)` alone.

    Returns:
        float32 `(streams, labels)`, of 0 and 1.
    """
    shares = np.array([label.share for label in labels])
    shares = shares / shares.sum()
    rngs = [np.random.default_rng([random_seed, stream, 1]) for stream in range(streams)]
    return np.eye(len(labels), dtype=np.float32)[[r.choice(len(labels), p=shares) for r in rngs]]
