"""Mel power spectra as librosa computes them, which networks trained on its spectra need."""

from __future__ import annotations

import numpy as np

LINEAR_STEP = 200 / 3  # hertz per mel below the break
BREAK_HERTZ = 1000.0
LOG_STEP = np.log(6.4) / 27  # of the logarithm of frequency per mel above the break


def slaney_mel_filters(rate: int, size: int, bands: int) -> np.ndarray:
    """Triangular filters on Slaney's mel scale, each of unit area.

    Args:
        rate: int. Samples per second.
        size: int. Samples per frame of the Fourier transform.
        bands: int. Number of filters, from 0 Hz to half of the rate.

    Returns:
        `(size // 2 + 1, bands)`: `librosa.filters.mel(sr=rate, n_fft=size, n_mels=bands).T`.

    Example:
        >>> slaney_mel_filters(16000, 512, 96).shape
        (257, 96)

    Reference:
        Slaney, "Auditory Toolbox", Interval Research Corporation, 1998.
    """
    top = BREAK_HERTZ / LINEAR_STEP + np.log(rate / 2 / BREAK_HERTZ) / LOG_STEP
    mels = np.linspace(0, top, bands + 2)
    above = mels - BREAK_HERTZ / LINEAR_STEP
    edges = np.where(
        above < 0, mels * LINEAR_STEP, BREAK_HERTZ * np.exp(LOG_STEP * np.maximum(above, 0))
    )
    bins = np.fft.rfftfreq(size, 1 / rate)[:, None]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    filters: np.ndarray = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    return filters


def slaney_mel_power(audio: np.ndarray, rate: int, size: int, hop: int, bands: int) -> np.ndarray:
    """Power in mel bands under a Hann window, frames centred, the ends mirrored.

    Args:
        audio: mono `(n,)`, more than `size / 2` samples.
        rate: int. Samples per second.
        size: int. Samples per frame.
        hop: int. Samples from frame to frame.
        bands: int. Mel bands.

    Returns:
        `(1 + n // hop, bands)` float32, equal to `librosa.feature.melspectrogram(y=audio, sr=rate,
        n_fft=size, hop_length=hop, n_mels=bands, pad_mode="reflect").T`.

    Example:
        >>> slaney_mel_power(np.ones(16000), 16000, 512, 256, 96).shape
        (63, 96)
    """
    filters = slaney_mel_filters(rate, size, bands)
    window = np.hanning(size + 1)[:size]
    padded = np.pad(np.asarray(audio, np.float32), size // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    blocks = [
        np.square(np.abs(np.fft.rfft(frames[first : first + 512] * window))) @ filters
        for first in range(0, len(frames), 512)
    ]
    return np.concatenate(blocks).astype(np.float32)
