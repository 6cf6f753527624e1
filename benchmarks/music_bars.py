"""The bars of the music benchmark: what a piece's figures are held to, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

KAD, COVERAGE = "KAD (musicnn)", "coverage (musicnn)"


@dataclass(frozen=True)
class Bar:
    """One figure of a piece beside its limit.

    Attributes:
        name: for people, with its unit.
        value: None where it could not be computed.
        limit: likewise.
        at_most: whether the value must not be over the limit; else not under it.
    """

    name: str
    value: float | None
    limit: float | None
    at_most: bool = True

    @property
    def met(self) -> bool | None:
        """None where either is not known."""
        if self.value is None or self.limit is None:
            return None
        return self.value <= self.limit if self.at_most else self.value >= self.limit


def bars(result: Mapping[str, Any]) -> list[Bar]:
    """What a result of `quality.py` is held to.

    Example:
        >>> bar = Bar("collapsed streams", 1, 0)
        >>> bar.met
        False
    """
    distances: Mapping[str, Mapping[str, Any]] = result["distances"]
    kad, coverage = distances.get(KAD, {}), distances.get(COVERAGE, {})
    beats = np.concatenate([s["beat_strength_by_10_s"] for s in result["streams"]])
    runs = [s["longest_copy"]["seconds"] for s in result["streams"] if s["longest_copy"]]
    thirds = np.max(result["cepstral_ratio_by_third"])
    tone, beat, persistence = (
        result[f"piece_{name}"]
        for name in ("tonal_prominence_db", "beat_strength", "pitch_persistence")
    )
    own, heldout = kad.get("own 50 %"), kad.get("held-out")
    both = [value for value in (_times(2, own), heldout) if value is not None]
    return [
        Bar(KAD, kad.get("mean"), max(both, default=None)),
        Bar(COVERAGE, coverage.get("mean"), _times(0.5, coverage.get("held-out")), False),
        Bar("collapsed streams", result["collapsed"], 0),
        Bar("beat", result["beat_strength"], 0.7 * beat, False),
        Bar("10 s with half of the beat", float(np.mean(beats >= 0.5 * beat)), 0.9, False),
        Bar("tone, off by (dB)", abs(result["tonal_prominence_db"] - tone), 1.5),
        Bar("pitch persistence, off by", _off(result["pitch_persistence"], persistence), 0.1),
        Bar("cepstral ratio, worst third", float(thirds), 1.3),
        Bar("octave levels, worst (dB)", _worst(distances, "level at", 16_000), 2.0),
        Bar("side/mid, worst octave (dB)", _worst(distances, "side/mid at", 16_000), 3.0),
        Bar("best match of 2 s", result["train_set_similarity"], result["own_similarity"]),
        Bar("longest copy (s)", max(runs, default=0.0), 4.0),
    ]


def _worst(distances: Mapping[str, Mapping[str, Any]], start: str, highest: float) -> float | None:
    """The greatest size of a difference in any octave."""
    found = []
    for name, row in distances.items():
        if name.startswith(start) and float(name.removeprefix(start).split()[0]) <= highest:
            found.append(abs(row["mean"]))
    return max(found, default=None)


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value


def _off(value: float | None, own: float | None) -> float | None:
    return None if value is None or own is None else abs(value - own)


def words(bar: Bar, form: str = "{:.2f}") -> str:
    """A value, its limit, and whether it is met.

    Example:
        >>> words(Bar("beat", 0.5, 0.4, at_most=False)), words(Bar("copy (s)", 9, 4))
        ('0.50 (≥ 0.40)', '9.00 (≤ 4.00) ✗')
    """
    if bar.value is None:
        return "-"
    if bar.limit is None:
        return form.format(bar.value)
    sign = "≤" if bar.at_most else "≥"
    limit = form.format(bar.limit)
    return f"{form.format(bar.value)} ({sign} {limit}){'' if bar.met else ' ✗'}"


def table(results: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Header and rows, a piece each."""
    rows, header = [], ["piece", "rate", "bits per sample", "real time"]
    for result in results:
        held = bars(result)
        bits = result["test_bits_per_sample"]
        known = [bar.met for bar in held if bar.met is not None]
        rows.append(
            [
                result["piece"],
                f"{result['sample_rate'] / 1000:g} kHz",
                "-" if bits is None else f"{bits:.2f}",
                f"{result['realtime_factor']:.1f}",
                f"{sum(known)} of {len(known)}",
                *map(words, held),
            ]
        )
        header = [*header[:4], "bars met", *(bar.name for bar in held)]
    return header, rows
