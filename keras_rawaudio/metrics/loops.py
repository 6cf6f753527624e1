"""Periodicity: does the sound come back after a lap, how exactly, and how long is the lap?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.dsp.spectra import log_mel

HOP_SECONDS = 0.016
SHORTEST_LOOP = 0.1
EXACT_LOOP = 0.1  # difference from one lap to the next, 1 for unrelated sounds
EQUAL = 0.02
UNLIKE = 0.7  # sounds differ by this before they can come back
STEADY = 0.2  # audio that never differs by this has no lap


def loop_differences(audio: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """How much the sound differs from itself some lag later, for lags up to half of the audio.

    Formula: mean squared difference of log mel spectra (20 bands, every 16 ms) at that lag, over
    twice their variance: 0 for an exact loop, about 1 for unrelated sounds.

    Returns:
        `(lags in frames, differences)`; empty for audio that never changes.
    """
    mel = log_mel(audio, rate, bands=20, hop=HOP_SECONDS).astype(np.float64)
    mel -= mel.mean(axis=0)
    n = len(mel)
    energy = np.square(mel).sum(axis=1)
    lags = np.arange(round(SHORTEST_LOOP / HOP_SECONDS), n // 2)
    if len(lags) == 0 or energy.mean() < 1e-6:
        return lags[:0], np.zeros(0)
    spectrum = np.fft.rfft(mel, 2 * n, axis=0)
    products = np.fft.irfft(np.square(np.abs(spectrum)).sum(axis=1))[:n]
    upto = np.concatenate([[0.0], np.cumsum(energy)])
    squares = upto[n - lags] + upto[n] - upto[lags] - 2 * products[lags]
    return lags, np.maximum(squares, 0) / (n - lags) / (2 * energy.mean())


def shortest_lap(lags: np.ndarray, differences: np.ndarray, limit: float) -> int | None:
    """First local minimum of the differences under the limit, in frames.

    The first few lags are alike because sounds last, so a lap must come after unlike ones.
    """
    unlike = np.flatnonzero(differences > max(2 * limit, 0.1))
    if len(unlike) == 0:
        return None
    lap = _first_dip(differences, int(unlike[0]), limit)
    return None if lap is None else int(lags[lap])


def _first_dip(differences: np.ndarray, begin: int, limit: float) -> int | None:
    """The lowest point of the first dip under the limit: laps of whole frames are rare."""
    under = np.flatnonzero(differences[begin:] < limit) + begin
    if len(under) == 0:
        return None
    gaps = np.flatnonzero(np.diff(under) > 1)
    dip = under[: gaps[0] + 1] if len(gaps) else under
    return int(dip[differences[dip].argmin()])


def find_loop(audio: np.ndarray, rate: int, own_limit: float) -> tuple[float, float] | None:
    """Where a loop that lasts to the end starts, and its period, in seconds; None without one.

    Looked for in the last half of the audio, then followed back towards the start.
    """
    limit = min(EXACT_LOOP, own_limit)
    lags, differences = loop_differences(audio[len(audio) // 2 :], rate)
    lap = shortest_lap(lags, differences, limit)
    if lap is None:
        return None
    mel = log_mel(audio, rate, bands=20, hop=HOP_SECONDS).astype(np.float64)
    energy = np.square(mel - mel[len(mel) // 2 :].mean(axis=0)).sum(axis=1)
    usual = energy[len(mel) // 2 :].mean()
    squares = np.square(mel[lap:] - mel[:-lap]).sum(axis=1) / (2 * usual)
    smooth = max(1, round(0.5 / HOP_SECONDS))
    averaged = np.convolve(squares, np.ones(smooth) / smooth, mode="same")
    unlike = np.flatnonzero(averaged > 4 * limit)
    start = int(unlike[-1]) + 1 if len(unlike) else 0
    return start * HOP_SECONDS, lap * HOP_SECONDS


def closest_lap(audio: np.ndarray, rate: int) -> tuple[float, float]:
    """The lag, up to half of the audio, at which it is most like itself.

    Lags before the first at which it is as unlike itself as it gets (0.7, or 90 % of the greatest
    difference) do not count: sounds last.

    Known answers: 0 at the period for an exact loop; about 1 for noise; 1 and no period for audio
    that never changes.

    How it fails: of laps that are equally near (0.02) the shortest counts, or the beat for the bar;
    music with a steady beat has some 0.5 at the
    bar; a few seconds of any music come near themselves by chance.

    Args:
        audio: mono `(n,)`, some seconds.
        rate: samples per second.

    Returns:
        The difference (see `loop_differences`) and the lag in seconds, 0 without one.

    Example:
        >>> lap = np.random.default_rng(0).normal(size=8192)  # a whole number of hops
        >>> difference, seconds = closest_lap(np.tile(lap, 8), 8000)
        >>> round(difference, 6), seconds
        (0.0, 1.024)
    """
    lags, differences = loop_differences(audio, rate)
    if len(lags) == 0 or differences.max() < STEADY:
        return 1.0, 0.0
    begin = int((differences >= min(UNLIKE, 0.9 * differences.max())).argmax())
    best = _first_dip(differences, begin, float(differences[begin:].min()) + EQUAL)
    assert best is not None
    return float(differences[best]), float(lags[best] * HOP_SECONDS)


def own_loop_difference(parts: Sequence[np.ndarray], rate: int) -> float:
    """The least difference at any lap within each part (10 s or so), at its 5 % quantile.

    A piece built on an exact loop has next to 0 here, and is then never reported as a loop.
    """
    return float(np.quantile([closest_lap(part, rate)[0] for part in parts], 0.05))
