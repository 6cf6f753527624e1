"""The frame GAN: each player's loss reaches its own weights; it finds where the frames are."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_rawaudio.models.heads.gan import GANHead

F, W = 16, 3


def made(**options):
    keras.utils.set_random_seed(0)
    head = GANHead(F, **{"latent": 4, "hidden_units": 8, **options})
    head.build((None, None), (None, None, W))
    return head


def inputs(rows, T):
    rng = np.random.default_rng(1)
    audio = rng.normal(size=(rows, F + T * F)).astype("float32")
    return audio[:, :-1], audio[:, F:], rng.normal(size=(rows, T, W)).astype("float32")


def test_frames_before_are_those_before():
    head = made()
    ramp = np.arange(F + 3 * F, dtype="float32")[None]
    prediction, _ = head(ramp[:, :-1], np.zeros((1, 3, W), "float32"), [])
    target = ramp[:, F:].reshape(3, F)
    np.testing.assert_array_equal(prediction["before"][0], target - F)


@pytest.mark.parametrize("fakes", ["generated", "noise"])
def test_each_player_moves_its_own_weights(fakes):
    head = made(fakes=fakes)
    history, target, condition = inputs(2, 3)
    own = [w.value for w in head.discriminator.trainable_weights]
    others = [w.value for w in [*head.hidden_layer.weights, *head.output_layer.weights]]
    prediction, _ = head(history, condition, [])

    def gradients(value):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(value())
        return tape.gradient(loss, [*own, *others])

    def part(name):
        return gradients(lambda: head.terms(prediction, target)[name])

    assert part("discriminator_loss")[len(own) :] == [None] * len(others)
    assert part("generator_loss")[: len(own)] == [None] * len(own)
    both = [*part("discriminator_loss")[: len(own)], *part("generator_loss")[len(own) :]]
    for a, b in zip(gradients(lambda: head.loss(prediction, target)), both, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_draws_are_new_in_training_alone():
    head = made()
    history, target, condition = inputs(2, 3)
    for training in (True, False):
        losses = [
            ops.convert_to_numpy(
                head.score(head(history, condition, [], training=training)[0], target)
            )
            for _ in range(2)
        ]
        assert np.array_equal(*losses) is not training


@pytest.mark.slow
def test_a_discriminator_of_noise_learns_to_tell_it_from_frames():
    """The first exercise: its loss falls from chance; the estimates of its norms follow."""
    head, optimizer = made(fakes="noise"), keras.optimizers.RMSprop(3e-3)
    weights = head.trainable_weights
    values = [w.value for w in weights]

    @tf.function
    def step(audio, condition):
        with tf.GradientTape() as tape:
            prediction, _ = head(audio[:, :-1], condition, [], training=True)
            terms = head.terms(prediction, audio[:, F:])
            loss = tf.reduce_mean(terms["generator_loss"] + terms["discriminator_loss"])
        return tf.reduce_mean(terms["discriminator_loss"]), tape.gradient(loss, values)

    rng = np.random.default_rng(0)
    for _ in range(60):
        phase = rng.uniform(0, 6, (8, 1))
        audio = np.sin(0.3 * np.arange(5 * F) + phase).astype("float32")
        loss, gradients = step(tf.constant(audio), tf.zeros((8, 4, W)))
        optimizer.apply(gradients, weights)
    assert float(loss) < 0.5 * np.log(2)


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="17 random numbers needs frames as long"):
        GANHead(F, latent=17)
    with pytest.raises(ValueError, match="no fakes 'real'; choose from generated, noise"):
        GANHead(F, latent=4, fakes="real")
