"""Ranks many streams: by health against the piece's own seconds, then by likelihood."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .output import FileOutput
from .sampler import Sampler

FRAME_SECONDS = 0.064
SILENCE_DECIBELS = -80.0
STEP = 1 / 32768
# Ill seconds that count for nothing: each limit is one that 1 % of the piece's own seconds cross.
TOLERATED = 0.05
# Without limits of the piece: digital silence, and a thousandth of the samples in flat tops.
DEFAULT_LIMITS = {"quietest": SILENCE_DECIBELS, "most_clipped": 0.001}


@dataclass(frozen=True)
class StreamScore:
    """Health and likelihood of one stream.

    Attributes:
        stream: its number, from 0.
        faults: share of its seconds that has each fault.
        ill: share of its seconds that has any.
        bits: negative log-likelihood in bits per sample; None where unknown.
    """

    stream: int
    faults: Mapping[str, float]
    ill: float
    bits: float | None = None

    @property
    def rank(self) -> tuple[float, float, float]:
        """Sorts the best first: the healthiest, of the healthy the likeliest."""
        return max(self.ill - TOLERATED, 0.0), self.bits or 0.0, self.ill

    @property
    def fault(self) -> str | None:
        """The fault that it has most of; None for a healthy stream."""
        if self.ill <= TOLERATED:
            return None
        return max(self.faults, key=lambda name: self.faults[name])

    def __str__(self) -> str:
        """In words: "healthy, 3.41 bits per sample", "noisy 30%, stuck 10% of its seconds"."""
        listed = [f"{name} {share:.0%}" for name, share in self.faults.items() if share]
        words = "healthy" if self.fault is None else ", ".join(listed) + " of its seconds"
        return words if self.bits is None else f"{words}, {self.bits:.2f} bits per sample"


class StreamRanker:
    """Ranks streams while they are made, second by second, and keeps no audio.

    A second is `dead`, `loud`, `noisy`, `stuck`, `offset` or `clipped` beyond a limit that 1 % of
    the train part's seconds cross; the exported file carries these. Without them only digital
    silence and clipping are found.

    Likelihood alone would prefer the dullest streams. Those are ill: stuck, or dead.

    Args:
        streams: how many.
        sample_rate: in Hz.
        limits: what training calls `thresholds`; may lack any.

    Example:
        >>> ranker = StreamRanker(2, 8000, {"flattest": 0.3})
        >>> time = np.arange(8000) / 8000
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 8000)
        >>> ranker.write(np.stack([noise, 0.1 * np.sin(2000 * time)]))
        >>> [f"stream {score.stream}: {score}" for score in ranker.ranking()]
        ['stream 1: healthy', 'stream 0: noisy 100% of its seconds']
    """

    def __init__(self, streams: int, sample_rate: int, limits: Mapping[str, float]) -> None:
        self.rate = sample_rate
        self.limits = {**DEFAULT_LIMITS, **limits}
        self._rest = np.empty((streams, 0), np.float32)
        self._faults: dict[str, np.ndarray] = {}
        self._ill = np.zeros(streams)
        self._seconds = 0

    def write(self, block: np.ndarray) -> None:
        """Add float (streams, samples[, channels]); channels are mixed to mono."""
        mono = block.mean(axis=2) if block.ndim == 3 else block
        audio = np.concatenate([self._rest, mono], axis=1)
        whole = audio.shape[1] // self.rate * self.rate
        for start in range(0, whole, self.rate):
            self._measure(audio[:, start : start + self.rate])
        self._rest = audio[:, whole:]

    def ranking(self, bits: np.ndarray | None = None) -> list[StreamScore]:
        """All streams, best first, at the end.

        Args:
            bits: per sample, of each stream; None where unknown.
        """
        left = self._rest.shape[1]
        if left and (2 * left >= self.rate or not self._seconds):
            self._measure(self._rest)
        self._rest = self._rest[:, :0]
        seconds = max(self._seconds, 1)
        scores = []
        for stream, ill in enumerate(self._ill / seconds):
            faults = {name: float(count[stream]) / seconds for name, count in self._faults.items()}
            own = None if bits is None else float(bits[stream])
            scores.append(StreamScore(stream, faults, float(ill), own))
        return sorted(scores, key=lambda one: one.rank)

    def _measure(self, second: np.ndarray) -> None:
        found = faults(second, self.rate, self.limits)
        for name, which in found.items():
            self._faults[name] = self._faults.get(name, 0) + which
        self._ill += np.any(list(found.values()), axis=0)
        self._seconds += 1


def faults(second: np.ndarray, rate: int, limits: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Which streams are beyond which limit in this second.

    The formulas are those of training, `keras_rawaudio.metrics.health`, whose limits they meet.

    Args:
        second: float (streams, samples).
        rate: in Hz.
        limits: what is not there is not looked for.

    Returns:
        bool (streams,) by name: `dead`, `loud`, `noisy`, `stuck`, `offset`, `clipped`.
    """
    size = max(16, round(FRAME_SECONDS * rate))
    second = np.asarray(second, np.float32)
    level = 10 * np.log10(np.mean(np.square(second, dtype=np.float64), axis=1) + 1e-12)
    padded = np.pad(second, ((0, 0), (0, max(0, size - second.shape[1]))))
    count = padded.shape[1] // size
    frames = padded[:, : count * size].reshape(len(padded), count, size)
    window = np.hanning(size + 1)[:size]
    spectra = np.abs(np.fft.rfft(frames * window)) * (2 / window.sum())
    power = spectra[..., 1:-1] ** 2 + 1e-14
    flatness = (np.exp(np.log(power).mean(axis=2)) / power.mean(axis=2)).mean(axis=1)
    shape = spectra / (spectra.sum(axis=2, keepdims=True) + 1e-9)
    steps = np.abs(np.diff(shape, axis=1)).sum(axis=2) / 2
    change = steps.mean(axis=1) if count > 1 else np.zeros(len(second))
    sounding = level >= SILENCE_DECIBELS
    found = {
        "dead": ("quietest", -level),
        "loud": ("loudest", level),
        "noisy": ("flattest", np.where(sounding, flatness, 0.0)),
        "stuck": ("least_change", -np.where(sounding, change, 0.0)),
        "offset": ("largest_offset", np.abs(second.mean(axis=1, dtype=np.float64))),
        "clipped": ("most_clipped", flat_tops(second).mean(axis=1)),
    }
    lower = ("dead", "stuck")
    return {
        name: value > (-limits[limit] if name in lower else limits[limit])
        for name, (limit, value) in found.items()
        if limit in limits
    }


