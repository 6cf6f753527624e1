"""What the measures share: checked audio, blocks of spectra, mel bands, equal windows of time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from keras_rawaudio.errors import UserError

# Magnitudes are scaled so that a sine of full scale reads 1; a bin of 16-bit rounding noise
# (1/sqrt(12) of a step, spread over hundreds of bins) lies near this.
ROUNDING = 2e-6
BLOCK = 512


def mono(audio: np.ndarray) -> np.ndarray:
    """The audio as the mean of its channels, in floats.

    Args:
        audio: `(n,)` or `(n, 2)`, floats, or integers, which are scaled to [-1, 1).

    Returns:
        `(n,)` float32.

    Raises:
        UserError: another shape, empty, or values that are not finite.

    Example:
        >>> mono(np.array([[0.5, 0.25], [1.0, 0.0]])).tolist()
        [0.375, 0.5]
    """
    values = np.asarray(audio)
    channels = values.shape[1] if values.ndim == 2 else 1
    if values.ndim not in (1, 2) or len(values) == 0 or not 1 <= channels <= 2:
        raise UserError(f"expected audio of shape (n,) or (n, 2), not {values.shape}")
    if values.dtype.kind in "iu":
        values = values.astype(np.float32) / (np.iinfo(values.dtype).max + 1)
    values = values.astype(np.float32, copy=False)
    if not np.isfinite(values).all():
        raise UserError("the audio holds values that are not finite (NaN or infinity)")
    mixed: np.ndarray = values if values.ndim == 1 else values.mean(axis=1)
    return mixed


def magnitudes(audio: np.ndarray, size: int, hop: int) -> Iterator[np.ndarray]:
    """Magnitude spectra under a Hann window, in blocks of at most 512 frames.

    Args:
        audio: float `(n,)`; padded with zeros to one frame when shorter.
        size: samples per frame.
        hop: samples from frame to frame.

    Yields:
        `(frames, size // 2 + 1)`, a sine of full scale reads 1.

    Example:
        >>> sine = np.sin(2 * np.pi * np.arange(256) / 8)
        >>> (block,) = magnitudes(sine, size=64, hop=32)
        >>> block.shape, block[0].round(3)[7:10].tolist()
        ((7, 33), [0.5, 1.0, 0.5])
    """
    audio = np.pad(audio, (0, max(0, size - len(audio))))
    window = np.hanning(size + 1)[:size]
    frames = np.lib.stride_tricks.sliding_window_view(audio, size)[::hop]
    for first in range(0, len(frames), BLOCK):
        yield np.abs(np.fft.rfft(frames[first : first + BLOCK] * window)) * (2 / window.sum())


def mel_filters(rate: int, size: int, bands: int) -> np.ndarray:
    """Triangular filters, equally spaced in mel up to half the rate.

    Each sums to one, so that a band is the mean power of its bins. A band too narrow to hold a bin
    takes the nearest one.

    Args:
        rate: samples per second.
        size: samples of a spectrum's frame.
        bands: how many filters.

    Returns:
        `(size // 2 + 1, bands)` float64.

    Example:
        >>> filters = mel_filters(8000, 512, 40)
        >>> filters.shape, bool(np.allclose(filters.sum(axis=0), 1))
        ((257, 40), True)

    Reference:
        O'Shaughnessy, "Speech Communication", 1987: mel = 2595 log10(1 + f / 700).
    """
    top = 2595 * np.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, bands + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / rate)[:, None]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    filters = np.maximum(0, np.minimum(rising, falling))
    nearest = np.abs(bins - edges[1:-1]).argmin(axis=0)
    empty = filters.sum(axis=0) == 0
    filters[nearest[empty], np.flatnonzero(empty)] = 1
    scaled: np.ndarray = filters / filters.sum(axis=0)
    return scaled


def log_mel(
    audio: np.ndarray, rate: int, *, bands: int = 40, seconds: float = 0.064, hop: float = 0.032
) -> np.ndarray:
    """Natural logarithm of mel-band power, floored at -80 dB of full scale.

    Args:
        audio: `(n,)` or `(n, channels)`, floats in [-1, 1] or integers.
        rate: samples per second.
        bands: filters of `mel_filters`.
        seconds: length of a frame.
        hop: seconds from frame to frame.

    Returns:
        `(frames, bands)` float32.

    Example:
        >>> silence = log_mel(np.zeros(8000), 8000)
        >>> silence.shape, round(float(silence[0, 0]), 2)  # log(1e-8)
        ((30, 40), -18.42)
    """
    size, step = max(8, round(seconds * rate)), max(1, round(hop * rate))
    filters = mel_filters(rate, size, bands)
    each = step * BLOCK * 8
    blocks = []
    for start in range(0, max(1, len(audio) - size + 1), each):
        part = mono(audio[start : start + each + size - step])  # a memmap is read bit by bit
        blocks += [np.log(m**2 @ filters + 1e-8) for m in magnitudes(part, size, step)]
    return np.concatenate(blocks).astype(np.float32)


def windows_of(audio: np.ndarray, rate: int, seconds: float) -> list[np.ndarray]:
    """Equal stretches of about a given length, with nothing left over.

    Args:
        audio: `(n,)` or `(n, channels)`.
        rate: samples per second.
        seconds: of a stretch.

    Returns:
        Views of the audio, one at least; their lengths differ by one sample at most.

    Example:
        >>> [len(part) for part in windows_of(np.zeros(10), rate=1, seconds=3)]
        [4, 3, 3]
    """
    count = max(1, round(len(audio) / (seconds * rate)))
    return [part for part in np.array_split(audio, count) if len(part)]


def excerpts(
    segments: Iterable[np.ndarray], rate: int, limit_seconds: float, each_seconds: float = 30.0
) -> Sequence[np.ndarray]:
    """All of the segments when short enough, else evenly spaced excerpts that sum to the limit.

    Args:
        segments: `(n,)` or `(n, channels)` each.
        rate: samples per second.
        limit_seconds: of all excerpts together.
        each_seconds: about the length of an excerpt.

    Returns:
        Views of the segments, cut as by `windows_of`.

    Example:
        >>> parts = excerpts([np.arange(100)], rate=1, limit_seconds=20, each_seconds=10)
        >>> [(int(part[0]), len(part)) for part in parts]
        [(0, 10), (90, 10)]
    """
    cut = [part for s in segments if len(s) for part in windows_of(s, rate, each_seconds)]
    total = sum(len(part) for part in cut)
    if total <= limit_seconds * rate:
        return cut
    wanted = max(1, int(len(cut) * limit_seconds * rate / total))
    return [cut[i] for i in np.linspace(0, len(cut) - 1, wanted).round().astype(int)]
