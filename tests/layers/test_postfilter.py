"""The layer: which filter acts when, how loud, and that it opens again."""

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.postfilter import Postfilter

FILTERS, LENGTH, FRAME = 3, 8, 16


def make():
    postfilter = Postfilter(FILTERS, LENGTH)
    postfilter.build((None, None))
    return postfilter


def one(*indices):
    return np.eye(FILTERS, dtype="float32")[list(indices)]


def audio(rows, seed=0):
    x = np.random.default_rng(seed).normal(size=(rows, LENGTH - 1 + FRAME))
    return x.astype("float32")


def test_before_it_is_fitted_it_gives_back_what_it_gets():
    past = audio(2)
    np.testing.assert_allclose(make()(past, one(0, 2), one(1, 2)), past[:, LENGTH - 1 :], rtol=1e-6)


def test_one_filter_turns_into_the_next():
    postfilter, past = make(), audio(1)
    taps = np.random.default_rng(1).normal(size=(FILTERS, LENGTH)).astype("float32")
    postfilter.taps.assign(taps)
    still = [np.convolve(past[0], a, "valid") for a in taps]
    for index in range(FILTERS):
        output = postfilter(past, one(index), one(index))
        np.testing.assert_allclose(output[0], still[index], atol=1e-5)
    output, t = postfilter(past, one(2), one(0)), np.arange(FRAME)
    share = (t + 0.5) / FRAME
    np.testing.assert_allclose(output[0], (1 - share) * still[2] + share * still[0], atol=1e-5)


def test_what_it_is_fitted_on_stays_as_loud():
    postfilter, past = make(), audio(40)
    before = one(*np.arange(40) % FILTERS)
    predictions = np.zeros((FILTERS, 4))
    predictions[:, :2] = [[1.6, -0.9995], [0.2, -0.9995], [0.0, 0.0]]
    postfilter.fit(predictions, past, before, np.roll(before, 1, axis=0))
    output = ops.convert_to_numpy(postfilter(past, before, np.roll(before, 1, axis=0)))
    np.testing.assert_allclose(np.square(output).sum(), np.square(past[:, 7:]).sum(), rtol=1e-4)
    # The one without lines is flat still, and all are scaled alike.
    taps = ops.convert_to_numpy(postfilter.taps)
    np.testing.assert_allclose(taps[2, 1:], 0, atol=1e-6)
    assert np.abs(taps[0, 1:]).max() > 0.02


def test_silence_leaves_it_finite():
    postfilter = make()
    postfilter.fit(np.zeros((FILTERS, 4)), 0 * audio(2), one(0, 1), one(0, 1))
    np.testing.assert_allclose(
        postfilter.taps, np.eye(1, LENGTH).repeat(FILTERS, axis=0), atol=1e-6
    )


def test_it_is_made_again_from_its_settings():
    postfilter = make()
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(postfilter))
    assert again.get_config() == postfilter.get_config()
