"""Timbre distance by lag: how different what follows later is."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.dsp.spectra import log_mel

STRETCH_SECONDS = 2.0
LAGS = (1, 2, 3, 5, 10)  # stretches: 2 to 20 s


def timbre_distances(
    audios: Sequence[np.ndarray], rate: int, piece: Sequence[np.ndarray] | None = None
) -> dict[str, float | None]:
    """How different the timbre is 2, 4, 6, 10 and 20 s later.

    Music that stays in a section for ten seconds and then goes on to another has distances that
    rise with the lag. A patchwork of short excerpts has the same distance at all lags.

    Formula: mean log mel spectra of stretches of two seconds; the mean squared distance of those
    that are so many seconds apart, over twice the variance of the piece's own. 1 is the distance of
    two random stretches of the piece.

    Known answers: 0 for a steady sound; the same at all lags for stretches in random order.

    How it fails: it knows level and timbre alone, no notes and no rhythm; a slow fade counts as
    form; streams of a minute seldom show all that a long piece has, so their distances are smaller.

    Source: this project's own; a summary of the self-similarity matrix of Foote, "Visualizing Music
    and Audio using Self-Similarity", 1999.

    Args:
        audios: `(n,)` or `(n, channels)` each; lags never run over a border.
        rate: samples per second.
        piece: by which distances are scaled; None: `audios` themselves.

    Returns:
        Of each lag, named `2 s` and so on; None where no audio is as long, or the piece is steady.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=160_000) / 10
        >>> in_turn = noise * np.repeat([1.0, 0.1] * 5, 16_000)
        >>> found = timbre_distances([in_turn], 8000)
        >>> round(found["2 s"], 1), round(found["4 s"], 1)
        (2.0, 0.0)
    """
    streams = [_stretches(audio, rate) for audio in audios]
    own = streams if piece is None else [_stretches(audio, rate) for audio in piece]
    all_own = np.concatenate(own) if own else np.zeros((0, 1))
    scale = 2 * float(all_own.var(axis=0).mean()) if len(all_own) else 0.0
    found: dict[str, float | None] = {}
    for lag in LAGS:
        pairs = [np.square(s[lag:] - s[:-lag]).mean(axis=1) for s in streams if len(s) > lag]
        known = pairs and scale > 0
        mean = float(np.concatenate(pairs).mean()) / scale if known else None
        found[f"{lag * STRETCH_SECONDS:g} s"] = mean
    return found


def _stretches(audio: np.ndarray, rate: int) -> np.ndarray:
    """Mean log mel spectra of stretches, `(stretches, 40)`."""
    length = round(STRETCH_SECONDS * rate)
    parts = [audio[i : i + length] for i in range(0, len(audio) - length + 1, length)]
    spectra = [log_mel(part, rate).mean(axis=0) for part in parts]
    return np.array(spectra) if spectra else np.zeros((0, 40))
