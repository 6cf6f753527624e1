"""Corruption: how much of it there is, and when it is new."""

import numpy as np
import pytest

from keras_rawaudio.layers import Corruption


def test_nothing_is_changed_without_any():
    x = np.random.default_rng(0).normal(size=(2, 12)).astype("float32")
    np.testing.assert_array_equal(Corruption(4, noise=0.0)(x, training=True), x)


def test_the_deviation_of_the_noise_is_drawn_per_row():
    x = np.zeros((400, 500), "float32")
    deviations = np.asarray(Corruption(4, noise=0.6)(x, training=True)).std(axis=1)
    assert deviations.max() < 0.65
    np.testing.assert_allclose(deviations.mean(), 0.3, atol=0.03)


def test_dropped_frames_are_silent_as_a_whole():
    damaged = np.asarray(Corruption(5, noise=0.0, dropped=0.3)(np.ones((50, 200), "float32")))
    frames = damaged.reshape(-1, 5)
    assert set(frames.mean(axis=1)) == {0.0, 1.0}
    np.testing.assert_allclose((frames == 0).mean(), 0.3, atol=0.03)


def test_values_are_rounded_to_a_step_of_their_row():
    x = np.linspace(-1, 1, 300, dtype="float32")[None].repeat(20, 0)
    damaged = np.asarray(Corruption(3, noise=0.0, step=0.4)(x))
    assert np.abs(damaged - x).max() <= 0.2 + 1e-5
    assert len(np.unique(damaged[0].round(5))) < 300


@pytest.mark.parametrize("training", [True, False])
def test_draws_are_new_in_training_alone(training):
    layer, x = Corruption(4, noise=0.5, step=0.1, dropped=0.2, seed=3), np.ones((3, 40), "float32")
    same = np.array_equal(layer(x, training=training), layer(x, training=training))
    assert same is not training
