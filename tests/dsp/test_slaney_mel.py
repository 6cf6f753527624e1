"""The mel front end of musicnn is librosa's."""

import numpy as np
import pytest

from keras_rawaudio.dsp.slaney_mel import slaney_mel_filters, slaney_mel_power


@pytest.mark.parametrize(("rate", "size", "bands"), [(16_000, 512, 96), (44_100, 2048, 40)])
def test_filters_are_those_of_librosa(rate, size, bands):
    librosa = pytest.importorskip("librosa")
    expected = librosa.filters.mel(sr=rate, n_fft=size, n_mels=bands).T
    np.testing.assert_allclose(slaney_mel_filters(rate, size, bands), expected, atol=1e-7)


@pytest.mark.slow
def test_power_is_that_of_librosa():
    librosa = pytest.importorskip("librosa")
    audio = np.random.default_rng(0).normal(size=16_000 * 11).astype(np.float32) / 10
    expected = librosa.feature.melspectrogram(
        y=audio, sr=16_000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
    ).T
    found = slaney_mel_power(audio, 16_000, 512, 256, 96)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-7)
