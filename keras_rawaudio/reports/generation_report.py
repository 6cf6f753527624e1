"""Audio that a model generates from a seed, at several temperatures side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_rawaudio.generation import ReferenceSampler
from keras_rawaudio.metrics.reference import Reference, mean_of_known
from keras_rawaudio.models import Model
from keras_rawaudio.reports.evaluated_audio import EvaluatedAudio, evaluate_streams

SEED_SECONDS = 1.0
# Of streams side by side, which take little longer than one.
TEMPERATURES = (0.8, 0.9, 1.0, 1.0, 1.0, 1.1)
COMPARED = (
    "tonal_prominence_db",
    "beat_strength",
    "train_set_similarity",
    "heldout_similarity",
    "piece_tonal_prominence_db",
    "piece_beat_strength",
)


@dataclass(frozen=True)
class GenerationReport:
    """Streams from one seed.

    Attributes:
        seed: mono `(m,)`.
        after: what really follows it, `(k,)`.
        streams: one per temperature.
        temperatures: of each stream.
        speed: generated samples per second of each stream.
    """

    seed: np.ndarray
    after: np.ndarray
    streams: Sequence[EvaluatedAudio]
    temperatures: Sequence[float]
    speed: float

    @property
    def plain(self) -> list[EvaluatedAudio]:
        """The streams at temperature 1."""
        return [s for s, t in zip(self.streams, self.temperatures, strict=True) if t == 1]

    def figures(self) -> dict[str, Any]:
        """Means over the streams at temperature 1, as plain JSON."""
        plain = [stream.measured for stream in self.plain]
        timbre = [ratio for m in plain for ratio in m["cepstral_ratio_by_third"]]
        return {
            "seconds": plain[0]["seconds"],
            "streams": len(plain),
            **{key: mean_of_known([m[key] for m in plain]) for key in COMPARED},
            "cepstral_ratio": mean_of_known(timbre),
            "samples_per_second": round(self.speed),
            "findings": [stream.findings for stream in self.plain],
        }


def generate_and_evaluate(
    model: Model,
    source: np.ndarray,
    seconds: float,
    reference: Reference,
    place: Callable[[float], str],
    label: str | None = None,
) -> GenerationReport:
    """Generate audio from the start of some real audio, and evaluate it.

    Args:
        model: read, never changed.
        source: mono `(n,)`: a second of it is the seed (half of it where it is that short), the
            rest is the real continuation.
        seconds: length of each stream.
        reference: the piece.
        place: names the place of a second of the train part.
        label: of the source, for a model of several pieces of music.
    """
    rate, frame, count = reference.rate, model.block, round(seconds * reference.rate)
    # Whole frames, so that nothing is put before them.
    cut = max(1, min(round(SEED_SECONDS * rate), len(source) // 2) // frame) * frame
    seed, after = source[:cut], source[cut : cut + count]
    temperatures = (1.0,) if model.head.deterministic else TEMPERATURES
    sampler = ReferenceSampler(model)
    sampler.generate(frame, streams=len(temperatures))  # traces
    began = time.perf_counter()
    music = {label: 1.0} if label and label in model.labels else None
    drawn = sampler.generate(count, seed, temperatures, len(temperatures), music=music)
    speed = count / (time.perf_counter() - began)
    named = list(zip(_names(temperatures), np.clip(drawn, -1, 1), strict=True))
    streams = evaluate_streams(named, reference, seed, after, place)
    return GenerationReport(seed, after, streams, temperatures, speed)


def _names(temperatures: Sequence[float]) -> list[str]:
    """`temperature 0.9`, numbered where several are alike."""
    names: list[str] = []
    for i, value in enumerate(temperatures):
        number = temperatures[:i].count(value) + 1 if temperatures.count(value) > 1 else 0
        names.append(f"temperature {value:g}" + (f", stream {number}" if number else ""))
    return names
