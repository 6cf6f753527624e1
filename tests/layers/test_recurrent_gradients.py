"""The loop over time, and its own gradient beside that of autodiff."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.layers.time_loop import scan_time

from .recurrent import CELLS, built, normal, state_of


@pytest.mark.parametrize("steps", [1, 7, 8, 9, 30])
@pytest.mark.parametrize("block", [1, 4, 64])
def test_scan_time(steps, block):
    values = normal(steps, 2)
    (sums,) = scan_time(lambda c, x: (c[0] + x[0],), (np.ones(2, "float32"),), [values], block)
    expected = 1 + np.cumsum(values, axis=0)
    np.testing.assert_allclose(ops.convert_to_numpy(sums), expected, atol=1e-5)


def gradients(stack, inputs, state, whole):
    """Gradients of a loss on outputs and last states, for weights, inputs and state.

    `whole` takes the sequence in one call; else step by step, where autodiff does the work.
    """

    def loss(inputs, state):
        if whole:
            outputs, after = stack(inputs, state)
        else:
            outputs, after = [], state
            for t in range(inputs.shape[1]):
                output, after = stack.step(inputs[:, t], after)
                outputs.append(output)
            outputs = ops.stack(outputs, axis=1)
        weights = normal(*outputs.shape, seed=3)
        return ops.sum(ops.sin(2 * outputs) * weights) + sum(ops.sum(ops.sin(x)) for x in after)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        inputs, state = tf.constant(inputs), [tf.constant(x) for x in state]
        sources = [v.value for v in stack.trainable_weights] + [inputs, *state]
        with tf.GradientTape() as tape:
            tape.watch([inputs, *state])
            value = loss(inputs, state)
        return tape.gradient(value, sources)
    if keras.backend.backend() == "jax":
        import jax

        def pure(weights, inputs, state):
            mapping = zip(stack.trainable_weights, weights, strict=True)
            with keras.StatelessScope(state_mapping=list(mapping)):
                return loss(inputs, state)

        weights = [v.value for v in stack.trainable_weights]
        return jax.tree.leaves(jax.grad(pure, argnums=(0, 1, 2))(weights, inputs, state))
    pytest.skip("no gradients written for this backend")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("length", [1, 5, 37])
def test_fast_gradient_equals_autodiff(cell, length):
    stack = built(cell, [4, 5], skips=True)
    inputs, state = normal(3, length, 3), state_of(stack, 3)
    fast = gradients(stack, inputs, state, whole=True)
    slow = gradients(stack, inputs, state, whole=False)
    assert len(fast) == len(slow) > 0
    for mine, theirs in zip(fast, slow, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(mine), ops.convert_to_numpy(theirs), rtol=1e-4, atol=1e-4
        )
