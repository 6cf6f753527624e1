"""Power of each octave up to 20 kHz, of each channel and between the two."""

from __future__ import annotations

import numpy as np

CENTRES = tuple(1000 * 2.0**k for k in range(-5, 5))  # hertz; the nominal octaves of IEC 61260
TOP = 20_000.0
SECONDS, EVERY = 1.0, 0.5
FLOOR = 1e-11  # -110 dB of full scale, below the rounding of 16 bits in any octave


def octaves_below(rate: int) -> tuple[float, ...]:
    """Centres of the octaves that begin below half of the rate, in hertz.

    Example:
        >>> octaves_below(8000)
        (31.25, 62.5, 125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)
    """
    return tuple(centre for centre in CENTRES if centre / np.sqrt(2) < rate / 2)


def octave_powers(audio: np.ndarray, rate: int) -> np.ndarray:
    """Mean powers in octaves, of frames of 1 s (Hann window) every 0.5 s.

    An octave reaches from its centre over the root of 2 to its centre times it; the highest one
    ends at 20 kHz, or at half of the rate.

    Args:
        audio: `(n,)` or `(n, 2)` in [-1, 1]; what is shorter than 1 s is padded with zeros.
        rate: int. Samples per second.

    Returns:
        `(frames, octaves, 3)`: mean square of the left channel, of the right one, and the mean of
        their product. All three are equal for mono audio.

    Example:
        >>> t = np.arange(16000) / 8000
        >>> powers = octave_powers(np.sin(2 * np.pi * 500 * t), 8000)[:, :, 0].mean(axis=0)
        >>> octaves_below(8000)[powers.argmax()], round(float(powers.max()), 3)
        (500.0, 0.5)
    """
    channels = audio[:, None] if audio.ndim == 1 else audio
    left, right = channels[:, 0], channels[:, -1]
    size, hop = round(SECONDS * rate), round(EVERY * rate)
    window = np.hanning(size + 1)[:size]
    hertz = np.fft.rfftfreq(size, 1 / rate)
    centres = np.array(octaves_below(rate))
    octave = np.searchsorted(centres / np.sqrt(2), hertz, side="right") - 1
    used = (octave >= 0) & (hertz < TOP)
    scale = 2 / (size * np.square(window).sum())
    mono = channels.shape[1] == 1
    rows = []
    for start in range(0, max(1, len(left) - size + 1), hop):
        first = _spectrum(left, start, size, window)
        second = first if mono else _spectrum(right, start, size, window)
        products = (
            np.square(np.abs(first)),
            np.square(np.abs(second)),
            (first * second.conj()).real,
        )
        rows.append(
            [np.bincount(octave[used], p[used], minlength=len(centres)) * scale for p in products]
        )
    return np.array(rows).transpose(0, 2, 1)


def _spectrum(channel: np.ndarray, start: int, size: int, window: np.ndarray) -> np.ndarray:
    part = channel[start : start + size]
    spectrum: np.ndarray = np.fft.rfft(np.pad(part, (0, size - len(part))) * window)
    return spectrum
