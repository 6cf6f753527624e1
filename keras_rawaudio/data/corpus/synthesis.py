"""A piece of music made of sines and noise, for the demo and for tests."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from keras_rawaudio.errors import UserError

BEATS_PER_SECOND = 2.0
PULSATIONS_PER_MINUTE = (9.0, 14.0)  # of the drone: in the first half, in the second
DRONE = (55.0, 82.5)  # Hz: a low A and the fifth over it
SCALE = (220.0, 261.63, 293.66, 329.63, 392.0, 440.0, 523.25, 587.33)  # Hz: A minor, five notes
PEAK = 0.7


def synthesise(seconds: float, sample_rate: int = 8000, seed: int = 0) -> np.ndarray:
    """A pulsating drone, a slow melody over it, a soft beat and a light hiss.

    The drone swells and fades about 9 times per minute, in the second half 14 times. The melody
    holds each note for 1, 1.5 or 2 s, all of them rich in overtones. Two soft strokes per second
    give a rhythm, every fourth one stronger. The same arguments give the same samples.

    Args:
        seconds: the length, over 0.
        sample_rate: in Hz, at least 2000.
        seed: chooses the melody and the noise.

    Returns:
        float32 (round(seconds * sample_rate),), with a peak of 0.7.

    Raises:
        UserError: if the length or the rate is too small.

    Example:
        >>> synthesise(2.0, sample_rate=8000).shape
        (16000,)
    """
    if not (math.isfinite(seconds) and seconds > 0):
        raise UserError(f"the length must be over 0 s, not {seconds:g}")
    if sample_rate < 2000:
        raise UserError(
            f"the sample rate of a synthesised piece is 2000 Hz or more, not {sample_rate}"
        )
    random = np.random.default_rng(seed)
    count = max(1, round(seconds * sample_rate))
    time = np.arange(count) / sample_rate
    audio = _drone(time, seconds, sample_rate)
    _add_melody(audio, sample_rate, random)
    _add_beat(audio, sample_rate, random)
    audio += 0.002 * random.standard_normal(count)
    audio *= PEAK / np.max(np.abs(audio))
    return audio.astype(np.float32)


def write_demo_piece(
    path: str | Path, seconds: float, sample_rate: int = 8000, seed: int = 0
) -> Path:
    """Synthesise a piece and write it as 16-bit audio; the extension says WAV or FLAC.

    Args:
        path: the file to write.
        seconds: the length of the piece.
        sample_rate: in Hz.
        seed: of the melody, the beat and the noise.

    Returns:
        The path of the file.

    Raises:
        UserError: if the arguments are `synthesise`'s wrong ones, or the file cannot be written.
    """
    import soundfile

    path = Path(path)
    audio = synthesise(seconds, sample_rate, seed)
    try:
        soundfile.write(path, audio, sample_rate, subtype="PCM_16")
    except (OSError, ValueError, TypeError, soundfile.SoundFileError) as error:
        raise UserError(f"cannot write {path}: {error}") from error
    return path


def _tone(time: np.ndarray, pitch: float, sample_rate: int, falloff: float) -> np.ndarray:
    """A pitch and its overtones, as many as fit under the highest frequency (ten at most)."""
    highest = int(0.45 * sample_rate / pitch)
    tone = np.zeros_like(time)
    for k in range(1, min(10, highest) + 1):
        tone += np.sin(2 * np.pi * k * pitch * time + k) / k**falloff
    return tone


def _drone(time: np.ndarray, seconds: float, sample_rate: int) -> np.ndarray:
    slow, fast = PULSATIONS_PER_MINUTE
    pulsations = np.where(time < seconds / 2, slow, fast) / 60
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * np.cumsum(pulsations) / sample_rate)
    return sum(_tone(time, pitch, sample_rate, 1.0) for pitch in DRONE) * 0.12 * (0.15 + swell)


def _add_melody(audio: np.ndarray, sample_rate: int, random: np.random.Generator) -> None:
    start, step = 0, int(random.integers(len(SCALE)))
    while start < len(audio):
        duration = random.choice([2, 3, 4]) / BEATS_PER_SECOND
        length = min(round((duration + 0.25) * sample_rate), len(audio) - start)
        time = np.arange(length) / sample_rate
        attack = np.minimum(1, time / 0.03)
        release = np.clip((duration + 0.25 - time) / 0.25, 0, 1)
        envelope = attack * release * (0.6 + 0.4 * np.exp(-time / 0.5))
        audio[start : start + length] += (
            0.22 * envelope * _tone(time, SCALE[step], sample_rate, 1.2)
        )
        start += round(duration * sample_rate)
        move = int(random.choice([-3, -2, -1, 1, 2, 3]))
        step = step + move if 0 <= step + move < len(SCALE) else step - move


def _add_beat(audio: np.ndarray, sample_rate: int, random: np.random.Generator) -> None:
    length = round(0.15 * sample_rate)
    fading = np.exp(-np.arange(length) / (0.03 * sample_rate))
    for stroke in range(math.ceil(len(audio) / sample_rate * BEATS_PER_SECOND)):
        start = round(stroke / BEATS_PER_SECOND * sample_rate)
        noise = np.diff(random.standard_normal(length + 1)) * fading  # the difference: less bass
        strength = 0.16 if stroke % 4 == 0 else 0.09
        stop = min(start + length, len(audio))
        audio[start:stop] += strength * noise[: stop - start]
