"""Measures over the time of one audio, each beside the range that the piece keeps to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_rawaudio.dsp.spectra import mono, windows_of
from keras_rawaudio.metrics.beat_strength import beat_strength_by_window
from keras_rawaudio.metrics.cepstral import cepstra, cepstral_ratio, own_spread
from keras_rawaudio.metrics.health import health
from keras_rawaudio.metrics.patch_index import Matches
from keras_rawaudio.metrics.reference import Reference, by_name
from keras_rawaudio.metrics.tonal_prominence import tonal_prominence_by_window

TIMBRE_SECONDS = 2.0
BEAT_SECONDS = 10.0
WORDS = {
    "level_db": "level (dB)",
    "flatness": "flatness",
    "change": "spectral change",
    "offset": "offset (DC)",
    "clipped": "clipped (share)",
}


@dataclass(frozen=True)
class Track:
    """One measure over time.

    Attributes:
        name: for people, with its unit.
        seconds: where each value stands (the middle of its stretch), `(k,)`.
        values: `(k,)`.
        low: what 1 % of the piece itself lies under.
        high: what 1 % of the piece itself lies over.
    """

    name: str
    seconds: np.ndarray
    values: np.ndarray
    low: float
    high: float


def over_time(
    generated: np.ndarray, rate: int, reference: Reference, matches: Matches | None = None
) -> list[Track]:
    """Level, tone, flatness, change, timbre, beat, copying, offset and clipping over time.

    Args:
        generated: mono `(n,)`, without its seed.
        rate: samples per second, the reference's.
        reference: the piece.
        matches: of this audio with `reference.train_set`, where they are known already.

    Returns:
        One track a measure. The beat needs stretches of 10 s, and is left out for less than 20 s.

    Example:
        >>> piece = np.random.default_rng(0).normal(size=80000) / 10
        >>> reference = Reference.from_segments([piece], [], 8000)
        >>> level = over_time(piece[:40000], 8000, reference)[0]
        >>> level.name, len(level.values), bool(level.low < level.values.mean() < level.high)
        ('level (dB)', 5, True)
    """
    audio, own = mono(generated), reference.figures
    values = by_name(health(audio, rate))
    tracks = {name: _track(WORDS[name], audio, rate, values[name], own[name]) for name in WORDS}
    prominences = tonal_prominence_by_window(audio, rate, 1.0)
    heldout = own["heldout_similarity"]
    stretches = [cepstra(part, rate) for part in windows_of(audio, rate, TIMBRE_SECONDS)]
    timbre = np.array(
        [cepstral_ratio(s, reference.spectrum, own["cepstral_own"]) for s in stretches]
    )
    matches = matches or reference.train_set.matches(audio)
    found = [
        tracks["level_db"],
        _track("tone (dB)", audio, rate, prominences, own["tonal_prominence_db_by_second"]),
        tracks["flatness"],
        tracks["change"],
        _track(
            "cepstral ratio",
            audio,
            rate,
            timbre,
            {"low": 0.0, "high": own_spread(len(stretches[0]), own["cepstral_own"])},
        ),
    ]
    if len(matches.start):
        middle = matches.start + 1.0
        high = 1.0 if heldout is None else heldout
        found.append(Track("match with train part", middle, matches.correlation, 0.0, high))
    if len(audio) >= 2 * BEAT_SECONDS * rate:
        beats = beat_strength_by_window(audio, rate, BEAT_SECONDS)
        found.append(_track("beat", audio, rate, beats, own["beat_strength_by_10_s"]))
    return [*found, tracks["offset"], tracks["clipped"]]


def _track(
    name: str, audio: np.ndarray, rate: int, values: np.ndarray, own: dict[str, float]
) -> Track:
    each = len(audio) / rate / len(values)
    return Track(name, (np.arange(len(values)) + 0.5) * each, values, own["low"], own["high"])
