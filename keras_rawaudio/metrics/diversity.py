"""Diversity: how different are streams that were generated side by side?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.metrics.train_set_similarity import TrainSet


def diversity(streams: Sequence[np.ndarray], rate: int) -> float | None:
    """One less the mean best match of any two seconds of a stream with any other stream.

    Formula: `1 - mean(c)`, where `c` is, for each two seconds of each stream, the greatest
    correlation of their log mel spectra with two seconds of another stream, at any offset in time
    (see `train_set_similarity.TrainSet`).

    Known answers: 0 for streams that are copies of each other, also when shifted in time; about
    0.9 for white noise; a piece's own excerpts say what is usual.

    How it fails: streams of a piece built on one loop are rightly alike; noise is very diverse;
    more and longer streams have more tries, so compare equal numbers and lengths.

    Args:
        streams: mono audio, each `(n,)` of two seconds or more.
        rate: samples per second.

    Returns:
        0 to 1; None for less than two streams, or streams too short.

    Example:
        >>> streams = np.random.default_rng(0).normal(size=(2, 32000)) / 10
        >>> diversity(streams, 8000) > 0.5
        True
        >>> round(diversity([streams[0], streams[0]], 8000), 3)
        0.0
    """
    matched = []
    for i, stream in enumerate(streams):
        others = [other for j, other in enumerate(streams) if j != i]
        if others:
            matched.append(TrainSet(others, rate).matches(stream).correlation)
    found = np.concatenate([*matched, np.zeros(0)])
    return 1 - float(found.mean()) if len(found) else None


def own_diversity(
    segments: Sequence[np.ndarray], rate: int, count: int, seconds: float
) -> float | None:
    """What excerpts of the piece have, `count` of them, evenly spaced, each of so many seconds."""
    length = round(seconds * rate)
    longest = max(segments, key=len)
    if count < 2 or len(longest) < count * length:
        return None
    starts = np.linspace(0, len(longest) - length, count).round().astype(int)
    return diversity([longest[s : s + length] for s in starts], rate)