def flat_tops(audio: np.ndarray) -> np.ndarray:
    """Samples in runs of three or more at the greatest size of their row: bool, the same shape."""
    size = np.abs(audio)
    greatest = size.max(axis=1, keepdims=True)
    top = (size >= greatest - STEP) & (greatest >= 2 * STEP)
    runs = top[:, :-2] & top[:, 1:-1] & top[:, 2:]
    flat = np.zeros_like(top)
    for shift in range(3):
        flat[:, shift : flat.shape[1] - 2 + shift] |= runs
    return flat


class RankedFiles(FileOutput):
    """Writes all streams to temporary files, and keeps the best as files, the best first.

    Args:
        path: of the one file; several are numbered.
        sampler: makes the streams.
        keep: how many files there will be.
        say: takes the reasons, a line per file and one for all others.
        unranked: samples at the beginning that are no stream's own: the seed.
    """

    def __init__(
        self,
        path: str | Path,
        sampler: Sampler,
        keep: int,
        say: Callable[[str], None],
        unranked: int = 0,
    ) -> None:
        super().__init__(path, sampler.streams, sampler.sample_rate, sampler.channels, keep)
        limits = sampler.metadata.limits
        if not limits:
            say("the model carries no limits of its piece: only silence and clipping are found")
        self._ranker = StreamRanker(sampler.streams, sampler.sample_rate, limits)
        self._sampler, self._say, self._unranked = sampler, say, unranked

    def write(self, block: np.ndarray) -> None:
        super().write(block)
        seed = min(self._unranked, block.shape[1])
        self._unranked -= seed
        self._ranker.write(block[:, seed:])

    def _commit(self) -> None:
        ranking = self._ranker.ranking(self._sampler.bits)
        best, others = ranking[: len(self.paths)], ranking[len(self.paths) :]
        self.kept = [score.stream for score in best]
        super()._commit()
        for path, score in zip(self.paths, best, strict=True):
            self._say(f"{path}: stream {score.stream + 1}, {score}")
        if others:
            self._say(summary(others))


def summary(dropped: Sequence[StreamScore]) -> str:
    """Why streams were dropped, in one line.

    Args:
        dropped: at least one.

    Returns:
        Such as "60 dropped: 41 less likely, 17 noisy, 2 stuck".
    """
    known = any(score.bits is not None for score in dropped)
    otherwise = "less likely" if known else "no worse, but too many"
    reasons = Counter(score.fault or otherwise for score in dropped)
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
    return f"{len(dropped)} dropped: {listed}"
