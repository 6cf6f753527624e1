"""What the piece itself scores, as the reference for generated audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from keras_rawaudio.dsp.spectra import excerpts, mono, windows_of
from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.beat_strength import beat_strength_by_window
from keras_rawaudio.metrics.cepstral import (
    HOP_SECONDS,
    Statistics,
    cepstra,
    own_distances,
)
from keras_rawaudio.metrics.health import Health, health, join, thresholds
from keras_rawaudio.metrics.loops import own_loop_difference
from keras_rawaudio.metrics.pitch_persistence import pitch_persistence
from keras_rawaudio.metrics.tonal_prominence import (
    tonal_prominence_by_frame,
    tonal_prominence_by_window,
)
from keras_rawaudio.metrics.train_set_similarity import TrainSet

SIMILARITY_MARGIN = 0.05
COPY = 0.8  # a match under this is likeness, whatever held-out audio has
EXACT_COPY = 0.9  # and one over this is a copy: an exact one reaches it between any two frames
TRAIN_SECONDS = 1200.0  # measured at most, as evenly spaced excerpts; copies are sought everywhere
HELDOUT_SECONDS = 120.0
HELDOUT_SHARE = 0.1  # of a recording that nobody split


@dataclass(frozen=True)
class Reference:
    """What the piece itself scores.

    Attributes:
        rate: samples per second.
        figures: numbers, and lists and dicts of numbers: `json.dumps` takes them as they are.
        train_set: the train part, to search for similar excerpts.

    Example:
        >>> piece = np.random.default_rng(0).normal(size=80000).astype("float32") / 10
        >>> reference = Reference.from_segments([piece[:64000]], [piece[64000:]], 8000)
        >>> round(reference.figures["tonal_prominence_db"])
        8
    """

    rate: int
    figures: dict[str, Any]
    train_set: TrainSet

    @classmethod
    def from_segments(
        cls, train: Sequence[np.ndarray], heldout: Sequence[np.ndarray], rate: int
    ) -> Reference:
        """Measure the train part, and how well held-out audio matches it.

        Args:
            train: stretches of mono audio (float, or integers as on disk).
            heldout: likewise; may be empty, then nothing is known of its matches.
            rate: samples per second.

        Raises:
            UserError: the train part is empty or silent.
        """
        chosen = excerpts(train, rate, TRAIN_SECONDS)
        if not chosen:
            raise UserError("the train part is empty; there is nothing to compare with")
        parts = [mono(part) for part in chosen]
        tens = [ten for part in parts for ten in windows_of(part, rate, 10)]
        frames = [tonal_prominence_by_frame(part, rate) for part in parts]
        prominences = np.array([tonal_prominence_by_window(ten, rate)[0] for ten in tens])
        beats = np.concatenate([beat_strength_by_window(part, rate) for part in parts])
        seconds = join([health(part, rate) for part in parts])
        timbre = [cepstra(part, rate) for part in parts]
        whole = Statistics.of(np.concatenate(timbre))
        train_set = TrainSet(train, rate)
        figures: dict[str, Any] = {
            "rate": rate,
            "tonal_prominence_db": float(np.concatenate(frames).mean()),
            "tonal_prominence_db_by_10_s": _range(prominences),
            "tonal_prominence_db_by_second": _range(_by_second(np.concatenate(frames))),
            "beat_strength": float(beats.mean()),
            "beat_strength_by_10_s": _range(beats),
            "pitch_persistence": mean_of_known([pitch_persistence(part, rate) for part in parts]),
            "thresholds": thresholds(seconds),
            **{name: _range(np.array(values)) for name, values in by_name(seconds).items()},
            "cepstral_own": own_distances(timbre, 1 / HOP_SECONDS),
            "cepstral_mean": whole.moments()[0].tolist(),
            "cepstral_covariance": whole.moments()[1].tolist(),
            "loop_difference": own_loop_difference(tens, rate),
            "heldout_similarity": _best_match(train_set, heldout, rate),
        }
        return cls(rate, figures, train_set)

    @classmethod
    def from_recording(cls, audio: np.ndarray, rate: int) -> Reference:
        """Measure a recording that nobody split: copies are sought in all of it.

        What music of the same kind matches is found on its last tenth, against the rest.

        Args:
            audio: mono `(n,)`.
            rate: samples per second.

        Raises:
            UserError: it is empty or silent.
        """
        whole = cls.from_segments([audio], [], rate)
        cut = round(len(audio) * (1 - HELDOUT_SHARE))
        heldout = _best_match(TrainSet([audio[:cut]], rate), [audio[cut:]], rate)
        return replace(whole, figures={**whole.figures, "heldout_similarity": heldout})

    @property
    def spectrum(self) -> Statistics:
        """Cepstral statistics of the train part."""
        mean = np.array(self.figures["cepstral_mean"])
        return Statistics(1.0, mean, self.figures["cepstral_covariance"] + np.outer(mean, mean))

    @property
    def copy_limit(self) -> float:
        """The match with the train part from which on audio is a copy of it.

        Where held-out audio repeats the train part, what is generated may repeat it as well, and
        counts as a copy.
        """
        return copy_limit(self.figures["heldout_similarity"] or 0.0)


def copy_limit(heldout: float) -> float:
    """The match with the train part from which on two seconds are a copy of it.

    Args:
        heldout: the best match of held-out audio, 0 where there is none.

    Returns:
        A correlation, 0.8 to 0.9.

    Example:
        >>> copy_limit(0.5), copy_limit(0.99)
        (0.8, 0.9)
    """
    return min(EXACT_COPY, max(COPY, heldout + SIMILARITY_MARGIN))


def by_name(seconds: Health) -> dict[str, np.ndarray]:
    """The values of each second by the names that `Reference.figures` has their range under."""
    values = asdict(seconds)
    return {"level_db": values.pop("level"), **values}


def mean_of_known(values: Sequence[float | None]) -> float | None:
    """The mean of what is not None; None where nothing is left."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _best_match(train_set: TrainSet, heldout: Sequence[np.ndarray], rate: int) -> float | None:
    """The best match of held-out audio with the train part; None where there is none."""
    parts = excerpts(heldout, rate, HELDOUT_SECONDS)
    found = np.concatenate([*(train_set.matches(mono(p)).correlation for p in parts), np.zeros(0)])
    return float(found.max()) if len(found) else None


def _range(values: np.ndarray) -> dict[str, float]:
    """Least, 1 %, middle, 99 % and greatest, for shading the piece's own range."""
    names = {"least": 0.0, "low": 0.01, "median": 0.5, "high": 0.99, "greatest": 1.0}
    return {name: float(np.quantile(values, at)) for name, at in names.items()}


def _by_second(frames: np.ndarray) -> np.ndarray:
    """Means of about a second of tonal prominence frames."""
    return np.array([part.mean() for part in windows_of(frames, 8, 1)])
