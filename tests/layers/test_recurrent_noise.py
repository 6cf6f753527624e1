"""Noise in recurrent stacks: in training alone, and drawn anew each time."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.layers import RecurrentStack

from .recurrent import CELLS, built, normal, run, state_of


@pytest.mark.parametrize(
    "cell", [c if c == "gru" else pytest.param(c, marks=pytest.mark.slow) for c in CELLS]
)
@pytest.mark.parametrize(
    "noise",
    [
        {"preactivation_noise": 0.05},
        {"activation_noise": "half-normal"},
        {"activation_noise": "normal"},
        {"activation_noise": "binary"},
        {"activation_noise": "half-normal", "preactivation_noise": 0.05},
    ],
)
def test_noise_only_in_training(cell, noise):
    """Pitfall 11: noise is on in training, off in evaluation and in `step`."""
    stack = built(cell, 6, layers=2, seed=5, **noise)
    # Far enough out that hard units saturate.
    if cell == "deep-gate-lstm":
        for layer in stack.cells:
            layer.gate_kernels.assign(8 * layer.gate_kernels)
    inputs, state = 8 * normal(2, 6, 3), state_of(stack, 2)
    outputs, _ = run(stack, inputs, state)
    np.testing.assert_array_equal(run(stack, inputs, state)[0], outputs)
    again = run(stack, inputs, state, training=False)[0]
    np.testing.assert_array_equal(again, outputs)
    noisy = run(stack, inputs, state, training=True)[0]
    other = run(stack, inputs, state, training=True)[0]
    assert np.abs(noisy - outputs).max() > 1e-4
    assert np.abs(noisy - other).max() > 1e-4
    for t in range(6):
        output, state = stack.step(ops.convert_to_tensor(inputs[:, t]), state)
        np.testing.assert_allclose(ops.convert_to_numpy(output), outputs[:, t], atol=1e-4)


def test_same_seed_same_noise():
    inputs = normal(2, 5, 3)
    runs = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(0)
        stack = RecurrentStack("gru", 4, preactivation_noise=0.1, seed=seed)
        runs.append(run(stack, inputs, stack.zero_state(2), training=True)[0])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 1e-4


def test_preactivation_noise_has_the_given_deviation():
    cell = RecurrentStack("lstm", 50, preactivation_noise=0.05, seed=1).cells[0]
    cell.build((None, 3))
    inputs = normal(40, 10, 3)
    noise = ops.convert_to_numpy(cell.project(inputs, training=True) - cell.project(inputs))
    assert abs(noise.std() - 0.05) < 0.001
    assert abs(noise.mean()) < 0.001


@pytest.mark.parametrize(
    "cell", [pytest.param(c, marks=[pytest.mark.slow] * (c == "deep-gate-lstm")) for c in CELLS]
)
@pytest.mark.parametrize(
    "noise",
    [None, *(pytest.param(noise, marks=pytest.mark.slow) for noise in ("normal", "binary"))],
)
def test_trains_in_a_compiled_step(cell, noise):
    """The loss falls, and the noise is not drawn once and for all when the step is traced."""
    keras.utils.set_random_seed(1)
    stack = RecurrentStack(cell, 8, activation_noise=noise, preactivation_noise=0.02, seed=1)
    inputs = keras.Input((9, 3))
    state = [keras.Input(shape) for _, shape in stack.state_shapes()]
    outputs = keras.layers.Dense(1)(stack(inputs, state)[0])
    model = keras.Model([inputs, *state], outputs)
    compiled_by_xla = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adam(0.03), "mse", jit_compile=compiled_by_xla)
    values = [normal(16, 9, 3), *[0 * x for x in state_of(stack, 16)]]
    target = np.cumsum(values[0][..., :1], axis=1) / 3
    losses = [float(model.train_on_batch(values, target)) for _ in range(80)]
    assert losses[-1] < losses[0] / 2
    seed_state = ops.convert_to_numpy(stack.cells[0].seed_generator.state)
    model.train_on_batch(values, target)
    assert (ops.convert_to_numpy(stack.cells[0].seed_generator.state) != seed_state).any()
