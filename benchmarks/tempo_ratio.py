"""How much faster some recordings are than others of the same music."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.dsp.tempo import onset_envelope

LAGS = (0.2, 3.0)  # seconds of the slower or faster music's reference that are compared
LARGEST = 4.0  # ratio, and one over the least
STEPS = 1109  # ratios that are tried, each a quarter of a percent above the one before


def tempo_ratio(streams: Sequence[np.ndarray], reference: Sequence[np.ndarray], rate: int) -> float:
    """How much faster `streams` are than `reference`, by their onsets alone.

    The onset envelopes are autocorrelated. The mean over the streams is compared with that of the
    reference, at lags that are shorter by a factor: the ratio is the factor of the greatest
    correlation. All lags count, so no level of the metre has to be chosen.

    Args:
        streams: `(n,)` each, or `(n, channels)`, 20 s or more: what the ratio is of.
        reference: the same music at its own tempo.
        rate: samples per second.

    Returns:
        1/4 to 4, to a quarter of a percent. Music without a rhythm gives some ratio or other.

    Reference:
        Holzapfel and Stylianou 2011, "Scale Transform in Rhythmic Similarity of Music":
        autocorrelations of onset envelopes, compared where only the tempo differs.
    """
    lags = np.geomspace(*LAGS, 2000)
    found, per_second = _autocorrelation(streams, rate)
    expected = _at(*_autocorrelation(reference, rate), lags)
    ratios = np.geomspace(1 / LARGEST, LARGEST, STEPS)
    alike = [_correlation(_at(found, per_second, lags / r), expected) for r in ratios]
    return float(ratios[int(np.argmax(alike))])


def _autocorrelation(streams: Sequence[np.ndarray], rate: int) -> tuple[np.ndarray, float]:
    """Of the onset envelopes, 1 at lag 0, in the mean over streams; and lags per second."""
    each = []
    for stream in streams:
        envelope, per_second = onset_envelope(stream, rate)
        centred = envelope - envelope.mean()
        n = len(centred)
        products = np.fft.irfft(np.abs(np.fft.rfft(centred, 2 * n)) ** 2)[:n]
        each.append(products / (n - np.arange(n)) / max(float(products[0]) / n, 1e-30))
    shortest = min(map(len, each))
    return np.mean([one[:shortest] for one in each], axis=0), per_second


def _at(autocorrelation: np.ndarray, per_second: float, lags: np.ndarray) -> np.ndarray:
    return np.interp(lags * per_second, np.arange(len(autocorrelation)), autocorrelation)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-30))
