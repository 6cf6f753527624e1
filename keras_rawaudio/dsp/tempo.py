"""Onsets and tempo: the onset envelope, and the steadiest pulse of a piece."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.dsp.spectra import magnitudes, mono

FRAME_SECONDS = 0.032
HOP_SECONDS = 0.016
PERIODS = (0.2, 2.0)  # seconds
HARMONICS = 8
LONGEST = 600.0  # seconds of audio looked at
FINER = 16  # points of the spectrum between two bins
SHORTEST = 20.0  # seconds in which a steady pulse shows
# Of the onset envelope's energy, in the first harmonics of a steady pulse: 0.03 in 20 s of noise,
# 0.2 to 0.7 in music with drums.
LEAST_SHARE = 0.1


def onset_envelope(audio: np.ndarray, rate: int) -> tuple[np.ndarray, float]:
    """Rise of the log spectrum from frame to frame, summed over bins.

    Args:
        audio: mono `(n,)`.
        rate: samples per second.

    Returns:
        The envelope `(frames - 1,)`, and its frames per second.

    Example:
        >>> click = np.zeros(8000)
        >>> click[4000] = 1.0
        >>> envelope, per_second = onset_envelope(click, 8000)
        >>> round(float(envelope.argmax() / per_second), 1)  # seconds
        0.5

    Reference:
        Dixon, "Onset Detection Revisited", DAFx 2006: spectral flux, here of log magnitudes.
    """
    size, hop = max(16, round(FRAME_SECONDS * rate)), max(1, round(HOP_SECONDS * rate))
    rises, last = [], np.zeros((0, size // 2 + 1))
    for block in magnitudes(mono(audio), size, hop):
        level = np.log(np.concatenate([last, block]) + 1e-7)
        rises.append(np.maximum(np.diff(level, axis=0), 0).sum(axis=1))
        last = block[-1:]
    return np.concatenate(rises), rate / hop


def pulse_period(segments: Sequence[np.ndarray], rate: int) -> float:
    """Period of the steadiest pulse.

    A pulse that is steady for minutes is a comb of very narrow lines in the spectrum of the onset
    envelope. The period is the one whose first harmonics hold the most energy.

    Args:
        segments: contiguous stretches of audio, each `(n,)`; the longest is looked at.
        rate: samples per second.

    Returns:
        Seconds, 0.2 to 2. Audio without a pulse gives some period or other.

    Example:
        >>> clicks = np.zeros(160000)
        >>> clicks[::3600] = 1
        >>> pulses = 0.45 / pulse_period([clicks], 8000)
        >>> abs(pulses - round(pulses)) < 1e-3 or abs(1 / pulses - round(1 / pulses)) < 1e-3
        True
    """
    return _strongest_comb(max(segments, key=len), rate)[0]


def steady_pulse(audio: np.ndarray, rate: int) -> float | None:
    """`pulse_period` of one recording, or nothing where it is too short or has no steady pulse.

    Args:
        audio: `(n,)`.
        rate: samples per second.

    Example:
        >>> clicks = np.zeros(320000)
        >>> clicks[::3600] = 1
        >>> noise = np.random.default_rng(0).normal(size=320000)
        >>> round(steady_pulse(clicks, 8000), 3), steady_pulse(noise, 8000)
        (0.45, None)
    """
    if len(audio) < SHORTEST * rate:
        return None
    period, share = _strongest_comb(audio, rate)
    return period if share >= LEAST_SHARE else None


def _strongest_comb(audio: np.ndarray, rate: int) -> tuple[float, float]:
    """The period in seconds, and the share of the envelope's energy that its harmonics hold."""
    envelope, per_second = onset_envelope(np.asarray(audio[: round(LONGEST * rate)]), rate)
    if len(envelope) < 2:
        return PERIODS[1], 0.0
    centred = envelope - envelope.mean()
    size = 1 << int(np.ceil(np.log2(len(centred) * FINER)))
    energy = np.abs(np.fft.rfft(centred, size)) ** 2
    low = max(1, int(size / PERIODS[1] / per_second))
    high = min(len(energy) - 1, int(size / PERIODS[0] / per_second))
    if high <= low:
        return PERIODS[1], 0.0
    candidates = np.arange(low, high + 1)
    comb = np.zeros(len(candidates))
    for harmonic in range(1, HARMONICS + 1):
        places = candidates * harmonic
        comb += np.where(places < len(energy), energy[np.minimum(places, len(energy) - 1)], 0.0)
    rough = candidates[int(comb.argmax())]
    # Around the best bin, once more and finer, in time with the envelope itself.
    times = np.arange(len(centred))
    finer = (rough + np.linspace(-1, 1, 41)) / size
    waves = np.exp(-2j * np.pi * np.outer(finer, times))
    sums = np.zeros(len(finer))
    wave = np.ones_like(waves)
    for _ in range(HARMONICS):
        wave = wave * waves
        sums += np.abs(wave @ centred) ** 2
    total = len(centred) * float(np.square(centred).sum())
    share = 2 * float(sums.max()) / total if total else 0.0
    return float(1.0 / finer[int(sums.argmax())] / per_second), share
