"""The log of a training: one CSV row per validation."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

from keras_rawaudio.errors import UserError
from keras_rawaudio.files import replacing
from keras_rawaudio.settings import whole_number

LARGEST = 1 << 26  # bytes; a row is a few hundred
DRAWN = ("minutes", "train_loss")  # what learning curves need, beside the run's measure


class CsvLog:
    """Keeps the rows of `log.csv`.

    Args:
        path: the file; a resumed run goes on in it.
        figures: as in `read_log`.

    Attributes:
        rows: one dict per validation, numbers as numbers.

    Raises:
        UserError: the file is there and damaged.
    """

    def __init__(self, path: Path, *figures: str) -> None:
        self.path = path
        self.rows = read_log(path, *figures)

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
        with (
            replacing(self.path) as partial,
            partial.open("w", newline="", encoding="utf-8") as file,
        ):
            # Rows of another version may have other columns.
            columns = dict.fromkeys(name for row in self.rows for name in row)
            writer = csv.DictWriter(file, list(columns))
            writer.writeheader()
            writer.writerows(self.rows)


def read_log(path: Path, *figures: str) -> list[dict[str, Any]]:
    """The rows of a `log.csv`, one per validation, numbers as numbers; none without the file.

    Args:
        path: the file.
        figures: columns that have to be there and hold numbers, beside `step`.

    Raises:
        UserError: it is no such log.
    """
    if not path.exists():
        return []
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:
            raise ValueError("it is no file of this size")
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            rows = [{k: _number(v) for k, v in row.items()} for row in reader]
            if "step" not in (reader.fieldnames or ()):
                raise ValueError("it has no column 'step'")
        for row in rows:
            if not isinstance(row["step"], int):
                raise ValueError("a row has no whole number under 'step'")
            for name in figures:
                if not isinstance(row.get(name), (int, float)):
                    raise ValueError(f"a row has no number under {name!r}")
            if None in row:
                raise ValueError("a row is longer than the header")
    except (OSError, ValueError, csv.Error) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot read {path}: {reason}; it is damaged, delete or mend it") from None
    return rows


def compared_row(rows: Sequence[dict[str, Any]], measure: str) -> dict[str, Any]:
    """The validation that a run is compared by: of a model of codes the last, else the best.

    A model of codes keeps its last weights. Others keep the best, or later ones that are as good.

    Args:
        rows: of a log, one or more.
        measure: the column that is compared, where less is better.

    Example:
        >>> rows = [{"bits_per_code": 3.0}, {"bits_per_code": 4.0}]
        >>> compared_row(rows, "bits_per_code")
        {'bits_per_code': 4.0}
    """
    return rows[-1] if measure == "bits_per_code" else min(rows, key=itemgetter(measure))


def numbers(row: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a row, without its words and blanks.

    Example:
        >>> numbers({"step": 8, "bits_per_sample": 3.5, "verdict": "noise"})
        {'bits_per_sample': 3.5}
    """
    return {
        name: value
        for name, value in row.items()
        if isinstance(value, (int, float)) and name != "step"
    }


def _number(text: Any) -> Any:
    for kind in (whole_number, float):
        try:
            return kind(text)
        except (TypeError, ValueError, OverflowError):
            continue
    return text
