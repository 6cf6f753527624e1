"""All measures of generated audio beside what the piece itself scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.listening.beat import beat_by_window
from keras_rawaudio.listening.cepstral import (
    Statistics,
    cepstra,
    cepstral_ratio,
    own_distances,
)
from keras_rawaudio.listening.collapse import own_loop_difference, verdict
from keras_rawaudio.listening.copying import STRETCH_SECONDS, Source
from keras_rawaudio.listening.health import health, join, shares, thresholds
from keras_rawaudio.listening.prominence import tone_by_frame, tone_by_window
from keras_rawaudio.listening.spectra import excerpts, mono, windows_of

TONELESS = 0.85  # of the piece's own tone
COPIED_MARGIN = 0.05
TRAIN_SECONDS = 1200.0  # measured at most, as evenly spaced excerpts; copies are sought everywhere
HELDOUT_SECONDS = 120.0


@dataclass(frozen=True)
class Reference:
    """What the piece itself scores.

    Attributes:
        rate: samples a second.
        figures: numbers, and lists and dicts of numbers: `json.dumps` takes them as they are.
        source: the train part, for copies to be sought in.

    Example:
        >>> piece = np.random.default_rng(0).normal(size=80000).astype("float32") / 10
        >>> reference = Reference.from_segments([piece[:64000]], [piece[64000:]], 8000)
        >>> round(reference.figures["tonal_db"])
        8
        >>> measure(piece[:32000], 8000, reference)["copied"] > 0.95
        True
    """

    rate: int
    figures: dict[str, Any]
    source: Source

    @classmethod
    def from_segments(
        cls, train: Sequence[np.ndarray], heldout: Sequence[np.ndarray], rate: int
    ) -> Reference:
        """Measure the train part, and how well held-out audio matches it.

        Args:
            train: stretches of mono audio (float, or integers as on disk).
            heldout: likewise; may be empty, then nothing is known of its matches.
            rate: samples a second.

        Raises:
            UserError: the train part is empty or silent.
        """
        chosen = excerpts(train, rate, TRAIN_SECONDS)
        if not chosen:
            raise UserError("the train part is empty; there is nothing to compare with")
        parts = [mono(part) for part in chosen]
        tens = [ten for part in parts for ten in windows_of(part, rate, 10)]
        frames = [tone_by_frame(part, rate) for part in parts]
        tones = np.array([tone_by_window(ten, rate)[0] for ten in tens])
        beats = np.concatenate([beat_by_window(part, rate) for part in parts])
        seconds = join([health(part, rate) for part in parts])
        timbre = [cepstra(part, rate) for part in parts]
        whole = Statistics.of(np.concatenate(timbre))
        source = Source(train, rate)
        figures: dict[str, Any] = {
            "rate": rate,
            "tonal_db": float(np.concatenate(frames).mean()),
            "tonal_db_by_10_s": _range(tones),
            "lowest_tonal_db": float(np.quantile(_by_second(np.concatenate(frames)), 0.01)),
            "beat": float(beats.mean()),
            "beat_by_10_s": _range(beats),
            "thresholds": thresholds(seconds),
            "level_db": _range(seconds.level),
            "flatness": _range(seconds.flatness),
            "change": _range(seconds.change),
            "cepstral_own": own_distances(timbre, 1 / 0.032),
            "cepstral_mean": whole.moments()[0].tolist(),
            "cepstral_covariance": whole.moments()[1].tolist(),
            "loop_difference": own_loop_difference(tens, rate),
            "copied_by_heldout": None,
        }
        found = [
            source.matches(mono(part)).correlation
            for part in excerpts(heldout, rate, HELDOUT_SECONDS)
        ]
        matched = np.concatenate([*found, np.zeros(0)])
        if len(matched):
            figures["copied_by_heldout"] = float(matched.max())
        return cls(rate, figures, source)


def measure(generated: np.ndarray, rate: int, reference: Reference) -> dict[str, Any]:
    """Every measure of one generated file, ready for `json.dumps`.

    Args:
        generated: mono `(n,)`, without its seed.
        rate: samples a second; must be the reference's.
        reference: the piece.

    Returns:
        `seconds`; `tonal_db`, `tonal_db_by_10_s`, `piece_tonal_db`, `toneless_share` (10 s windows
        under 85 % of the piece's tone); `beat`, `beat_by_10_s`, `piece_beat`; `dead_share`,
        `loud_share`, `noisy_share`, `stuck_share` (of the seconds); `cepstral_ratio_by_third`;
        `copied` (best match of any 2 s with the train part), `copied_at`, `copied_from` (seconds in
        the generated audio and in the train part), `copied_seconds` (covered by matches 0.05 better
        than held-out audio's best), `copied_by_heldout`; `verdict` in words, `collapsed_at`.

    Raises:
        UserError: another rate than the reference's, or bad audio.
    """
    if rate != reference.rate:
        raise UserError(f"audio at {rate} Hz cannot be measured against {reference.rate} Hz")
    audio, own = mono(generated), reference.figures
    tones, beats = tone_by_window(audio, rate), beat_by_window(audio, rate)
    whole = Statistics(
        1.0,
        np.array(own["cepstral_mean"]),
        np.array(own["cepstral_covariance"]) + np.outer(own["cepstral_mean"], own["cepstral_mean"]),
    )
    thirds = [cepstra(part, rate) for part in np.array_split(audio, 3) if len(part)]
    matches = reference.source.matches(audio)
    copied, copied_at, copied_from = matches.best()
    heldout = own["copied_by_heldout"]
    judged = verdict(audio, rate, reference)
    return {
        "seconds": len(audio) / rate,
        "tonal_db": float(tone_by_frame(audio, rate).mean()),
        "tonal_db_by_10_s": tones.tolist(),
        "piece_tonal_db": own["tonal_db"],
        "toneless_share": float((tones < TONELESS * own["tonal_db"]).mean()),
        "beat": float(beats.mean()),
        "beat_by_10_s": beats.tolist(),
        "piece_beat": own["beat"],
        **shares(health(audio, rate), own["thresholds"]),
        "cepstral_ratio_by_third": [
            cepstral_ratio(third, whole, own["cepstral_own"]) for third in thirds
        ],
        "copied": copied,
        "copied_at": copied_at,
        "copied_from": copied_from,
        "copied_seconds": (
            None if heldout is None else matches.copied_seconds(heldout + COPIED_MARGIN)
        ),
        "copied_stretch_seconds": STRETCH_SECONDS,
        "copied_by_heldout": heldout,
        "verdict": str(judged),
        "collapsed_at": judged.start,
    }


def _range(values: np.ndarray) -> dict[str, float]:
    """Least, 1 %, middle, 99 % and greatest, for shading the piece's own range."""
    names = {"least": 0.0, "low": 0.01, "median": 0.5, "high": 0.99, "greatest": 1.0}
    return {name: float(np.quantile(values, at)) for name, at in names.items()}


def _by_second(frames: np.ndarray) -> np.ndarray:
    """Means of about a second of tone frames."""
    return np.array([part.mean() for part in windows_of(frames, 8, 1)])
