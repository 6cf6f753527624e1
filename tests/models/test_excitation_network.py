"""The excitation network: what it is conditioning and what it sees."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.excitation_network import MAX_RESIDUAL, ExcitationNetwork

BUNCH, STEPS, WIDTH, SOUNDS, MORE = 8, 4, 6, 7, 2


def make(**options):
    """A network whose weights are far from their start."""
    keras.utils.set_random_seed(0)
    network = ExcitationNetwork(BUNCH, STEPS, hidden_units=WIDTH, num_mixtures=2, **options)
    network.build((None, None, 2 * SOUNDS + MORE))
    rng = np.random.default_rng(0)
    for weight in network.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.1 * rng.normal(size=weight.shape))
    return network


def normal(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def analysis(rows):
    return {
        "residual": 0.1 * normal(rows, 2 * BUNCH, seed=2),
        "scale": np.full((rows, 1), 0.03, "float32"),
        "samples": 0.5 * normal(rows, 2 * BUNCH, seed=3),
        "powers": np.array([[0.2, 0.02]] * rows, "float32"),
    }


def test_what_is_conditioned_and_seen_is_one_dense_layer():
    """Its inputs by hand: the last four are two levels, and how much louder the code is."""
    network, rows = make(layers=1), 3
    network.upsampling.assign(ops.zeros_like(network.upsampling))  # the levels alone
    sound, known = normal(rows, 1, SOUNDS, seed=4), analysis(rows)
    conditioning = network.condition(sound, 0 * sound, np.zeros((rows, 1, MORE), "float32"))
    got = network(network.features(**known), conditioning[:, 2])
    levels = np.log(known["powers"]) / 4
    plain = np.concatenate(
        [
            np.clip(known["residual"] / 0.03, -MAX_RESIDUAL, MAX_RESIDUAL),
            0.16 * np.arcsinh(255 * known["samples"]),
            np.log(1000 * known["scale"]),
            levels,
            sound[:, 0, -2:] - levels,
        ],
        axis=-1,
    )
    np.testing.assert_allclose(got, ops.relu(network.entry(plain)), atol=1e-5)


def test_it_is_conditioned_of_each_frame_and_of_each_step_in_it():
    """By hand: a small layer of code, features before and time; another for each step."""
    network, Q = make(), 3
    sound, before, time = (normal(2, Q, n, seed=n) for n in (SOUNDS, SOUNDS - 2, MORE))
    before = np.concatenate([before, before[..., :2]], -1)
    conditioning = ops.convert_to_numpy(network.condition(sound, before, time))
    conditioning = conditioning.reshape(2, Q, STEPS, WIDTH)
    kernel = ops.convert_to_numpy(network.entry.kernel)
    inputs = np.concatenate([sound, before, time], -1)
    small = ops.convert_to_numpy(network.conditioning(inputs))
    views = ops.convert_to_numpy(network.upsampling).reshape(-1, STEPS, WIDTH)
    levels = sound[..., -2:] @ kernel[-2:] + network.entry.bias + np.log(1000) * kernel[-5]
    for step in range(STEPS):
        hidden = np.maximum(small + ops.convert_to_numpy(network.positions)[step], 0)
        expected = hidden @ views[:, step] + levels
        np.testing.assert_allclose(conditioning[:, :, step], expected, atol=1e-4)


def test_a_fresh_one_leaves_the_prediction_alone():
    """Logistics lie at the prediction, narrow and wide ones."""
    keras.utils.set_random_seed(0)
    network = ExcitationNetwork(BUNCH, STEPS, hidden_units=WIDTH, num_mixtures=2)
    network.build((None, None, 2 * SOUNDS + MORE))
    h = network(network.features(**analysis(2)), normal(2, WIDTH))
    mixture = ops.reshape(network.mixture(h), (2, BUNCH, 6))
    delta, scales, logits = network.parameters(mixture)
    np.testing.assert_allclose(delta, 0, atol=0.05)
    np.testing.assert_allclose(logits, 0, atol=0.05)
    np.testing.assert_allclose(
        ops.log(scales), np.broadcast_to([-1.2, 0.6], (2, BUNCH, 2)), atol=0.05
    )


def test_dropout_is_for_training_alone():
    """Pitfall 11."""
    network, conditioning = make(dropout=0.5), normal(2, WIDTH)
    features = network.features(**analysis(2))
    np.testing.assert_array_equal(network(features, conditioning), network(features, conditioning))
    shaken = [
        ops.convert_to_numpy(network(features, conditioning, training=True)) for _ in range(2)
    ]
    assert np.abs(shaken[0] - shaken[1]).max() > 1e-4


@pytest.mark.parametrize("layers", [1, 3])
def test_it_is_saved_whole(layers):
    network = make(layers=layers)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(network))
    assert again.get_config() == network.get_config()
    again.set_weights(network.get_weights())
    features, conditioning = network.features(**analysis(2)), normal(2, WIDTH)
    np.testing.assert_array_equal(again(features, conditioning), network(features, conditioning))
