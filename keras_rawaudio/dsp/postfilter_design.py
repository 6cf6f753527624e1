"""A filter that makes narrow lines clearer than a linear prediction leaves them."""

from __future__ import annotations

import numpy as np

# Radii that the poles of a prediction are drawn in to: what stands out at the first and no more at
# the second is a line. The third is where the lines of what is played seem to lie, for its levels.
NEAR, FAR, PLAYED = 0.998, 0.99, 0.995
BAND = 1 / 64  # of the sample rate: how far around a frequency its level is kept
SIZE = 4096  # of spectra, at least
LEAST = 1e-12  # power of a spectrum


def design_postfilter(taps: np.ndarray, length: int) -> np.ndarray:
    """The postfilter of a linear prediction, for what it plays.

    `A(z / FAR) / A(z / NEAR)`, where `1 / A` is what the prediction makes of noise: it raises the
    lines and lowers what is between them. Then divided by what it does to the level of each band,
    and cut to a finite length at minimum phase, so that it delays nothing and forgets.

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
    near, far, played = (_power(taps, radius, size) for radius in (NEAR, FAR, PLAYED))
    power = far / near
    power *= _smooth(1 / played, size) / _smooth(power / played, size)
    cepstrum = np.fft.irfft(0.5 * np.log(power), size)
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    response: np.ndarray = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), size)
    return response[:length]


def _power(taps: np.ndarray, radius: float, size: int) -> np.ndarray:
    """Of `A(z / radius)`, from zero to half the sample rate."""
    error = np.concatenate([[1.0], -taps * radius ** np.arange(1, len(taps) + 1)])
    power: np.ndarray = np.abs(np.fft.rfft(error, size)) ** 2 + LEAST
    return power


def _smooth(power: np.ndarray, size: int) -> np.ndarray:
    """Its mean over the band around each frequency."""
    width = round(size * BAND)
    mirrored = np.pad(power, width, mode="reflect")
    window = np.hanning(2 * width + 3)[1:-1]
    smooth: np.ndarray = np.convolve(mirrored, window / window.sum(), "valid")
    return smooth
