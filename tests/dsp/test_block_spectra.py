"""Blocks of spectra: the same seconds and the same Hertz at every rate."""

import numpy as np
import pytest

from keras_rawaudio.dsp.block_spectra import HOPS, LINEAR_LIMIT, WINDOW_SECONDS, BlockSpectra

RATES = [8000, 16_000, 22_050, 44_100, 48_000]


@pytest.mark.parametrize("rate", RATES)
def test_windows_and_blocks_last_as_long_at_every_rate(rate):
    """Pitfall 27: sizes follow from milliseconds, to the nearest power of two."""
    spectra = BlockSpectra(rate)
    for samples, seconds in (
        (spectra.fft_size, WINDOW_SECONDS),
        (spectra.block, WINDOW_SECONDS),
        (spectra.hop, WINDOW_SECONDS / HOPS),
    ):
        assert 2**-0.5 <= samples / rate / seconds <= 2**0.5
    # Nor do features move: one per bin up to the limit in Hertz, or half of what there is.
    starts = spectra.frequencies[spectra.band_edges[:-1]]
    linear = starts < min(LINEAR_LIMIT, rate / 4)
    np.testing.assert_allclose(np.diff(starts[linear]), rate / spectra.fft_size)
    assert starts[-1] < rate / 2


def test_a_tone_has_the_same_features_at_every_rate():
    """Pitfall 27: what is learned from spectra at one rate would be learned at another."""
    found = []
    for rate in RATES:
        spectra = BlockSpectra(rate)
        tone = 0.1 * np.sin(2 * np.pi * 1000 / rate * np.arange(rate))
        power = spectra.power(tone.astype(np.float32)[:, None])[4:-1]
        loudest = power.mean(axis=(0, 1)).argmax()
        assert abs(spectra.frequencies[loudest] - 1000) <= rate / spectra.fft_size / 2
        features = spectra.features(power).mean(axis=(0, 1)) - np.log(spectra.fft_size / 4)
        found.append(features.max())
        # 26 dB and more below the tone an octave away, at each rate.
        octave = np.searchsorted(spectra.frequencies[spectra.band_edges[:-1]], 2000)
        assert features.max() - features[octave] > np.log(10 ** (26 / 20))
    # A Hann window between two bins loses 1.4 dB.
    assert np.ptp(found) < np.log(10 ** (1.5 / 20))
