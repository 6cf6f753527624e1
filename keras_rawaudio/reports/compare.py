"""Runs side by side, ranked within each task against their own baselines."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_rawaudio.errors import UserError, one_line
from keras_rawaudio.metrics.findings import HEALTHY
from keras_rawaudio.reports.page import Section, Table, refuse_other_pages, write_page
from keras_rawaudio.settings import flat
from keras_rawaudio.training.csv_log import compared_row, read_log
from keras_rawaudio.training.json_files import damaged_if_wrong, read_json
from keras_rawaudio.training.run_folder import SHORT_UNITS, UNITS, RunFolder

ABSENT = "-"
# Free text about a run, and no setting.
NOT_COMPARED = ("description",)
COLUMNS = (
    "",
    "run",
    "by sound",
    "kept",
    "baseline",
    "gain",
    "verdict",
    "tone",
    "beat",
    "timbre",
    "KAD (musicnn)",
    "copied",
)
# What the rank by sound is made of, beside the verdict.
SOUND = ("tonal_prominence_db", "beat_strength")
COSTS = ("minutes", "training", "drawing", "parameters")


@dataclass(frozen=True)
class Row:
    """One run.

    Attributes:
        name: the folder.
        task: prediction or reconstruction, and the unit of the score. Runs of one task are ranked.
        gain: the best of its own baselines less the validation score of the model that is kept;
            None before the first validation. Scores of two frame sizes do not compare, but gains
            do.
        sound: sorts by generated audio: the healthy first, then by how far tone and beat are from
            the piece's own, relative to it; None where that is unknown.
        cells: text for `COLUMNS` (but the first three) and `COSTS`.
        settings: recipe and data by dotted names.
    """

    name: str
    task: str
    gain: float | None
    sound: tuple[bool, float] | None
    cells: Sequence[str]
    settings: dict[str, str]


def compare(runs: Sequence[str | Path], out: Path | None = None) -> tuple[str, list[str]]:
    """Compare runs, task by task, the one that gains most over its own baselines first.

    Beside it stands their rank by sound: by verdict, tone and beat of what they generate.

    Validation figures are from each run's log, of the model that is kept: the latest of codes, the
    best of others. Figures of generated audio are from its last report,
    or from that model's validation where there is no report.

    Args:
        runs: run folders; other paths are skipped.
        out: an HTML file to write, too.

    Returns:
        Tables for a terminal, and the paths that were skipped.

    Raises:
        UserError: none of them is a run, or the page cannot be written.
    """
    if out is not None:
        refuse_other_pages(out)
    rows, skipped = [], []
    for path in runs:
        try:
            run = RunFolder.open(path)
            with damaged_if_wrong(run.path):
                rows.append(_row(run))
        except (UserError, OSError) as error:  # OSError: a folder that may not be entered
            if len(runs) == 1:
                raise UserError(one_line(error)) from None
            skipped.append(os.fsencode(path).decode(errors="replace"))
    if not rows:
        raise UserError(f"no run folder among {', '.join(skipped)}; give folders of trained runs")
    rows.sort(key=lambda row: (row.task, math.inf if row.gain is None else -row.gain))
    numbers = [str(number) for number in range(1, len(rows) + 1)]
    titled = [
        (
            task,
            Table(
                [*COLUMNS, *COSTS],
                [
                    [n, r.name, _rank(r, rows), *r.cells]
                    for n, r in zip(numbers, rows, strict=True)
                    if r.task == task
                ],
            ),
        )
        for task in dict.fromkeys(row.task for row in rows)
    ]
    if differing := differences([row.settings for row in rows]):
        titled.append(("Where they differ", Table(["setting", *numbers], differing)))
    if out is not None:
        note = (
            "Ranked within a task by the gain over the best of each run's own baselines. "
            "Gains compare on the same audio at the same rate only. By sound: the healthy first, "
            "then those whose tone and beat are nearest to the piece's own."
        )
        sections = [
            Section(title, note if number == 0 else "", tables=[table])
            for number, (title, table) in enumerate(titled)
        ]
        write_page(out, f"{len(rows)} runs", ", ".join(row.name for row in rows), sections)
    return "\n\n".join(f"{title}\n{text(table)}" for title, table in titled), skipped


def _rank(row: Row, rows: Sequence[Row]) -> str:
    """The rank of a run by sound among those of its task."""
    if row.sound is None:
        return ABSENT
    better = [r for r in rows if r.task == row.task and r.sound is not None and r.sound < row.sound]
    return str(1 + len(better))


def differences(settings: Sequence[dict[str, str]]) -> list[list[str]]:
    """The settings that are not the same in all, one row each: name, then the value of each.

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
    described, recipe = run.describe(), run.read_recipe()
    measure = described["measure"]
    log = read_log(run.log, measure)
    last = log[-1] if log else {}
    kept = compared_row(log, measure) if log else {}
    figures = _figures(run, kept)
    ill = [words for found in figures["findings"] for words in found if words != HEALTHY]
    verdict = "; ".join(dict.fromkeys(ill)) or (HEALTHY if figures["findings"] else ABSENT)
    baseline = min(described["baselines"].values()) if described["baselines"] else None
    gain = None if baseline is None or not kept else baseline - kept[measure]
    kad = figures.get("distances", {}).get("KAD (musicnn)", {})
    cells = [
        f"{kept[measure]:.3f} {SHORT_UNITS[measure]}" if kept else ABSENT,
        ABSENT if baseline is None else f"{baseline:.3f}",
        ABSENT if gain is None else f"{gain:+.3f}",
        verdict,
        _beside(figures, "tonal_prominence_db", "piece_tonal_prominence_db", "{:.1f}"),
        _beside(figures, "beat_strength", "piece_beat_strength", "{:.2f}"),
        _beside(figures, "cepstral_ratio", None, "{:.1f}"),
        _beside(kad, "mean", "own 50 %", "{:.0f}"),
        _beside(figures, "train_set_similarity", "heldout_similarity", "{:.2f}"),
        f"{last['minutes']:.1f}" if last else ABSENT,
        _speed(last, "k codes/s" if measure == "bits_per_code" else "k/s"),
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
    kind = "reconstruction" if recipe.get("head", {}).get("reconstruct") else "prediction"
    kind = "restoration" if "refiner" in recipe else kind
    return Row(str(run.path), f"{kind}: {UNITS[measure]}", gain, _sound(figures, ill), cells, own)


def _sound(figures: dict[str, Any], ill: Sequence[str]) -> tuple[bool, float] | None:
    pairs = [(figures.get(name), figures.get(f"piece_{name}")) for name in SOUND]
    far = [abs(value / own - 1) for value, own in pairs if value is not None and own]
    return (bool(ill), sum(far) / len(far)) if far else None


def _figures(run: RunFolder, kept: dict[str, Any]) -> dict[str, Any]:
    """Figures of generated audio: of the run's report, or else of a row of its log."""
    if run.measures.is_file():
        return {"findings": [], **read_json(run.measures)}
    known = {
        key: kept[key]
        for key in (*SOUND, *(f"piece_{name}" for name in SOUND))
        if kept.get(key, "") != ""
    }
    return {**known, "findings": [[kept["verdict"]]] if kept.get("verdict") else []}


def _speed(figures: dict[str, Any], unit: str = "k/s") -> str:
    speed = figures.get("samples_per_second")
    return f"{speed / 1000:.1f} {unit}" if speed else ABSENT


def _beside(figures: dict[str, Any], key: str, own: str | None, form: str) -> str:
    """A figure, and the piece's own in brackets."""
    if figures.get(key) is None:
        return ABSENT
    value = form.format(figures[key])
    piece = figures.get(own) if own else None
    return value if piece is None else f"{value} ({form.format(piece)})"
