"""The flow: its inverse, its determinant, and a likelihood known in closed form."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_rawaudio.layers import AffineCoupling
from keras_rawaudio.models.heads.flow import FlowHead, _orthonormal_fourier

F, W = 12, 3


def far_from_fresh(layer):
    rng = np.random.default_rng(0)
    for weight in layer.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.3 * rng.normal(size=weight.shape))
    return layer


def made(**options):
    keras.utils.set_random_seed(0)
    head = FlowHead(F, **{"couplings": 3, "filters": 5, "kernel_size": 3, **options})
    head.build((None, None), (None, None, W))
    return far_from_fresh(head)


def numbers(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("size", [4, 6, 64, 250])
def test_the_spectrum_keeps_norms_and_holds_sines(size):
    matrix = _orthonormal_fourier(size)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-5)
    tone = np.cos(2 * np.pi * np.arange(size) / size)
    spectrum = tone @ matrix
    np.testing.assert_allclose(spectrum[2], np.sqrt(size / 2), rtol=1e-4)
    np.testing.assert_allclose(np.delete(spectrum, 2), 0, atol=1e-4)


@pytest.mark.parametrize("parity", [0, 1])
def test_a_coupling_is_undone_and_moves_every_second_bin(parity):
    keras.utils.set_random_seed(0)
    layer = AffineCoupling(parity, 4, 3)
    layer.build((None, 7, 2), (None, W))
    far_from_fresh(layer)
    x, condition = numbers(5, 7, 2), numbers(5, W, seed=2)
    y, _ = layer(x, condition)
    np.testing.assert_allclose(layer.inverse(y, condition), x, atol=1e-4)
    moved = np.abs(ops.convert_to_numpy(y) - x).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(moved, np.arange(7) % 2 == parity)


def test_drawing_undoes_the_analysis():
    head, frames, condition = made(), 0.3 * numbers(50, F), numbers(50, W, seed=2)
    z, _ = head.forward(frames, condition)
    np.testing.assert_allclose(head.inverse(z, condition), frames, atol=1e-4)


def test_the_determinant_is_that_of_the_jacobian():
    head, frames, condition = made(), tf.constant(0.3 * numbers(4, F)), numbers(4, W, seed=2)
    with tf.GradientTape() as tape:
        tape.watch(frames)
        z, log_det = head.forward(frames, condition)
    jacobian = tape.batch_jacobian(z, frames).numpy()
    np.testing.assert_allclose(log_det, np.linalg.slogdet(jacobian)[1], atol=1e-3)


def test_untrained_it_is_a_gaussian_of_known_density():
    """Couplings that change nothing: the nats of Gaussian samples, on narrow cells."""
    keras.utils.set_random_seed(0)
    head = FlowHead(F, couplings=2, filters=4, levels=4096)
    head.build((None, None), (None, None, W))
    target = np.clip(0.1 * numbers(1, 40 * F), -0.9, 0.9)
    nats = head.loss({"condition": np.zeros((1, 40, W), "float32")}, target)
    sigma = np.exp(-2.0)
    density = -0.5 * (target / sigma) ** 2 - np.log(sigma) - 0.5 * np.log(2 * np.pi)
    size = np.log(1 + 4095.0)
    width = 2 / 4095 * size * (1 + 4095 * np.abs(target)) / 4095  # of a mu-law cell
    np.testing.assert_allclose(ops.mean(nats), -(density + np.log(width)).mean(), rtol=5e-3)


def test_the_layers_are_saved_with_the_head():
    head = made()
    assert len(head.trainable_weights) == 2 + 3 * 5
