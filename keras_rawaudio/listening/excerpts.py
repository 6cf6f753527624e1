"""Excerpts of audio, and the anchors: noise, and the recording through an MP3."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.listening.loudness import is_audible
from keras_rawaudio.metrics.bracket_audio import through_mp3, white_noise

FADE_SECONDS = 0.02
MP3_SAMPLE_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def cut_excerpts(
    parts: Sequence[np.ndarray],
    rate: int,
    seconds: float,
    count: int,
    generator: np.random.Generator,
    name: object,
) -> list[np.ndarray]:
    """Draw excerpts that do not overlap and are not silent.

    Args:
        parts: audio `(n,)` or `(n, 2)`; no excerpt crosses from one to the next.
        rate: samples per second.
        seconds: of each excerpt.
        count: how many.
        generator: of the draws.
        name: of the audio, for the error.

    Returns:
        In random order.

    Raises:
        UserError: there are fewer.

    Example:
        >>> tone = np.sin(np.arange(16000) / 5)
        >>> excerpts = cut_excerpts([tone], 8000, 0.5, 3, np.random.default_rng(0), "tone.wav")
        >>> [len(excerpt) for excerpt in excerpts]
        [4000, 4000, 4000]
    """
    length = round(seconds * rate)
    windows = []
    for part in parts:
        spare = len(part) % length
        first = int(generator.integers(spare + 1))
        starts = range(first, len(part) - length + 1, length)
        windows += [part[start : start + length] for start in starts]
    found: list[np.ndarray] = []
    for index in generator.permutation(len(windows)):
        if len(found) == count:
            break
        if is_audible(windows[index], rate):
            found.append(windows[index])
    if len(found) < count:
        raise UserError(
            f"{name} has {len(found)} audible excerpts of {seconds:g} s, and the test needs "
            f"{count}: give more audio, or lower --seconds or --trials"
        )
    return found


def noise_anchor(clip: np.ndarray, rate: int, generator: np.random.Generator) -> np.ndarray:
    """White noise as long as a clip.

    Args:
        clip: float32 `(n,)` or `(n, channels)`.
        rate: in Hz.
        generator: draws the noise.

    Returns:
        float32 of the clip's shape.
    """
    return white_noise(clip, rate, len(clip) / rate, generator)


def mp3_anchor(clip: np.ndarray, rate: int) -> np.ndarray:
    """The clip through an MP3 of 64 kb/s, at the nearest rate that MP3 has.

    Args:
        clip: float32 `(n,)` or `(n, channels)`.
        rate: in Hz.

    Returns:
        Audio of the clip's shape, at its rate.

    Raises:
        UserError: the installed soundfile cannot write MP3.
    """
    import soxr

    coded = next((known for known in MP3_SAMPLE_RATES if known >= rate), MP3_SAMPLE_RATES[-1])
    decoded = through_mp3(np.clip(soxr.resample(clip, rate, coded), -1, 1), coded)
    if decoded is None:
        raise UserError("the installed soundfile cannot write MP3: pip install -U soundfile")
    back = soxr.resample(decoded, coded, rate)[: len(clip)]
    padding = [(0, len(clip) - len(back)), (0, 0)][: clip.ndim]
    return np.pad(back, padding)


def fade(clip: np.ndarray, rate: int) -> np.ndarray:
    """A clip that begins and ends without a click: raised cosines of 20 ms.

    Args:
        clip: `(n,)` or `(n, channels)`, of 40 ms or more.
        rate: in Hz.

    Returns:
        float32 of the clip's shape.

    Example:
        >>> fade(np.ones(100), 100)[[0, 50, 99]].round(2)
        array([0.15, 1.  , 0.15], dtype=float32)
    """
    size = round(FADE_SECONDS * rate)
    ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(size) + 0.5) / size)
    gain = np.ones(len(clip))
    gain[:size], gain[len(gain) - size :] = ramp, ramp[::-1]
    return (clip * (gain[:, None] if clip.ndim == 2 else gain)).astype(np.float32)
