"""Melody as steps from note to note, which a transposition does not change."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.metrics.timed import Timed

TOGETHER = 0.05  # seconds within which notes begin as one chord
LARGEST = 12  # semitones; greater steps count as this one


def melodic_intervals(notes: Timed) -> np.ndarray:
    """Steps of the highest line, in semitones.

    Notes that begin within 50 ms are one chord, of which the highest counts (the skyline).

    Args:
        notes: from `NoteTranscriber.notes`.

    Returns:
        `(n,)` integers; one fewer than chords.

    Example:
        >>> starts = np.array([0.0, 0.01, 1.0, 2.0])
        >>> pitches = np.array([[48.0], [60.0], [62.0], [59.0]])
        >>> melodic_intervals(Timed(3.0, starts, pitches)).tolist()
        [2, -3]

    Reference:
        Uitdenbogerd and Zobel, "Manipulation of Music for Melody Matching", ACM Multimedia 1998.
    """
    line: list[float] = []
    chord = -np.inf
    for start, pitch in zip(notes.start, notes.values[:, 0], strict=True):
        if start - chord > TOGETHER:
            chord = start
            line.append(pitch)
        else:
            line[-1] = max(line[-1], pitch)
    steps: np.ndarray = np.diff(line).astype(int)
    return steps


def interval_bigram_distance(reference: Timed, other: Timed) -> float | None:
    """How differently one step of the melody follows another.

    Formula: the Jensen-Shannon divergence, in bits, of the distributions of pairs of steps that
    follow each other; steps of an octave and more count as one.

    Known answers: 0 for the same melody, transposed or not; 1 where no pair is common.

    How it fails: short audio has few of the 625 pairs, so even the piece's own excerpts are some
    tenths away: compare with theirs. The highest line is no melody where a cymbal is a note.

    Args:
        reference: notes, from `NoteTranscriber.notes`.
        other: likewise.

    Returns:
        0 to 1; None where either has fewer than three chords.

    Reference:
        Lin, "Divergence Measures Based on the Shannon Entropy", IEEE Trans. Information Theory
        37(1), 1991.
    """
    a, b = (_bigrams(melodic_intervals(notes)) for notes in (reference, other))
    if a.sum() == 0 or b.sum() == 0:
        return None
    a, b = a / a.sum(), b / b.sum()
    middle = (a + b) / 2
    return float(_entropy(middle) - (_entropy(a) + _entropy(b)) / 2)


def longest_copied_melody(reference: Timed, other: Timed) -> int:
    """The longest run of steps that the reference has as well, at any pitch, in any rhythm.

    Known answers: all steps for a copy, transposed or not; one or two steps for unrelated melodies.

    How it fails: a note that is repeated, a scale, a common pattern match by chance, so compare
    with the piece's own excerpts; a copy with one wrong note in the middle counts by half.

    Args:
        reference: notes, from `NoteTranscriber.notes`.
        other: likewise.

    Returns:
        Number of steps, one less than of notes.

    Example:
        >>> def melody(pitches):
        ...     return Timed(9.0, np.arange(float(len(pitches))), np.array(pitches)[:, None])
        >>> longest_copied_melody(melody([60, 62, 64, 65, 67]), melody([50, 40, 42, 44, 45]))
        3
    """
    known, steps = melodic_intervals(reference), melodic_intervals(other)
    # Runs that end here: of the steps before, one longer where this step matches.
    longest, runs = 0, np.zeros(len(known) + 1, int)
    for step in steps:
        runs[1:] = np.where(known == step, runs[:-1] + 1, 0)
        longest = max(longest, int(runs.max()))
    return longest


def _bigrams(steps: np.ndarray) -> np.ndarray:
    size = 2 * LARGEST + 1
    index = np.clip(steps, -LARGEST, LARGEST) + LARGEST
    return np.bincount(index[:-1] * size + index[1:], minlength=size**2).astype(float)


def _entropy(shares: np.ndarray) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log2(some)).sum())
