"""Distances of transcriptions by basic-pitch."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

import numpy as np

from keras_rawaudio.metrics.melodic_intervals import (
    interval_bigram_distance,
    longest_copied_melody,
)
from keras_rawaudio.metrics.note_statistics import (
    note_density,
    note_length_distance,
    pitch_class_distance,
)
from keras_rawaudio.metrics.note_transcription import NoteTranscriber
from keras_rawaudio.metrics.timed import Timed


class NoteComparison:
    """Which notes, how many, how long, in which steps, and the longest run of copied steps."""

    def installed(self) -> bool:
        """Whether the weights, and ONNX Runtime to run them, are here."""
        try:
            distribution("basic-pitch")
            distribution("onnxruntime")
        except PackageNotFoundError:
            return False
        return True

    def features(self, audio: np.ndarray, rate: int) -> Timed:
        """A row per note: MIDI number, length in seconds, likelihood."""
        return NoteTranscriber.load().notes(audio, rate)

    def distances(self, train: Timed, other: Timed) -> dict[str, float | None]:
        """Each by its name. None where either has too few notes."""
        return {
            "pitch classes (distance)": pitch_class_distance(train, other),
            "notes per second": note_density(other),
            "note lengths (distance, doublings)": note_length_distance(train, other),
            "interval bigrams (distance, bits)": interval_bigram_distance(train, other),
            "copied melody (steps)": longest_copied_melody(train, other),
        }
