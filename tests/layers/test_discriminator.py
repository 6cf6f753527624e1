"""The discriminator: its spectral norms, its two losses, and whose weights each one reaches."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_rawaudio.layers import Discriminator
from keras_rawaudio.layers.discriminator import discriminator_loss, generator_loss


def made(samples=64):
    keras.utils.set_random_seed(0)
    layer = Discriminator(filters=5, layers=2)
    layer.build((None, samples))
    return layer


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_kernels_have_a_largest_singular_value_of_one():
    layer = made()
    for _ in range(300):
        layer.update()
    for kernel, plain in zip(layer.normalized(), layer.kernels, strict=True):
        matrix = ops.convert_to_numpy(kernel).reshape(-1, kernel.shape[-1])
        np.testing.assert_allclose(np.linalg.svd(matrix)[1][0], 1.0, rtol=1e-2)
        ratio = ops.convert_to_numpy(plain) / ops.convert_to_numpy(kernel)
        np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-3)


def test_an_update_changes_the_estimates_alone():
    layer = made()
    before = [ops.convert_to_numpy(w) for w in layer.trainable_weights]
    after_none = layer(noise(2, 64))
    np.testing.assert_array_equal(after_none, layer(noise(2, 64)))
    layer.update()
    for old, weight in zip(before, layer.trainable_weights, strict=True):
        np.testing.assert_array_equal(old, weight)
    assert np.abs(after_none - layer(noise(2, 64))).max() > 0


def test_both_losses_are_ln_2_at_chance_and_fall_as_their_player_wins():
    undecided, sure = ops.zeros((3, 4)), 5.0 * ops.ones((3, 4))
    np.testing.assert_allclose(generator_loss(undecided), np.log(2) * np.ones(3), rtol=1e-6)
    np.testing.assert_allclose(
        discriminator_loss(undecided, undecided), np.log(2) * np.ones(3), rtol=1e-6
    )
    assert float(generator_loss(sure)[0]) < 0.01
    assert float(discriminator_loss(sure, -sure)[0]) < 0.01


def test_frozen_weights_get_no_gradient_and_the_input_does():
    layer, x = made(), tf.Variable(noise(2, 64))
    weights = [w.value for w in layer.trainable_weights]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(generator_loss(layer(x, frozen=True)))
    to_input, *to_weights = tape.gradient(loss, [x, *weights])
    assert np.abs(to_input).max() > 0
    assert to_weights == [None] * len(weights)


@pytest.mark.slow
def test_it_learns_to_tell_noise_from_a_tone():
    layer, optimizer = made(), keras.optimizers.RMSprop(1e-2)
    rng = np.random.default_rng(1)
    for _ in range(40):
        phase = rng.uniform(0, 6, (8, 1))
        real = np.sin(0.3 * np.arange(64) + phase).astype("float32")
        fake = rng.normal(0, 0.7, (8, 64)).astype("float32")
        layer.update()
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(discriminator_loss(layer(real), layer(fake)))
        values = [w.value for w in layer.trainable_weights]
        optimizer.apply(tape.gradient(loss, values), layer.trainable_weights)
    assert float(loss) < 0.35
