"""What a training says: a console line, a CSV row and TensorBoard's summaries."""

from __future__ import annotations

import csv
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from keras_rawaudio.training.live import LivePage

WORDS = {"bits_per_sample": "bits a sample", "variance_unexplained": "of variance unexplained"}
BRIEF = {"bits_per_sample": "bits", "variance_unexplained": "unexplained"}


class Logs:
    """Writes a row per validation to `log.csv` and TensorBoard, and lines to the console.

    Args:
        log: the CSV file; rows are appended, so that a resumed run goes on in it.
        tensorboard: folder of event files; `None`: none.
        measure: the head's measure.
        baselines: figures to print beside it.
        page: shows the lines, too.
    """

    def __init__(
        self,
        log: Path,
        tensorboard: Path | None,
        measure: str,
        baselines: dict[str, float],
        page: LivePage | None = None,
    ) -> None:
        self.log = log
        self.measure = measure
        self.baselines = baselines
        self.page = page
        self.rows = read_log(log)
        self._live = sys.stderr.isatty()
        self._writer: Any = None
        if tensorboard is not None:
            import tensorflow as tf

            self._writer = tf.summary.create_file_writer(str(tensorboard))

    def rewind(self, step: int) -> None:
        """Forget rows after a step: a resumed run writes them again."""
        self.rows = [row for row in self.rows if row["step"] <= step]
        self._write()

    def row(self, values: dict[str, Any]) -> None:
        """Add a validation's figures; the baselines stand beside them."""
        values = values | {f"baseline_{name}": value for name, value in self.baselines.items()}
        self.rows.append(values)
        self._write()
        if self._writer is not None:
            import tensorflow as tf

            with self._writer.as_default(step=int(values["step"])):
                for name, value in values.items():
                    if isinstance(value, (int, float)) and name != "step":
                        tf.summary.scalar(name, value)
            self._writer.flush()

    def audio(self, step: int, audio: np.ndarray, rate: int, picture: Path) -> None:
        """Show generated audio `(n,)` and its spectrogram in TensorBoard."""
        if self._writer is None:
            return
        import tensorflow as tf

        image = tf.io.decode_png(picture.read_bytes(), channels=3)
        with self._writer.as_default(step=step):
            tf.summary.audio("generated", audio[None, :, None], rate)
            tf.summary.image("spectrogram", image[None])
        self._writer.flush()

    def gates(self, step: int, layers: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """Show what `Diagnosis` found: histograms, and the saturated shares of each layer."""
        if self._writer is None:
            return
        import tensorflow as tf

        from keras_rawaudio.training.gate_statistics import saturation

        with self._writer.as_default(step=step):
            for layer, values in layers.items():
                for name, value in values.items():
                    tf.summary.histogram(f"{layer}/{name}", value)
                for name, share in saturation(values).items():
                    tf.summary.scalar(f"{name}/{layer}", share)
        self._writer.flush()

    def progress(self, words: str) -> None:
        """A line that the next one overwrites, where somebody is looking."""
        if self.page:
            self.page.progress = words
        if self._live:
            width = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be undone
            sys.stderr.write("\r\x1b[K" + words[:width])
            sys.stderr.flush()

    def line(self, words: str) -> None:
        """A line that stays."""
        if self.page:
            self.page.lines.append(words)
        sys.stderr.write(("\r\x1b[K" if self._live else "") + words + "\n")
        sys.stderr.flush()

    def figure(self, value: float, words: dict[str, str] = WORDS) -> str:
        """The measure in words, with its baselines beside it."""
        beside = ", ".join(
            f"{name.replace('_', ' ')} {b:.3g}" for name, b in self.baselines.items()
        )
        return f"{value:.3f} {words[self.measure]}" + (f" ({beside})" if beside else "")

    def _write(self) -> None:
        if not self.rows:
            self.log.unlink(missing_ok=True)
            return
        partial = self.log.with_name(f".partial-{self.log.name}")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)
        partial.replace(self.log)


def read_log(log: Path) -> list[dict[str, Any]]:
    """The rows of a `log.csv`, one a validation, numbers as numbers; none without the file."""
    if not log.is_file():
        return []
    with log.open(newline="") as file:
        return [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text
