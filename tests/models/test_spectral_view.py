"""What a tier sees of spectra."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.spectral_view import SpectralView

WINDOW, SIZE, HOP = 40, 16, 8
RNG = np.random.default_rng(0)


def view_of(**options):
    keras.utils.set_random_seed(0)
    view = SpectralView(SIZE, HOP, WINDOW, **options)
    view.build((None, None, view.window))
    return view


def stft(windows):
    """By NumPy: `(..., 4, 9)` complex, orthonormal as `Fourier` is."""
    taper = np.sin(np.pi * (np.arange(SIZE) + 0.5) / SIZE)
    pieces = np.stack([windows[..., s : s + SIZE] for s in range(0, 25, HOP)], axis=-2)
    scale = np.full(9, np.sqrt(2 / SIZE))
    scale[[0, -1]] = np.sqrt(1 / SIZE)
    return np.fft.rfft(pieces * taper) * scale


def test_parts_and_levels_are_numpys():
    windows = RNG.normal(size=(2, 3, WINDOW)).astype("float32")
    spectra = stft(windows)
    parts = np.reshape(view_of(form="parts")(windows), (2, 3, 4, 9, 2))
    np.testing.assert_allclose(parts[..., 0] + 1j * parts[..., 1], spectra, atol=1e-5)
    polar = np.reshape(view_of(form="polar")(windows), (2, 3, 4, 9, 3))
    np.testing.assert_allclose(polar[..., 0], np.log(np.abs(spectra) + 1e-3), atol=1e-3)
    angle = np.angle(spectra)
    strong = np.abs(spectra) > 0.01
    np.testing.assert_allclose(polar[..., 1][strong], np.cos(angle)[strong], atol=1e-3)
    np.testing.assert_allclose(polar[..., 2][strong], np.sin(angle)[strong], atol=1e-3)


def test_relative_phases_do_not_move_with_the_tone():
    """A steady tone turns by as much from spectrum to spectrum, wherever it started."""
    view = view_of(relative=True)
    tones = [np.sin(2 * np.pi * (np.arange(WINDOW) / 5 + turn)) for turn in (0, 0.3)]
    first, second = (np.reshape(view(np.float32(t)[None]), (3, 9, 3)) for t in tones)
    strong = first[..., 0] > np.log(0.5)
    assert strong.any()
    np.testing.assert_allclose(first[strong], second[strong], atol=0.02)
    turn = 2 * np.pi * HOP / 5
    np.testing.assert_allclose(first[:, 3, 1], np.cos(turn), atol=0.05)


@pytest.mark.parametrize("options", [{}, {"filters": 4}, {"relative": True, "filters": 2}])
def test_a_step_sees_what_a_row_of_steps_does(options):
    view = view_of(**options)
    windows = RNG.normal(size=(2, 3, WINDOW)).astype("float32")
    row = ops.convert_to_numpy(view(windows))
    assert row.shape == (2, 3, view.features)
    for t in range(3):
        np.testing.assert_allclose(view(windows[:, t]), row[:, t], atol=1e-5)


def test_the_image_is_read_by_convolutions_that_learn():
    view = view_of(filters=4)
    kernels = [w.shape for w in view.trainable_weights if len(w.shape) == 4]
    assert kernels == [(3, 3, 3, 4), (3, 3, 4, 4)]
    assert view.features == 4 * 3 * 4  # 4 spectra, of 9 bins every second twice, 4 filters


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 64}, "longer"),
        ({"hop": 0}, "too few"),
        ({"size": 40, "relative": True}, "too few"),
        ({"size": 15}, "even size"),
        ({"form": "parts", "relative": True}, "polar"),
        ({"form": "cepstra"}, "no form"),
        ({"filters": -1}, "filters"),
    ],
)
def test_impossible_views_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        SpectralView(**{"size": SIZE, "hop": HOP, "window": WINDOW, **options})


def test_config_round_trip():
    view = view_of(relative=True, filters=2)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(view))
    assert again.get_config() == view.get_config()


def test_a_picture_counts_bins_by_amplitude_and_phase():
    """Each spectrum's picture sums to one; a turn of all phases moves it across, not up."""
    view = view_of(form="picture")
    windows = np.random.default_rng(0).normal(size=(1, 2, view.window)).astype("float32")
    pictures = np.reshape(view(windows), (2, 16, 18, -1))
    np.testing.assert_allclose(pictures[:, :, 1:-1].sum(axis=(1, 2)), 1, atol=1e-5)
    np.testing.assert_array_equal(pictures[:, :, 0], pictures[:, :, -2])
    opposite = np.reshape(view(-windows), (2, 16, 18, -1))
    np.testing.assert_allclose(
        opposite[:, :, 1:-1], np.roll(pictures[:, :, 1:-1], 8, axis=2), atol=1e-5
    )
    louder = np.reshape(view(10 * windows), (2, 16, 18, -1))
    height = (pictures.sum(axis=2) * np.arange(16)[:, None]).sum(axis=1)
    assert ((louder.sum(axis=2) * np.arange(16)[:, None]).sum(axis=1) > height + 1).all()
