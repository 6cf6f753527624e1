"""Where silence ends, and where one part ends and the next begins."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

import numpy as np

from keras_rawaudio.data.corpus.settings import PARTS

Span = tuple[int, int, int]
"""(file, start, stop): samples start to stop of one file, counted in its own resampled samples."""

SILENCE_SECONDS = 0.02


def sounding_range(
    chunks: Iterable[np.ndarray], sample_rate: int, decibels: float
) -> tuple[int, int]:
    """First and last-plus-one sample between a silent head and a silent tail.

    The level is the root mean square over 20 ms: one click does not make silence loud, and a
    zero crossing does not make music silent. Of two channels it is the mean power. Whole stretches
    of 20 ms are kept or cut.

    Args:
        chunks: one file's samples as float32 `(n,)` or `(n, channels)` of any lengths, in order.
        sample_rate: in Hz.
        decibels: the level, relative to the greatest absolute sample, below which is silence.

    Returns:
        (start, stop), or (0, 0) where every sample is zero.

    Example:
        >>> tone = np.sin(np.arange(8000, dtype=np.float32))
        >>> silence = np.zeros(16000, np.float32)
        >>> sounding_range([silence, tone, silence], 8000, -60)
        (16000, 24000)
    """
    stretch = max(1, round(SILENCE_SECONDS * sample_rate))
    squares: list[np.ndarray] = []
    peak, count, rest = 0.0, 0, np.zeros(0, np.float32)
    for chunk in chunks:
        peak = max(peak, float(np.max(np.abs(chunk), initial=0.0)))
        count += len(chunk)
        power = np.square(chunk) if chunk.ndim == 1 else np.square(chunk).mean(axis=1)
        rest = np.concatenate([rest, power])
        whole = len(rest) // stretch * stretch
        squares.append(rest[:whole].reshape(-1, stretch).mean(axis=1))
        rest = rest[whole:]
    if len(rest):
        squares.append(rest.mean(keepdims=True))
    if peak == 0:
        return 0, 0
    levels = np.sqrt(np.concatenate(squares))
    # A lone click in a file of zeros is all the sound there is, however low its level.
    threshold = min(peak * 10 ** (decibels / 20), float(levels.max()))
    sounding = np.flatnonzero(levels >= threshold)
    return int(sounding[0]) * stretch, min((int(sounding[-1]) + 1) * stretch, count)


def split_in_time(
    ranges: Sequence[tuple[int, int]], fractions: tuple[float, float, float]
) -> dict[str, list[Span]]:
    """Give every sounding sample to one part, in the order of time.

    - One file is cut where its length says: at `int(0.8 n)` and `int(0.9 n)`.
    - Of two files the longer one is the train part; the other is cut between validation and
      test, in their ratio, so that nothing of the file that trains is ever tested on.
    - Three files and more stay whole: both borders lie between files, each part has at least
      one, and the borders are those nearest to the fractions of the length in sum.

    Args:
        ranges: (start, stop) of every file, in order; empty ones are left out.
        fractions: of the train, validation and test parts; they add up to 1.

    Returns:
        Part name to its spans in order; a part is empty only where there are too few samples.

    Example:
        >>> split_in_time([(5, 105)], (0.8, 0.1, 0.1))["test"]
        [(0, 95, 105)]
    """
    files = [(file, *span) for file, span in enumerate(ranges) if span[1] > span[0]]
    train, validation, test = fractions
    if len(files) == 1:
        cuts = _cut(files[0], [train, train + validation])
        return {part: [span] for part, span in zip(PARTS, cuts, strict=True) if span[2] > span[1]}
    if len(files) == 2:
        longer, shorter = sorted(files, key=lambda span: span[1] - span[2])
        cuts = [longer, *_cut(shorter, [validation / (validation + test)])]
        return {part: [span] for part, span in zip(PARTS, cuts, strict=True) if span[2] > span[1]}
    ends = np.cumsum([stop - start for _, start, stop in files])
    first, second = _borders(ends / max(1, ends[-1]), train, train + validation)
    return {"train": files[:first], "validation": files[first:second], "test": files[second:]}


def split_each_in_time(
    ranges: Sequence[tuple[int, int]],
    labels: Sequence[int],
    fractions: tuple[float, float, float],
) -> dict[str, list[Span]]:
    """`split_in_time` for the files of each label by themselves.

    Args:
        ranges: as there.
        labels: of every file.
        fractions: as there.

    Returns:
        As there, in the order of the files.

    Example:
        >>> split_each_in_time([(0, 100), (0, 50)], [0, 1], (0.8, 0.1, 0.1))["train"]
        [(0, 0, 80), (1, 0, 40)]
    """
    parts: dict[str, list[Span]] = {part: [] for part in PARTS}
    for label in sorted(set(labels)):
        own = [span if of == label else (0, 0) for span, of in zip(ranges, labels, strict=True)]
        if any(stop > start for start, stop in own):
            for part, spans in split_in_time(own, fractions).items():
                parts[part] += spans
    return {part: sorted(spans) for part, spans in parts.items()}


def _cut(span: Span, fractions: list[float]) -> list[Span]:
    file, start, stop = span
    # The tiny addend keeps 0.7 + 0.2 from losing a sample to binary fractions.
    inner = [start + int((stop - start) * fraction + 1e-9) for fraction in fractions]
    borders = [start, *inner, stop]
    return [(file, a, b) for a, b in itertools.pairwise(borders)]


def _borders(ends: np.ndarray, first: float, second: float) -> tuple[int, int]:
    """The numbers of files before each border, 1 <= a < b < files, nearest to both targets."""
    count = len(ends)
    distance_a, distance_b = np.abs(ends - first), np.abs(ends - second)
    best_a = 0  # the index of the last file before border a, the best up to here
    best = (np.inf, 0, 0)
    for index_b in range(1, count - 1):
        if distance_a[index_b - 1] < distance_a[best_a]:
            best_a = index_b - 1
        best = min(best, (distance_a[best_a] + distance_b[index_b], best_a + 1, index_b + 1))
    return best[1], best[2]
