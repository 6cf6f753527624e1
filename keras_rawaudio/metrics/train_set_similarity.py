"""Train-set similarity: the best match of any two seconds with the train part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.dsp.spectra import excerpts, log_mel, mono
from keras_rawaudio.metrics.patch_index import STRETCH_SECONDS, Matches, PatchIndex

HOP_SECONDS = 0.032
OWN_SECONDS, OWN_QUANTILE = 1200.0, 0.95  # of the train part that is matched with itself


class TrainSet:
    """The train part as log mel spectra, 16 bits per value (9 MB per hour).

    Args:
        segments: stretches of mono audio; a match never runs over a border.
        rate: samples per second.
    """

    def __init__(self, segments: Sequence[np.ndarray], rate: int) -> None:
        self.rate = rate
        segments = [s for s in segments if len(s)]
        starts = np.cumsum([0.0, *(len(s) / rate for s in segments)])[:-1]
        self.index = PatchIndex([log_mel(s, rate) for s in segments], HOP_SECONDS, starts.tolist())

    def matches(self, audio: np.ndarray) -> Matches:
        """`matches_of` one audio `(n,)`."""
        return self.matches_of([audio])[0]

    def matches_of(self, audios: Sequence[np.ndarray]) -> list[Matches]:
        """The best place in the train part for each two seconds of each audio, every 0.25 s.

        Formula: see `PatchIndex.matches_of`; patches are 62 frames by 40 log mel bands, the train
        part is tried every 32 ms, at equal speed and pitch.

        Known answers: 1 for the train part itself, over 0.9 for an exact copy that starts between
        two frames.

        How it fails: silence matches silence; music repeats itself, so held-out audio scores high
        too (compare with it, as `measure` does); a transposed or stretched copy is missed; long
        audio has more tries.
        """
        return self.index.matches_of([log_mel(audio, self.rate) for audio in audios])


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
