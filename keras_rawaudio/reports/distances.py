"""Distances of generated audio from a piece, as tables with what places each figure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_rawaudio.reports.page import Section, Table

ABSENT = "-"
OCTAVES = " Hz"  # in the names of figures of one octave
PLACES = ("held-out", "own 10 %", "own 50 %", "own 90 %", "MP3", "grains", "noise")
WORDS = (
    "The mean over the streams with its 95 % interval, beside the same figure of audio of known "
    "quality. Held-out: the part of the piece that nothing was learned from. Own: excerpts of the "
    "train part as long as the streams, each against the rest. MP3: such excerpts at 64 kb/s. "
    "Grains: 100 ms of the train part in random order. Noise: white. KAD is by musicnn: never put "
    "it beside other published figures. docs/reference/metrics.md says more."
)


def distances_section(distances: Mapping[str, Mapping[str, Any]]) -> Section:
    """The tables under their heading.

    Args:
        distances: from `compare_with_piece`.
    """
    return Section("Distances from the piece", WORDS, tables=distances_tables(distances))


def distances_tables(distances: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """One table of the whole audio, one of single octaves.

    Example:
        >>> row = {"mean": 20.0, "low": 15.0, "high": 25.5, "held-out": 30.0}
        >>> row["streams"] = [14.5, 25.5]
        >>> table, = distances_tables({"KAD (musicnn)": row})
        >>> table.rows[0][:3]
        ['KAD (musicnn)', '20.00 (15.00 to 25.50)', '30.00']
    """
    known = {name: row for name, row in distances.items() if row["mean"] is not None}
    tables = []
    for octaves in (False, True):
        rows = [_row(name, row) for name, row in known.items() if (OCTAVES in name) is octaves]
        if rows:
            name = "octave by octave, off the piece" if octaves else "measure"
            tables.append(Table([name, "streams", *PLACES], rows))
    return tables


def _row(name: str, row: Mapping[str, Any]) -> list[str]:
    several = sum(value is not None for value in row["streams"]) > 1
    interval = f" ({row['low']:.2f} to {row['high']:.2f})" if several else ""
    places = [row.get(key) for key in PLACES]
    cells = [ABSENT if value is None else f"{value:.2f}" for value in places]
    return [name, f"{row['mean']:.2f}{interval}", *cells]
