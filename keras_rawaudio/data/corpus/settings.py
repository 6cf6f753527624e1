"""What a corpus is made with, and the names of its parts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from keras_rawaudio.errors import UserError

PARTS = ("train", "validation", "test")
LOWEST_RATE, HIGHEST_RATE = 1000, 384_000
"""Sample rates in Hz that make sense, of files and of a corpus."""


@dataclass(frozen=True)
class CorpusSettings:
    """How audio files become a corpus.

    Args:
        sample_rate: in Hz; None takes the files' own (the lowest of them), up to
            `max_sample_rate`.
        max_sample_rate: in Hz; None: 48 kHz, or the limit of the recipe.
        channels: 1 mixes to mono, 2 makes stereo (mono files are doubled); None takes the files'
            own: stereo where any of them is. A file of more than two channels is mixed to mono.
        trim: whether each file's silent head and tail are cut off.
        trim_decibels: what counts as silent: 20 ms whose effective level lies below this,
            relative to the file's own peak. -90, the default, cuts digital silence and dither
            beneath it, and spares every fade; room noise takes about -60.
        split: the fractions of the train, validation and test parts, in the order of time.
        split_each: whether every label (see `Corpus.labels`) is split by itself, so that all of
            them are in the train part.

    Raises:
        UserError: if an argument is out of its range.

    Example:
        >>> CorpusSettings(sample_rate=8000).split
        (0.8, 0.1, 0.1)
    """

    sample_rate: int | None = None
    max_sample_rate: int | None = None
    channels: int | None = None
    trim: bool = True
    trim_decibels: float = -90.0
    split: tuple[float, float, float] = (0.8, 0.1, 0.1)
    split_each: bool = False

    def __post_init__(self) -> None:
        for rate in (self.sample_rate, self.max_sample_rate):
            if rate is not None and not is_sample_rate(rate):
                raise UserError(
                    f"the sample rate must be a whole number from {LOWEST_RATE} to {HIGHEST_RATE} "
                    f"Hz, not {rate!r}"
                )
        if self.channels not in (None, 1, 2):
            raise UserError(
                f"channels must be 1 (mono), 2 (stereo) or left out, not {self.channels!r}"
            )
        if not (math.isfinite(self.trim_decibels) and self.trim_decibels < 0):
            raise UserError(
                f"the trim level must be below 0 dB (relative to the peak), not "
                f"{self.trim_decibels:g}"
            )
        fractions = tuple(self.split)
        if (
            len(fractions) != len(PARTS)
            or not all(fraction > 0 for fraction in fractions)
            or abs(sum(fractions) - 1) > 1e-6
        ):
            raise UserError(
                "the split must be three fractions over 0 that add up to 1 (train, validation, "
                f"test), not {', '.join(f'{fraction:g}' for fraction in fractions)}"
            )
        object.__setattr__(self, "split", fractions)  # a list from JSON or YAML compares equal


def is_sample_rate(rate: object) -> bool:
    """Whether this is a rate that audio has: a whole number in range.

    Example:
        >>> is_sample_rate(44100), is_sample_rate(10**9)
        (True, False)
    """
    if not isinstance(rate, int) or isinstance(rate, bool):
        return False
    return LOWEST_RATE <= rate <= HIGHEST_RATE
