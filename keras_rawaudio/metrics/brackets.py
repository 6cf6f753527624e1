"""What a figure means: the same figure of audio whose quality is known, and an interval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from keras_rawaudio.dsp.spectra import excerpts, windows_of
from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.bootstrap import mean_interval
from keras_rawaudio.metrics.bracket_audio import shuffled_grains, through_mp3, white_noise
from keras_rawaudio.metrics.embedding_comparison import EmbeddingComparison
from keras_rawaudio.metrics.note_comparison import NoteComparison
from keras_rawaudio.metrics.octave_comparison import OctaveComparison
from keras_rawaudio.metrics.reference import TRAIN_SECONDS
from keras_rawaudio.metrics.timed import Timed, join

SHORTEST = 10.0  # seconds of a stream
OWN = 16  # excerpts of the train part
QUANTILES = (0.1, 0.5, 0.9)
MADE = 4  # streams of grains, of MP3 and of noise


class Comparison(Protocol):
    """Features that are computed once of each audio, and what is read off two of them."""

    def features(self, audio: np.ndarray, rate: int) -> Timed:
        """Of `(n,)` or `(n, channels)` in [-1, 1]."""
        ...

    def distances(self, train: Timed, other: Timed) -> dict[str, float | None]:
        """Figures by their names; None where there is nothing to compare."""
        ...


def available_comparisons() -> list[Comparison]:
    """All that can be computed here: octaves always, the others where their extra is installed."""
    every = (OctaveComparison(), EmbeddingComparison(), NoteComparison())
    return [comparison for comparison in every if comparison.installed()]


class Brackets:
    """A piece by one comparison, with the figures that place those of generated audio.

    - held-out: the part that nothing was learned from, in stretches of the streams' length; the
      mean.
    - own: excerpts of the train part, of the streams' length, each compared with the rest of it:
      the 10, 50 and 90 % quantiles.
    - MP3: such excerpts after an MP3 of 64 kb/s, the mean. Grains: the train part in random order,
      100 ms at a time. Noise: white, of its level.

    Args:
        comparison: what is computed.
        train: stretches of audio, each `(n,)` or `(n, channels)`, floats or integers as on disk.
        heldout: likewise; may be empty.
        rate: int. Samples per second.
        seconds: float. Length of the streams to be compared; the excerpts have a third of the train
            part at most.

    Raises:
        UserError: the train part is empty.

    Example:
        >>> piece = np.random.default_rng(0).normal(size=400_000) / 10
        >>> brackets = Brackets(OctaveComparison(), [piece[:320_000]], [piece[320_000:]], 8000, 10)
        >>> table = brackets.compare([piece[:80_000], 2 * piece[:80_000]])
        >>> row = table["level at 1000 Hz (dB)"]
        >>> [round(value) for value in row["streams"]], round(row["mean"]), round(row["noise"])
        ([0, 6], 3, 0)
    """

    def __init__(
        self,
        comparison: Comparison,
        train: Sequence[np.ndarray],
        heldout: Sequence[np.ndarray],
        rate: int,
        seconds: float,
    ) -> None:
        self.comparison, self.rate = comparison, rate
        audio = _floats(excerpts(train, rate, TRAIN_SECONDS, max(30.0, seconds)))
        if len(audio) == 0:
            raise UserError("the train part is empty; there is nothing to compare with")
        self.train = comparison.features(audio, rate)
        self.seconds = min(seconds, self.train.seconds / 3)
        self.figures = _transposed(
            {
                "held-out": self._heldout(_floats(heldout)),
                **self._own(),
                "MP3": self._mp3(audio),
                "grains": self._made(audio, shuffled_grains),
                "noise": self._made(audio, white_noise),
            }
        )

    def compare(self, streams: Iterable[np.ndarray]) -> dict[str, dict[str, Any]]:
        """The figures of generated audio beside those of the piece.

        Args:
            streams: each `(n,)` or `(n, channels)`, all of one length, without their seeds.

        Returns:
            By the name of the figure: `streams`, one value each; `mean`; `low` and `high`, the 95 %
            bootstrap interval of the mean; `pooled`, of all streams as one audio; and `held-out`,
            `own 10 %`, `own 50 %`, `own 90 %`, `MP3`, `grains`, `noise`. None where there is no
            figure.
        """
        features = [self.comparison.features(audio, self.rate) for audio in streams]
        each = [self.comparison.distances(self.train, one) for one in features]
        pooled = self.comparison.distances(self.train, join(features))
        table = {}
        for name, value in pooled.items():
            values = [one.get(name) for one in each]
            known = [v for v in values if v is not None]
            mean, low, high = mean_interval(known) if known else (None, None, None)
            table[name] = {
                "streams": values,
                "mean": mean,
                "low": low,
                "high": high,
                "pooled": value,
                **self.figures.get(name, {}),
            }
        return table

    def _heldout(self, audio: np.ndarray) -> dict[str, float | None]:
        if len(audio) < self.rate:  # padded, it would be another kind of audio
            return {}
        parts = windows_of(audio, self.rate, self.seconds)
        return self._mean([self._distances(part) for part in parts])

    def _own(self) -> dict[str, dict[str, float | None]]:
        found = []
        for start in self._starts(OWN):
            cut = (start, start + self.seconds)
            rest = self.train.outside(*cut)
            found.append(self.comparison.distances(rest, self.train.between(*cut)))
        return {
            f"own {quantile:.0%}".replace("%", " %"): {
                name: None if not values else float(np.quantile(values, quantile))
                for name, values in _known(found).items()
            }
            for quantile in QUANTILES
        }

    def _mp3(self, audio: np.ndarray) -> dict[str, float | None]:
        found = []
        for start in self._starts(MADE):
            first = round(start * self.rate)
            coded = through_mp3(audio[first : first + round(self.seconds * self.rate)], self.rate)
            if coded is None:
                return {}
            rest = self.train.outside(start, start + self.seconds)
            features = self.comparison.features(coded, self.rate)
            found.append(self.comparison.distances(rest, features))
        return self._mean(found)

    def _made(self, audio: np.ndarray, make: Any) -> dict[str, float | None]:
        generator = np.random.default_rng(0)
        made = (make(audio, self.rate, self.seconds, generator) for _ in range(MADE))
        return self._mean([self._distances(one) for one in made])

    def _distances(self, audio: np.ndarray) -> dict[str, float | None]:
        return self.comparison.distances(self.train, self.comparison.features(audio, self.rate))

    def _starts(self, count: int) -> np.ndarray:
        return np.linspace(0, self.train.seconds - self.seconds, count)

    @staticmethod
    def _mean(found: Sequence[dict[str, float | None]]) -> dict[str, float | None]:
        return {k: float(np.mean(v)) if v else None for k, v in _known(found).items()}


def compare_with_piece(
    streams: Sequence[np.ndarray],
    train: Sequence[np.ndarray],
    heldout: Sequence[np.ndarray],
    rate: int,
) -> dict[str, dict[str, Any]]:
    """All comparisons that are available here, of generated audio with a piece.

    Args:
        streams: each `(n,)` or `(n, channels)`, without their seeds; cut to the shortest of them.
        train: stretches of audio, likewise.
        heldout: likewise; may be empty.
        rate: int. Samples per second of all of them.

    Returns:
        By the name of the figure: see `Brackets.compare`. Empty where the streams are shorter than
        10 s, which says too little.

    Raises:
        UserError: the train part is empty.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(3, 4000))
        >>> compare_with_piece([noise[0]], [noise[1]], [noise[2]], 8000)
        {}
    """
    length = min(map(len, streams))
    if length < SHORTEST * rate:
        return {}
    cut = [stream[:length] for stream in streams]
    figures: dict[str, dict[str, Any]] = {}
    for comparison in available_comparisons():
        brackets = Brackets(comparison, train, heldout, rate, length / rate)
        figures |= brackets.compare(cut)
    return figures


def _known(found: Sequence[dict[str, float | None]]) -> dict[str, list[float]]:
    """Values of each name, without those that are None."""
    names = dict.fromkeys(name for one in found for name in one)
    return {n: [v for one in found if (v := one.get(n)) is not None] for n in names}


def _transposed(table: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = dict.fromkeys(name for column in table.values() for name in column)
    return {n: {key: column.get(n) for key, column in table.items()} for n in names}


def _floats(segments: Sequence[np.ndarray]) -> np.ndarray:
    """All stretches one after the other, float32 in [-1, 1]."""
    parts = [np.asarray(segment) for segment in segments if len(segment)]
    if not parts:
        return np.zeros(0, np.float32)
    audio = np.concatenate(parts)
    if audio.dtype.kind in "iu":
        return audio.astype(np.float32) / (np.iinfo(audio.dtype).max + 1)
    return audio.astype(np.float32)
