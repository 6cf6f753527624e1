"""Runs side by side: what they reached, what that took, and in which settings they differ."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.findings import HEALTHY
from keras_rawaudio.reports.facts import flat
from keras_rawaudio.reports.page import Section, Table, write_page
from keras_rawaudio.training.console import SHORT_UNITS
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.run_folder import RunFolder

ABSENT = "-"
# Free text about a run, and no setting.
NOT_COMPARED = ("description",)
COLUMNS = (
    "",
    "run",
    "best",
    "baseline",
    "verdict",
    "tone",
    "beat",
    "timbre",
    "KAD (musicnn)",
    "copied",
)
COSTS = ("minutes", "training", "drawing", "parameters")


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        name: the folder.
        measure: what `best` is in; runs of one measure stand together.
        best: the best validation, None before the first.
        cells: words for `COLUMNS` (but the first) and `COSTS`.
        settings: recipe and data by dotted names.
    """

    name: str
    measure: str
    best: float | None
    cells: Sequence[str]
    settings: dict[str, str]


def compare(runs: Sequence[str | Path], out: Path | None = None) -> tuple[str, list[str]]:
    """Compare runs, best first.

    Validation figures are from each run's log. Figures of generated audio are from its last report,
    or from the best validation where there is no report.

    Args:
        runs: run folders; other paths are skipped.
        out: an HTML file to write, too.

    Returns:
        Tables for a terminal, and the paths that were skipped.

    Raises:
        UserError: none of them is a run, or the page cannot be written.
    """
    rows, skipped = [], []
    for path in runs:
        try:
            rows.append(_row(RunFolder.open(path)))
        except UserError:
            skipped.append(str(path))
    if not rows:
        raise UserError(f"no run folder among {', '.join(skipped)}; give folders of trained runs")
    rows.sort(key=lambda row: (row.measure, math.inf if row.best is None else row.best))
    results = Table(
        [*COLUMNS, *COSTS],
        [[str(number), row.name, *row.cells] for number, row in enumerate(rows, 1)],
    )
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    tables = [results]
    if differing := differences([row.settings for row in rows]):
        tables.append(Table(["setting", *numbers], differing))
    if out is not None:
        words = "Best validation first. Bits compare on the same audio at the same rate only."
        sections = [Section("Results", words, tables=tables[:1])]
        sections += [Section("Where they differ", tables=[table]) for table in tables[1:]]
        write_page(out, f"{len(rows)} runs", ", ".join(row.name for row in rows), sections)
    return "\n\n".join(map(text, tables)), skipped


def differences(settings: Sequence[dict[str, str]]) -> list[list[str]]:
    """The settings that are not the same in all, a row each: name, then the value of each.

    Example:
        >>> differences([{"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}])
        [['b', '2', '3'], ['c', '-', '4']]
    """
    names = dict.fromkeys(name for each in settings for name in each)
    rows = [[name, *(each.get(name, ABSENT) for each in settings)] for name in names]
    return [row for row in rows if len(set(row[1:])) > 1]


def text(table: Table) -> str:
    """A table in columns, for a terminal.

    Example:
        >>> print(text(Table(["run", "best"], [["a", "3.1"], ["bcde", "10.2"]])))
        run   best
        a     3.1
        bcde  10.2
    """
    lines = [table.header, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.header))]
    return "\n".join(
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _row(run: RunFolder) -> Row:
    described, recipe, log = run.describe(), run.read_recipe(), read_log(run.log)
    measure = described["measure"]
    best = min(log, key=lambda row: row[measure]) if log else {}
    figures = _figures(run, best)
    ill = [words for found in figures["findings"] for words in found if words != HEALTHY]
    verdict = "; ".join(dict.fromkeys(ill)) or (HEALTHY if figures["findings"] else ABSENT)
    last = log[-1] if log else {}
    kad = figures.get("distances", {}).get("KAD (musicnn)", {})
    cells = [
        f"{best[measure]:.3f} {SHORT_UNITS[measure]}" if best else ABSENT,
        f"{min(described['baselines'].values()):.3f}" if described["baselines"] else ABSENT,
        verdict,
        _beside(figures, "tonal_prominence_db", "piece_tonal_prominence_db", "{:.1f}"),
        _beside(figures, "beat_strength", "piece_beat_strength", "{:.2f}"),
        _beside(figures, "cepstral_ratio", None, "{:.1f}"),
        _beside(kad, "mean", "own 50 %", "{:.0f}"),
        _beside(figures, "train_set_similarity", "heldout_similarity", "{:.2f}"),
        f"{last['minutes']:.1f}" if last else ABSENT,
        _speed(last),
        _speed(figures),
        f"{described['parameters']:,}",
    ]
    audio = ", ".join(Path(source["path"]).name for source in described["data"]["sources"])
    own = {key: value for key, value in flat(recipe).items() if key not in NOT_COMPARED}
    own |= {
        "audio": audio,
        "sample rate": str(described["sample_rate"]),
        "seed": str(described["seed"]),
    }
    return Row(str(run.path), measure, best.get(measure), cells, own)


def _figures(run: RunFolder, best: dict[str, Any]) -> dict[str, Any]:
    """Figures of generated audio: of the run's report, or else of its best validation."""
    if run.measures.is_file():
        figures: dict[str, Any] = json.loads(run.measures.read_text())
        return figures
    known = {
        key: best[key]
        for key in ("tonal_prominence_db", "beat_strength")
        if best.get(key, "") != ""
    }
    return {**known, "findings": [[best["verdict"]]] if best.get("verdict") else []}


def _speed(figures: dict[str, Any]) -> str:
    speed = figures.get("samples_per_second")
    return f"{speed / 1000:.1f} k/s" if speed else ABSENT


def _beside(figures: dict[str, Any], key: str, own: str | None, form: str) -> str:
    """A figure, and the piece's own in brackets."""
    if figures.get(key) is None:
        return ABSENT
    value = form.format(figures[key])
    piece = figures.get(own) if own else None
    return value if piece is None else f"{value} ({form.format(piece)})"
