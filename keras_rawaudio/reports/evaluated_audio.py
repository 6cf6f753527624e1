"""One generated audio with its measures, and the page sections that show several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_rawaudio.metrics.diversity import diversity
from keras_rawaudio.metrics.findings import findings
from keras_rawaudio.metrics.leakage import STRETCH_SECONDS, leakage
from keras_rawaudio.metrics.measure import measure
from keras_rawaudio.metrics.over_time import over_time
from keras_rawaudio.metrics.patch_index import Matches
from keras_rawaudio.metrics.reference import Reference
from keras_rawaudio.plots import spectrogram_figure, tracks_figure
from keras_rawaudio.reports.page import Section, Table, drawn

# Rows of the table: words, what is measured, the piece's own, how to write it.
ROWS = (
    ("tone (dB)", "tonal_prominence_db", "tonal_prominence_db", "{:.1f}"),
    ("beat", "beat_strength", "beat_strength", "{:.2f}"),
    ("notes held for 4 s", "pitch_persistence", "pitch_persistence", "{:.2f}"),
    ("level (dB of full scale)", "level_db", "level_db", "{:.1f}"),
    ("flatness", "flatness", "flatness", "{:.3f}"),
    ("spectral change", "change", "change", "{:.3f}"),
    ("offset (DC)", "offset", "offset", "{:.5f}"),
    ("clipped samples", "clipped", "clipped", "{:.2%}"),
    ("dead seconds", "dead_share", None, "{:.0%}"),
    ("loud seconds", "loud_share", None, "{:.0%}"),
    ("noisy seconds", "noisy_share", None, "{:.0%}"),
    ("stuck seconds", "stuck_share", None, "{:.0%}"),
    ("toneless 10 s", "toneless_share", None, "{:.0%}"),
    ("difference at the closest lap", "loop_difference", "loop_difference", "{:.2f}"),
    ("that lap (s)", "loop_seconds", None, "{:.2f}"),
    ("best match with the train part", "train_set_similarity", "heldout_similarity", "{:.2f}"),
    ("seconds copied", "similar_seconds", None, "{:.1f}"),
)
ABSENT = "-"


@dataclass(frozen=True)
class EvaluatedAudio:
    """One generated audio and its measures.

    Attributes:
        name: for people.
        audio: `(n,)` or `(n, channels)`, without its seed; measured on the mono mix.
        matches: with the train part.
        measured: from `measure.measure`.
        leak: from `leakage.leakage`; None where there was no seed.
        findings: in words.
    """

    name: str
    audio: np.ndarray
    matches: Matches
    measured: dict[str, Any]
    leak: dict[str, Any] | None
    findings: list[str]


def evaluate_streams(
    streams: Sequence[tuple[str, np.ndarray]],
    reference: Reference,
    seed: np.ndarray,
    continuation: np.ndarray,
    place: Callable[[float], str] | None = None,
) -> list[EvaluatedAudio]:
    """Measure audio against the piece.

    Args:
        streams: pairs of a name and audio `(n,)` or `(n, channels)`, without its seed, at the
            reference's rate.
        reference: the piece.
        seed: the audio that all of them continue, `(m,)`; it is sought in them where it has half a
            second or more.
        continuation: the audio that follows the seed in its file, `(k,)`; may be empty.
        place: names the place of a second of the train part.
    """
    rate, evaluated = reference.rate, []
    long = len(seed) >= STRETCH_SECONDS * rate  # in less there is nothing to look for
    every = reference.train_set.matches_of([audio for _, audio in streams])
    for (name, audio), matches in zip(streams, every, strict=True):
        measured = measure(audio, rate, reference, matches)
        leak = leakage(audio, seed, continuation, rate) if long else None
        found = findings(measured, leak, place)
        evaluated.append(EvaluatedAudio(name, audio, matches, measured, leak, found))
    return evaluated


def spectrograms(
    panels: Sequence[tuple[str, np.ndarray]], rate: int, seed_seconds: float
) -> Section:
    """Real beside generated: waveforms and spectrograms on one scale, the seed's end marked."""
    picture = drawn(
        lambda path: spectrogram_figure(panels, rate, path, seed_seconds or None),
        "Waveform and spectrogram (64 ms Hann window, 80 dB) on one scale."
        + (" The dashed line is where the seed ends." if seed_seconds else ""),
    )
    return Section("Real beside generated", pictures=[picture])


def measures(
    evaluated: Sequence[EvaluatedAudio],
    reference: Reference,
    own_diversity: float | None = None,
) -> Section:
    """Measures over time with the piece's own range shaded, and as a table beside the piece's."""
    rate = reference.rate
    tracks = [(one.name, over_time(one.audio, rate, reference, one.matches)) for one in evaluated]
    picture = drawn(
        lambda path: tracks_figure(tracks, path),
        "Shaded: the range that 98 % of the piece keeps to (up to 90 % for the cepstral ratio, "
        "which 1 means the piece itself; up to what held-out audio reaches for the match).",
    )
    figures = reference.figures
    rows = [
        [words, _own(figures, own, form), *(_word(one.measured[key], form) for one in evaluated)]
        for words, key, own, form in ROWS
    ]
    timbre = [one.measured["cepstral_ratio_by_third"] for one in evaluated]
    usual = f"under {evaluated[0].measured['cepstral_ratio_of_piece']:.1f}"
    rows.append(
        ["cepstral ratio, by third", usual, *(", ".join(f"{v:.1f}" for v in t) for t in timbre)]
    )
    if leaks := [one.leak for one in evaluated if one.leak]:
        chance = max(max(k["shuffled_seed"], k["seed_in_continuation"]) for k in leaks)
        for words, key in (
            ("best match with the seed", "seed"),
            ("with what really follows it", "continuation"),
        ):
            found = [_word(one.leak[key] if one.leak else None, "{:.2f}") for one in evaluated]
            rows.append([words, f"{chance:.2f} without a leak", *found])
    several = diversity([one.audio for one in evaluated], rate)
    if several is not None:
        rows.append(
            ["diversity of all these", _word(own_diversity, "{:.2f}"), f"{several:.2f}"]
            + [""] * (len(evaluated) - 1)
        )
    table = Table(["measure", "the piece", *(one.name for one in evaluated)], rows)
    words = "docs/reference/metrics.md says what each means and how it fails."
    return Section("Measures", words, pictures=[picture], tables=[table])


def _own(figures: dict[str, Any], key: str | None, form: str) -> str:
    value = figures[key] if key else None
    if isinstance(value, dict):  # a range: the piece's seconds, from 1 % to 99 %
        return f"{form.format(value['low'])} to {form.format(value['high'])}"
    return _word(value, form)


def _word(value: float | None, form: str) -> str:
    return ABSENT if value is None else form.format(value)
