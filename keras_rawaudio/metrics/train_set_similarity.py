"""Train-set similarity: the best match of any two seconds with the train part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from keras_rawaudio.dsp.spectra import excerpts, log_mel, mono

STRETCH_SECONDS = 2.0
EVERY_SECONDS = 0.25
HOP_SECONDS = 0.032
DRIFT_SECONDS = 0.1  # two stretches in a row this near to each other's place are one copy
OWN_SECONDS, OWN_QUANTILE = 1200.0, 0.95  # of the train part that is matched with itself
POSITIONS = 1024  # of the train part at a time, so that memory stays bounded


@dataclass(frozen=True)
class SimilarExcerpt:
    """An excerpt that follows the train part: its length, its start, its start there (s)."""

    seconds: float
    start: float
    source: float


@dataclass(frozen=True)
class Matches:
    """For each stretch: when it starts, how well it matches, and where in the train part (s)."""

    start: np.ndarray
    correlation: np.ndarray
    source: np.ndarray

    def best(self) -> tuple[float, float, float]:
        """`(correlation, start, source)` of the best one; zeros where there is none."""
        if len(self.correlation) == 0:
            return 0.0, 0.0, 0.0
        i = int(self.correlation.argmax())
        return float(self.correlation[i]), float(self.start[i]), float(self.source[i])

    def longest_copy(self, limit: float) -> SimilarExcerpt | None:
        """The longest stretch that follows one place in the train part, better than `limit`."""
        longest: SimilarExcerpt | None = None
        begin = 0
        offsets = self.source - self.start
        for i in range(len(self.start)):
            if self.correlation[i] <= limit:
                continue
            goes_on = i > 0 and self.correlation[i - 1] > limit
            if not goes_on or abs(offsets[i] - offsets[i - 1]) > DRIFT_SECONDS:
                begin = i
            seconds = float(self.start[i] - self.start[begin] + STRETCH_SECONDS)
            if longest is None or seconds > longest.seconds:
                longest = SimilarExcerpt(
                    seconds, float(self.start[begin]), float(self.source[begin])
                )
        return longest

    def similar_seconds(self, limit: float) -> float:
        """Seconds covered by stretches that match better than `limit`."""
        covered = 0.0
        end = 0.0
        for start in self.start[self.correlation > limit]:
            covered += start + STRETCH_SECONDS - max(end, start)
            end = start + STRETCH_SECONDS
        return float(covered)


class TrainSet:
    """The train part as log mel spectra, 16 bits per value (9 MB per hour).

    Args:
        segments: stretches of mono audio; a match never runs over a border.
        rate: samples per second.
    """

    def __init__(self, segments: Sequence[np.ndarray], rate: int) -> None:
        self.rate = rate
        self.spectra = [log_mel(s, rate).astype(np.float16) for s in segments if len(s)]
        self.starts = np.cumsum([0.0, *(len(s) / rate for s in segments if len(s))])
        frames = sum(len(m) for m in self.spectra)
        self.mean = sum(m.sum(axis=0, dtype=np.float64) for m in self.spectra) / frames
        squares = sum(np.square(m, dtype=np.float64).sum(axis=0) for m in self.spectra) / frames
        self.scale = np.sqrt(np.maximum(squares - self.mean**2, 1e-4))

    def matches(self, audio: np.ndarray) -> Matches:
        """`matches_of` one audio `(n,)`."""
        return self.matches_of([audio])[0]

    def matches_of(self, audios: Sequence[np.ndarray]) -> list[Matches]:
        """The best place in the train part for each two seconds of each audio, every 0.25 s.

        Formula: Pearson's correlation between two patches of 62 frames by 40 log mel bands, each
        band less its mean over the train part and divided by its deviation (else the average
        spectrum alone would correlate). The train part is tried at every frame (32 ms), the audio
        every 0.25 s, at equal speed and pitch.

        Known answers: 1 for the train part itself, over 0.9 for an exact copy that starts between
        two frames.

        How it fails: silence matches silence; music repeats itself, so held-out audio scores high
        too (compare with it, as `measure` does); a transposed or stretched copy is missed; long
        audio has more tries.

        Source: normalised cross-correlation (Lewis, "Fast Normalized Cross-Correlation", 1995), as
        a matrix product, which for patches this small beats the FFT.
        """
        length = round(STRETCH_SECONDS / HOP_SECONDS)
        step = round(EVERY_SECONDS / HOP_SECONDS)
        mels = [self._standardised(log_mel(audio, self.rate)) for audio in audios]
        each = [_unit_patches(mel, length)[::step] for mel in mels]
        queries = np.concatenate(each)
        best = np.full(len(queries), -1.0)
        source = np.zeros(len(queries))
        for offset, spectrum in zip(self.starts, self.spectra, strict=False):
            for first in range(0, len(spectrum) - length + 1, POSITIONS):
                chunk = spectrum[first : first + POSITIONS + length - 1].astype(np.float32)
                scores = queries @ _unit_patches(self._standardised(chunk), length).T
                where = scores.argmax(axis=1)
                score = scores[np.arange(len(queries)), where]
                better = score > best
                best[better] = score[better]
                source[better] = offset + (first + where[better]) * HOP_SECONDS
        if all(len(spectrum) < length for spectrum in self.spectra):  # nothing to match with
            best, source = best[:0], source[:0]
            each = [part[:0] for part in each]
        borders = np.cumsum([len(part) for part in each])[:-1]
        return [
            Matches(np.arange(len(found)) * step * HOP_SECONDS, found, places)
            for found, places in zip(
                np.split(best, borders), np.split(source, borders), strict=True
            )
        ]

    def _standardised(self, mel: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = ((mel - self.mean) / self.scale).astype(np.float32)
        return scaled


def _unit_patches(mel: np.ndarray, length: int) -> np.ndarray:
    """Every patch of `length` frames, less its mean, of norm one (or zero): `(patches, values)`."""
    count = len(mel) - length + 1
    if count < 1:
        return np.zeros((0, length * mel.shape[1]), np.float32)
    patches = np.lib.stride_tricks.sliding_window_view(mel, length, axis=0).reshape(count, -1)
    patches = patches - patches.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(patches, axis=1, keepdims=True)
    unit: np.ndarray = np.where(norms > 1e-3, patches / np.maximum(norms, 1e-3), 0)
    return unit


def own_similarity(segments: Sequence[np.ndarray], rate: int) -> float | None:
    """How well one half of the piece matches the other, at best but for the highest 5 %.

    What a piece repeats, audio that is like it may repeat as well: a match of generated audio over
    this is likelier a copy.

    Formula: the 95 % quantile of the best matches, see `TrainSet.matches_of`, of every two seconds
    of the second half with the first. Half of 20 minutes at most, as evenly spaced excerpts.

    How it fails: a piece that changes half-way has little in common with itself.

    Args:
        segments: stretches of mono audio of the train part.
        rate: int. Samples per second.

    Returns:
        -1 to 1; None where a half is shorter than two seconds.

    Example:
        >>> bar = np.random.default_rng(0).normal(size=32000) / 10
        >>> own_similarity([np.tile(bar, 4)], 8000) > 0.9
        True
    """
    chosen = [mono(part) for part in excerpts(segments, rate, OWN_SECONDS, OWN_SECONDS / 40)]
    audio = np.concatenate([*chosen, np.zeros(0, np.float32)])
    half = len(audio) // 2
    if half < STRETCH_SECONDS * rate:
        return None
    found = TrainSet([audio[:half]], rate).matches(audio[half:]).correlation
    return float(np.quantile(found, OWN_QUANTILE)) if len(found) else None
