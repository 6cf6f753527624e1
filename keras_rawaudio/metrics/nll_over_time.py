"""Negative log-likelihood over time and over loudness, in bits per sample."""

from __future__ import annotations

import numpy as np

LOUDNESS_SECONDS = 0.1
BANDS = 6


def bits_by_second(bits: np.ndarray, rate: int) -> np.ndarray:
    """Mean bits per sample of each second.

    Of real audio (teacher forcing) this is what the model pays. Of audio that the model drew itself
    at temperature 1 it is an estimate of the entropy of what it predicts, since the mean of
    `-log2 p(x)` over draws of `x` from `p` is that entropy: free running that falls far below what
    real audio costs has got stuck, far above has turned to noise.

    Known answers: 8 for draws from a uniform distribution over 256 codes, its entropy; 0 where
    every sample is certain.

    How it fails: one path is a noisy estimate; at another temperature the draws are not from the
    distribution that is asked; a level change is a change of bits, too.

    Reference:
        Cover and Thomas, "Elements of Information Theory", section 3.1 (asymptotic equipartition).

    Args:
        bits: of each sample, `(n,)` or `(n, channels)`.
        rate: samples per second.

    Returns:
        `(seconds,)`; a last second shorter than half is left out, unless it is the only one.

    Example:
        >>> bits_by_second(np.repeat([8.0, 2.0], 100), rate=100).tolist()
        [8.0, 2.0]
    """
    seconds = max(1, round(len(bits) / rate))
    return np.array([bits[i * rate : (i + 1) * rate].mean() for i in range(seconds)])


def bits_by_loudness(bits: np.ndarray, audio: np.ndarray, rate: int) -> list[tuple[float, float]]:
    """Mean bits per sample of the quietest sixth of the time, the next one, ... the loudest.

    Loudness is the RMS of 0.1 s, in dB of full scale. A model that pays more for quiet passages
    than for loud ones sees noise there, or its codec is too coarse for them.

    How it fails: on mu-law cells quiet audio is finer cut, so it costs more than its level says;
    RMS is no loudness as ears have it.

    Args:
        bits: of each sample, `(n,)` or `(n, channels)`.
        audio: the same samples in [-1, 1], `(n,)` or `(n, channels)`.
        rate: samples per second.

    Returns:
        Pairs of mean level (dB) and mean bits, quietest first; fewer than six for short audio.

    Example:
        >>> loud = np.repeat([0.01, 1.0], 3000)
        >>> bits = np.repeat([3.0, 5.0], 3000)
        >>> [(round(level), cost) for level, cost in bits_by_loudness(bits, loud, rate=100)]
        [(-40, 3.0), (-40, 3.0), (-40, 3.0), (0, 5.0), (0, 5.0), (0, 5.0)]
    """
    size = max(1, round(LOUDNESS_SECONDS * rate))
    count = len(bits) // size
    if count == 0:
        return []
    power = np.square(audio[: count * size], dtype=np.float64).reshape(count, -1).mean(axis=1)
    level = 10 * np.log10(power + 1e-12)
    cost = bits[: count * size].reshape(count, -1).mean(axis=1)
    parts = np.array_split(np.argsort(level, kind="stable"), BANDS)
    return [(float(level[p].mean()), float(cost[p].mean())) for p in parts if len(p)]
