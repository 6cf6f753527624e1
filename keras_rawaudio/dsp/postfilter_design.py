"""Postfilter design: narrow spectral lines clearer than a linear prediction leaves them."""

from __future__ import annotations

import numpy as np

# Bandwidth expansion factors of the prediction. What stands out at the first and not at the second
# is a spectral line. The third models the synthesised signal, for the levels of its bands.
NUMERATOR, DENOMINATOR, SYNTHESIS = 0.99, 0.998, 0.995
BAND = 1 / 64  # of the sample rate: how far around a frequency its level is kept
SIZE = 4096  # of spectra, at least
LEAST = 1e-12  # power of a spectrum


def design_postfilter(taps: np.ndarray, length: int) -> np.ndarray:
    """The postfilter of a linear prediction, for the signal that it synthesises.

    `A(z / NUMERATOR) / A(z / DENOMINATOR)`, where `1 / A` is the synthesis filter. It raises lines
    and lowers what is between them. It is then divided by its effect on the level of each band, and
    cut to a finite length at minimum phase, so that it has no delay and a finite memory.

    Args:
        taps: `(order,)` of the prediction, newest value first.
        length: of the postfilter, in samples.

    Returns:
        `(length,)`, for the newest sample first.

    Example:
        >>> h = design_postfilter(np.array([1.8, -0.95]), length=64)
        >>> gain = np.abs(np.fft.rfft(h, 1024))
        >>> bool(gain.argmax() == np.abs(1 / np.fft.rfft([1, -1.8, 0.95], 1024)).argmax())
        True
        >>> design_postfilter(np.zeros(2), length=4).round(3).tolist()
        [1.0, 0.0, 0.0, 0.0]

    Reference:
        Chen and Gersho 1995, "Adaptive postfiltering for quality enhancement of coded speech",
        IEEE Trans. Speech and Audio Processing 3(1), equation 9; Oppenheim and Schafer 2010,
        "Discrete-time signal processing", section 13.6 (minimum phase from a magnitude).
    """
    size = max(SIZE, 8 * length)
    numerator, denominator, synthesis = (
        _power(taps, radius, size) for radius in (NUMERATOR, DENOMINATOR, SYNTHESIS)
    )
    power = numerator / denominator
    power *= _smooth(1 / synthesis, size) / _smooth(power / synthesis, size)
    cepstrum = np.fft.irfft(0.5 * np.log(power), size)
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    response: np.ndarray = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), size)
    return response[:length]


def _power(taps: np.ndarray, radius: float, size: int) -> np.ndarray:
    """Power of `A(z / radius)` from zero to half the sample rate."""
    residual_filter = np.concatenate([[1.0], -taps * radius ** np.arange(1, len(taps) + 1)])
    power: np.ndarray = np.abs(np.fft.rfft(residual_filter, size)) ** 2 + LEAST
    return power


def _smooth(power: np.ndarray, size: int) -> np.ndarray:
    """Mean power over the band around each frequency."""
    width = round(size * BAND)
    mirrored = np.pad(power, width, mode="reflect")
    window = np.hanning(2 * width + 3)[1:-1]
    smooth: np.ndarray = np.convolve(mirrored, window / window.sum(), "valid")
    return smooth
