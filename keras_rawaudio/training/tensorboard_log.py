"""What TensorBoard shows of a training: curves, gates, audio and spectrograms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_rawaudio.files import write_errors
from keras_rawaudio.training.csv_log import numbers
from keras_rawaudio.training.gate_statistics import saturation


class TensorBoardLog:
    """Writes event files.

    Args:
        folder: where they go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with write_errors(folder):
            self._writer = tf.summary.create_file_writer(str(folder))

    def scalars(self, step: int, row: Mapping[str, Any]) -> None:
        """Add the numbers of a validation to the curves."""
        with self._at(step):
            for name, value in numbers(row).items():
                tf.summary.scalar(name, value)

    def audio(self, step: int, audio: np.ndarray, rate: int, picture: Path) -> None:
        """Show generated audio `(n,)` or `(n, channels)` and its spectrogram."""
        image = tf.io.decode_png(picture.read_bytes(), channels=3)
        with self._at(step):
            tf.summary.audio("generated", audio.reshape(1, len(audio), -1), rate)
            tf.summary.image("spectrogram", image[None])

    def gates(self, step: int, layers: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Show `GateStatistics`: histograms, and the saturated shares of each layer."""
        with self._at(step):
            for layer, values in layers.items():
                for name, value in values.items():
                    tf.summary.histogram(f"{layer}/{name}", value)
                for name, share in saturation(values).items():
                    tf.summary.scalar(f"{name}/{layer}", share)

    @contextmanager
    def _at(self, step: int) -> Iterator[None]:
        # At its end the writer is flushed, where a full disk is met.
        with write_errors(self.folder), self._writer.as_default(step=step):
            yield
