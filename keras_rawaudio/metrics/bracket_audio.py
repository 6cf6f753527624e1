"""Audio whose quality is known: the piece in random grains, through an MP3, and white noise."""

from __future__ import annotations

import io

import numpy as np

GRAIN_SECONDS = 0.1
MP3_BITS = 64_000  # per second
# Lowest and highest bits per second of MPEG-1, MPEG-2 and MPEG-2.5, by their least sample rate.
MP3_RATES = ((32_000, 32_000, 320_000), (16_000, 8_000, 160_000), (0, 8_000, 64_000))


def shuffled_grains(
    audio: np.ndarray, rate: int, seconds: float, generator: np.random.Generator
) -> np.ndarray:
    """Grains of 100 ms of the audio, drawn at random: its timbre without its time.

    Args:
        audio: `(n,)` or `(n, channels)`.
        rate: int. Samples per second.
        seconds: float. Length of what is returned.
        generator: of the draws.

    Returns:
        Likewise, `round(seconds * rate)` samples.

    Example:
        >>> shuffled_grains(np.ones(800), 800, 0.5, np.random.default_rng(0)).shape
        (400,)
    """
    size = max(1, round(GRAIN_SECONDS * rate))
    length = round(seconds * rate)
    starts = generator.integers(0, max(1, len(audio) // size), -(-length // size)) * size
    return np.concatenate([audio[start : start + size] for start in starts])[:length]


def white_noise(
    audio: np.ndarray, rate: int, seconds: float, generator: np.random.Generator
) -> np.ndarray:
    """White noise with the level and the channels of the audio, independent channels.

    Example:
        >>> noise = white_noise(np.full((800, 2), 0.1), 800, 2.0, np.random.default_rng(0))
        >>> noise.shape, round(float(noise.std()), 2)
        ((1600, 2), 0.1)
    """
    level = np.sqrt(np.square(audio, dtype=np.float64).mean())
    shape = (round(seconds * rate), *audio.shape[1:])
    return np.clip(generator.normal(size=shape) * level, -1, 1).astype(np.float32)


def through_mp3(audio: np.ndarray, rate: int) -> np.ndarray | None:
    """The audio after an MP3 of 64 kb/s, or the most that its rate allows.

    Args:
        audio: `(n,)` or `(n, channels)` in [-1, 1].
        rate: int. Samples per second, one that MP3 has.

    Returns:
        Likewise; None where the installed soundfile cannot write MP3 of this rate.
    """
    import soundfile

    lowest, highest = next((low, high) for least, low, high in MP3_RATES if rate >= least)
    level = np.clip((highest - MP3_BITS) / (highest - lowest), 0, 1)
    file = io.BytesIO()
    try:
        soundfile.write(
            file, audio, rate, format="MP3", bitrate_mode="CONSTANT", compression_level=float(level)
        )
    except (TypeError, ValueError, soundfile.LibsndfileError):  # too old, or not a rate of MP3
        return None
    file.seek(0)
    decoded: np.ndarray = soundfile.read(file, dtype="float32")[0]
    return decoded
