"""The log of a training: one CSV row per validation."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any


class CsvLog:
    """Keeps the rows of `log.csv`.

    Args:
        path: the file; a resumed run goes on in it.

    Attributes:
        rows: one dict per validation, numbers as numbers.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = read_log(path)

    def rewind(self, step: int) -> None:
        """Forget the rows after a step: a resumed run writes them again."""
        self.rows = [row for row in self.rows if row["step"] <= step]
        self._write()

    def append(self, row: dict[str, Any]) -> None:
        """Add the figures of a validation."""
        self.rows.append(row)
        self._write()

    def _write(self) -> None:
        if not self.rows:
            self.path.unlink(missing_ok=True)
            return
        partial = self.path.with_name(f".partial-{self.path.name}")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)
        partial.replace(self.path)


def read_log(path: Path) -> list[dict[str, Any]]:
    """The rows of a `log.csv`, one per validation, numbers as numbers; none without the file."""
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return [{k: _number(v) for k, v in row.items()} for row in csv.DictReader(file)]


def _number(text: str) -> Any:
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text
