"""Where spectra were taken from: the best match of every two seconds, by correlation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

STRETCH_SECONDS = 2.0
EVERY_SECONDS = 0.25
DRIFT_SECONDS = 0.1  # two stretches in a row this near to each other's place are one copy
POSITIONS = 1024  # of the index at a time, so that memory stays bounded


@dataclass(frozen=True)
class SimilarExcerpt:
    """An excerpt that follows the train part: its length, its start, its start there (s)."""

    seconds: float
    start: float
    source: float


@dataclass(frozen=True)
class Matches:
    """For each stretch: when it starts, how well it matches, and where in the index (s)."""

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
        """The longest stretch that follows one place in the index, better than `limit`."""
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


class PatchIndex:
    """Spectra in which the source of other spectra is sought; 16 bits per value.

    Args:
        spectra: log spectra `(frames, bands)` of each segment; a match never runs over a border.
        hop: seconds from frame to frame.
        starts: when each segment begins (s); `None`: one after the other.

    Example:
        >>> spectra = np.random.default_rng(0).normal(size=(400, 8))
        >>> (found,) = PatchIndex([spectra], 0.05).matches_of([spectra[100:150]])
        >>> found.source[:2].round(2).tolist()
        [5.0, 5.25]

    Reference:
        Lewis 1995, "Fast normalized cross-correlation"; as a matrix product, which for patches this
        small beats the FFT.
    """

    def __init__(
        self, spectra: Sequence[np.ndarray], hop: float, starts: Sequence[float] | None = None
    ) -> None:
        self.hop = hop
        self.spectra = [s.astype(np.float16) for s in spectra]
        lengths = [0.0, *(len(s) * hop for s in spectra)]
        self.starts = np.cumsum(lengths[:-1]) if starts is None else np.asarray(starts)
        frames = sum(len(m) for m in self.spectra)
        self.mean = sum(m.sum(axis=0, dtype=np.float64) for m in self.spectra) / frames
        squares = sum(np.square(m, dtype=np.float64).sum(axis=0) for m in self.spectra) / frames
        self.scale = np.sqrt(np.maximum(squares - self.mean**2, 1e-4))

    def matches_of(
        self, spectra: Sequence[np.ndarray], every: float = EVERY_SECONDS
    ) -> list[Matches]:
        """The best place for each two seconds of each of other spectra.

        Formula: Pearson's correlation between two patches of two seconds, each band less its mean
        over the index and divided by its deviation (else the average spectrum alone would
        correlate). The index is tried at every frame.

        Args:
            spectra: `(frames, bands)` each, at the hop of the index.
            every: seconds from stretch to stretch.
        """
        length, step = round(STRETCH_SECONDS / self.hop), round(every / self.hop)
        each = [_unit_patches(self._standardised(one), length, step) for one in spectra]
        queries = np.concatenate(each)
        best = np.full(len(queries), -1.0)
        source = np.zeros(len(queries))
        for offset, spectrum in zip(self.starts, self.spectra, strict=True):
            for first in range(0, len(spectrum) - length + 1, POSITIONS):
                chunk = spectrum[first : first + POSITIONS + length - 1].astype(np.float32)
                scores = queries @ _unit_patches(self._standardised(chunk), length).T
                where = scores.argmax(axis=1)
                score = scores[np.arange(len(queries)), where]
                better = score > best
                best[better] = score[better]
                source[better] = offset + (first + where[better]) * self.hop
        if all(len(spectrum) < length for spectrum in self.spectra):  # nothing to match with
            best, source = best[:0], source[:0]
            each = [part[:0] for part in each]
        borders = np.cumsum([len(part) for part in each])[:-1]
        return [
            Matches(np.arange(len(found)) * step * self.hop, found, places)
            for found, places in zip(
                np.split(best, borders), np.split(source, borders), strict=True
            )
        ]

    def _standardised(self, spectra: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = ((spectra - self.mean) / self.scale).astype(np.float32)
        return scaled


def _unit_patches(spectra: np.ndarray, length: int, step: int = 1) -> np.ndarray:
    """Patches of `length` frames, less their mean, of norm one (or zero): `(patches, values)`."""
    if len(spectra) < length:
        return np.zeros((0, length * spectra.shape[1]), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(spectra, length, axis=0)[::step]
    patches = windows.reshape(len(windows), -1)
    patches = patches - patches.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(patches, axis=1, keepdims=True)
    unit: np.ndarray = np.where(norms > 1e-3, patches / np.maximum(norms, 1e-3), 0)
    return unit
