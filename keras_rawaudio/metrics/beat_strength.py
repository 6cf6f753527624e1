"""Beat strength: how regularly sounds begin."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.dsp.spectra import mono, windows_of
from keras_rawaudio.dsp.tempo import onset_envelope

LAGS = (0.2, 2.0)


def beat_strength_and_period(audio: np.ndarray, rate: int) -> tuple[float, float]:
    """Strength of the beat in one stretch, and its period in seconds.

    Formula: the onset envelope less its mean, autocorrelated (biased, divided by lag 0); the
    greatest value at lags from 0.2 to 2 s, and that lag. (0, 0) where nothing ever begins.

    Known answers: about 0.1 for noise (10 s of it), 0.7 to 0.9 for a click track (the bias takes
    the lag's share of the length; hops that miss the clicks take more), 0.64 for a piece with a
    steady beat.

    How it fails: the best of many lags is over 0 for any short stretch; slow swells have no onset;
    it may name a multiple of the period; a rattling buzz has a fine beat.

    Args:
        audio: mono `(n,)`, some seconds.
        rate: samples per second.
    """
    envelope, per_second = onset_envelope(audio, rate)
    n = len(envelope)
    low, high = int(np.ceil(LAGS[0] * per_second)), min(n - 1, int(LAGS[1] * per_second))
    if high < low:
        return 0.0, 0.0
    centred = envelope - envelope.mean()
    power = np.abs(np.fft.rfft(centred, 2 * n)) ** 2
    correlation = np.fft.irfft(power)[:n]
    if correlation[0] <= 1e-9 * max(1.0, float(np.square(envelope).sum())):
        return 0.0, 0.0
    best = low + int(correlation[low : high + 1].argmax())
    return float(correlation[best] / correlation[0]), best / per_second


def beat_strength_by_window(audio: np.ndarray, rate: int, seconds: float = 10.0) -> np.ndarray:
    """Beat strength of each stretch of about `seconds`: `(windows,)`."""
    parts = windows_of(mono(audio), rate, seconds)
    return np.array([beat_strength_and_period(part, rate)[0] for part in parts])


def beat_strength(audio: np.ndarray, rate: int) -> float:
    """Mean beat strength over stretches of about 10 s; see `beat_strength_and_period`.

    Example:
        >>> clicks = np.zeros(160000)
        >>> clicks[::4000] = 1  # 120 per minute at 8 kHz
        >>> beat_strength(clicks, 8000) > 0.7
        True
    """
    return float(beat_strength_by_window(audio, rate).mean())
