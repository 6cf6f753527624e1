"""Clips at one loudness, so that none is chosen for being louder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.errors import UserError

TARGET_LUFS = -23.0
PEAK_DB = -1.0  # of true peaks, in dB of full scale
LOWEST_LUFS = -64.0  # 6 LU above the gate of silence, for anchors may be quieter than excerpts
LOWEST_RATE = 8000  # in Hz: pyloudnorm's filters of lower rates are not stable
OVERSAMPLING = 4  # true peaks are read off four times the rate


def integrated_loudness(audio: np.ndarray, rate: int) -> float:
    """Integrated loudness by EBU R 128.

    Args:
        audio: `(n,)` or `(n, 2)`, 0.4 seconds or more.
        rate: samples per second.

    Returns:
        In LUFS; minus infinity for silence.

    Raises:
        UserError: pyloudnorm is not installed.

    Reference:
        EBU R 128, "Loudness normalisation and permitted maximum level of audio signals", 2023;
        ITU-R BS.1770-5, "Algorithms to measure audio programme loudness and true-peak audio level",
        2023.
    """
    try:
        import pyloudnorm
    except ImportError:
        raise UserError("a listening test needs pyloudnorm: pip install '.[listen]'") from None
    from scipy.signal import resample_poly

    samples = np.asarray(audio, np.float64)
    if rate < LOWEST_RATE:
        times = -(-LOWEST_RATE // rate)
        samples, rate = resample_poly(samples, times, 1, axis=0), times * rate
    return float(pyloudnorm.Meter(rate).integrated_loudness(samples))


def is_audible(audio: np.ndarray, rate: int) -> bool:
    """Whether a clip is well above the gate of EBU R 128, which is -70 LUFS.

    Args:
        audio: `(n,)` or `(n, channels)`, 0.4 seconds or more.
        rate: in Hz.

    Example:
        >>> is_audible(np.zeros(8000), 8000)
        False
    """
    return integrated_loudness(audio, rate) > LOWEST_LUFS


def match_loudness(clips: Sequence[np.ndarray], rate: int) -> tuple[list[np.ndarray], float]:
    """Bring clips to one loudness.

    That is -23 LUFS, or less where a clip's true peak would pass -1 dB of full scale.

    Args:
        clips: audible ones, `(n,)` or `(n, 2)`, 0.4 seconds or more.
        rate: samples per second.

    Returns:
        The clips, and their loudness in LUFS.

    Raises:
        UserError: a clip is silent.

    Example:
        >>> tone = np.sin(np.arange(8000) / 5)
        >>> (quiet, loud), level = match_loudness([tone / 100, tone], 8000)
        >>> level, bool(np.allclose(quiet, loud))
        (-23.0, True)
    """
    levels = [integrated_loudness(clip, rate) for clip in clips]
    if not np.isfinite(levels).all():
        raise UserError(
            "a clip, or what is made of it, is too quiet to be measured: give louder audio"
        )
    room = [PEAK_DB - _true_peak(clip) + level for clip, level in zip(clips, levels, strict=True)]
    target = min(TARGET_LUFS, *room)
    return [
        (clip * 10 ** ((target - level) / 20)).astype(np.float32)
        for clip, level in zip(clips, levels, strict=True)
    ], target


def _true_peak(clip: np.ndarray) -> float:
    """In dB of full scale."""
    from scipy.signal import resample_poly

    between = resample_poly(np.asarray(clip, np.float64), OVERSAMPLING, 1, axis=0)
    return float(20 * np.log10(np.abs(between).max()))
