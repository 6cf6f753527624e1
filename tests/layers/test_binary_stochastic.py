"""The binary stochastic units: draws, straight-through gradient, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers import BinaryStochastic

LOGITS = np.linspace(-4, 4, 9, dtype="float32")[None]
PROBABILITY = 1 / (1 + np.exp(-LOGITS))


def test_draws_are_binary_and_as_likely_as_their_probability():
    drawn = ops.convert_to_numpy(
        BinaryStochastic(seed=1)(np.repeat(LOGITS, 20000, axis=0), training=True)
    )
    np.testing.assert_allclose(drawn, np.round(drawn), atol=1e-6)
    np.testing.assert_allclose(drawn.mean(axis=0), PROBABILITY[0], atol=0.02)


def test_evaluation_draws_nothing():
    """Pitfall 11: evaluation gives the probability, or which side of one half it is on."""
    np.testing.assert_allclose(
        ops.convert_to_numpy(BinaryStochastic()(LOGITS)), PROBABILITY, atol=1e-6
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(BinaryStochastic("threshold")(LOGITS)), LOGITS > 0
    )


@pytest.mark.parametrize("evaluation", ["probability", "threshold"])
def test_gradient_goes_straight_through(evaluation):
    """One SGD step on the sum of the units moves a bias by the sigmoid's derivative."""
    bias = keras.layers.EinsumDense("ab,b->ab", (9,), kernel_initializer="ones")
    unit = BinaryStochastic(evaluation, seed=1)
    model = keras.Sequential([keras.Input((9,)), bias, unit])
    model.compile(keras.optimizers.SGD(1.0), lambda y, x: ops.sum(x, axis=-1))
    model.train_on_batch(LOGITS, np.zeros((1, 9), "float32"))
    moved = 1 - ops.convert_to_numpy(bias.kernel)
    np.testing.assert_allclose(moved, (LOGITS * PROBABILITY * (1 - PROBABILITY))[0], atol=1e-5)


def test_given_noise_decides():
    noise = np.array([[0.2, 0.6]], "float32")
    drawn = BinaryStochastic()(np.zeros((1, 2), "float32"), training=True, noise=noise)
    np.testing.assert_allclose(ops.convert_to_numpy(drawn), [[1, 0]], atol=1e-6)


def test_bad_settings():
    with pytest.raises(UserError, match="unknown evaluation 'maybe'"):
        BinaryStochastic("maybe")


def test_save_and_load(tmp_path):
    layer = BinaryStochastic("threshold", seed=4)
    model = keras.Sequential([keras.Input((9,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for training in (False, True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(loaded(LOGITS, training=training)),
            ops.convert_to_numpy(model(LOGITS, training=training)),
        )
    assert loaded.layers[-1].get_config() == layer.get_config()
