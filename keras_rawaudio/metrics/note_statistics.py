"""Which notes there are, how many and how long: histograms of two transcriptions compared."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.metrics.timed import Timed


def pitch_class_distance(reference: Timed, other: Timed) -> float | None:
    """How much of the sounding time would have to move to another pitch class.

    Formula: half of the summed differences (total variation) of the histograms over the 12 pitch
    classes, each note weighted by its length.

    Known answers: 0 for the same key and use of it, also in another octave; 1 where no pitch class
    is common.

    How it fails: a transposed piece is far away; overtones that are taken for notes count.

    Args:
        reference: notes, from `NoteTranscriber.notes`.
        other: likewise.

    Returns:
        0 to 1; None where either has no note.

    Example:
        >>> def note(pitch):
        ...     return Timed(1.0, np.zeros(1), np.array([[pitch, 0.5, 0.9]]))
        >>> pitch_class_distance(note(60), note(72)), pitch_class_distance(note(60), note(61))
        (0.0, 1.0)
    """
    if len(reference.values) == 0 or len(other.values) == 0:
        return None
    a, b = (
        np.bincount(notes.values[:, 0].astype(int) % 12, notes.values[:, 1], minlength=12)
        for notes in (reference, other)
    )
    return float(np.abs(a / a.sum() - b / b.sum()).sum() / 2)


def note_density(notes: Timed) -> float:
    """Notes per second.

    How it fails: noise and drums are taken for notes, soft onsets are missed.

    Example:
        >>> note_density(Timed(2.0, np.zeros(5), np.zeros((5, 3))))
        2.5
    """
    return len(notes.values) / notes.seconds


def note_length_distance(reference: Timed, other: Timed) -> float | None:
    """How far note lengths lie apart, in doublings.

    Formula: the Wasserstein distance of the distributions of `log2(length)`.

    Known answers: 0 for equal distributions; 1 where every note is twice as long.

    How it fails: a note that is cut in two by a false onset is two short ones.

    Args:
        reference: notes, from `NoteTranscriber.notes`.
        other: likewise.

    Returns:
        0 or more; None where either has no note.

    Example:
        >>> def note(length):
        ...     return Timed(1.0, np.zeros(1), np.array([[60, length, 0.9]]))
        >>> note_length_distance(note(0.25), note(0.5))
        1.0
    """
    from scipy.stats import wasserstein_distance

    if len(reference.values) == 0 or len(other.values) == 0:
        return None
    lengths = [np.log2(notes.values[:, 1]) for notes in (reference, other)]
    return float(wasserstein_distance(*lengths))
