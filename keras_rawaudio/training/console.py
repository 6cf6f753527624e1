"""The lines that a training prints: figures with their units, and how much time is left."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from keras_rawaudio.training.run_folder import SHORT_UNITS, UNITS

if TYPE_CHECKING:
    from keras_rawaudio.training.live import LivePage


class Console:
    """Prints to stderr, and to the live page where there is one.

    Args:
        measure: what a head is validated by, a key of `UNITS`.
        baselines: figures to print beside it.
        unit: what a training loss is divided by to be in the unit of the measure.
        page: shows the lines, too.
        quiet: print nothing.
    """

    def __init__(
        self,
        measure: str,
        baselines: Mapping[str, float],
        unit: float = 1.0,
        page: LivePage | None = None,
        quiet: bool = False,
    ) -> None:
        self.measure, self.baselines, self.unit = measure, baselines, unit
        self.page, self.quiet = page, quiet
        self._terminal = sys.stderr.isatty()

    def progress(self, text: str) -> None:
        """A line that the next one overwrites, on a terminal."""
        if self.page:
            self.page.progress = text
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1  # a line that wraps cannot be undone
            self._write("\r\x1b[K" + text[:width])

    def line(self, text: str) -> None:
        """A line that stays."""
        if self.page:
            self.page.lines.append(text)
        self._write(("\r\x1b[K" if self._terminal else "") + text + "\n")

    def training(self, seconds_left: float, step: int, speed: float, loss: float) -> None:
        """Progress between two validations.

        Args:
            seconds_left: of the budget.
            step: how many were taken.
            speed: samples per second.
            loss: of training, as it is minimised.
        """
        minutes, seconds = divmod(max(0, round(seconds_left)), 60)
        self.progress(
            f"{minutes}:{seconds:02d} left  step {step}  {speed / 1000:.0f} k/s  "
            f"train {self._figure(loss / self.unit, SHORT_UNITS)}"
        )

    def validation(
        self, minutes: float, step: int, loss: float, value: float, terms: Mapping[str, float]
    ) -> None:
        """The result of a validation.

        Args:
            minutes: of training.
            step: how many were taken.
            loss: of training, as it is minimised.
            value: of validation, in the unit of the measure.
            terms: what the loss is made of, by name; may be empty.
        """
        beside = "".join(f"  {name.replace('_', ' ')} {term:.3f}" for name, term in terms.items())
        self.line(
            f"{minutes:6.2f} min  step {step}  train {loss / self.unit:.3f}  "
            f"validation {self._figure(value, UNITS)}{beside}"
        )

    def _write(self, text: str) -> None:
        if self.quiet:
            return
        # A terminal that was closed ends no training.
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()

    def _figure(self, value: float, units: Mapping[str, str]) -> str:
        beside = ", ".join(
            f"{name.replace('_', ' ')} {figure:.3g}" for name, figure in self.baselines.items()
        )
        return f"{value:.3f} {units[self.measure]}" + (f" ({beside})" if beside else "")
