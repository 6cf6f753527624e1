"""Recurrent stacks far from their initial values, and what they read."""

import numpy as np
from keras import ops

from keras_rawaudio.layers import RecurrentStack

CELLS = ["gru", "lstm", "deep-gate-lstm"]


def normal(*shape, seed=0, scale=1.0):
    return (scale * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def built(*args, width=3, **kwargs):
    """A stack with weights that differ from their initial values, biases included."""
    stack = RecurrentStack(*args, **kwargs)
    stack.build((None, None, width))
    for seed, weight in enumerate(stack.trainable_weights):
        weight.assign(weight + normal(*weight.shape, seed=seed, scale=0.1))
    return stack


def state_of(stack, rows, seed=7):
    return [
        normal(rows, *shape, seed=seed + i, scale=0.3)
        for i, (_, shape) in enumerate(stack.state_shapes())
    ]


def run(stack, inputs, state, **kwargs):
    outputs, state = stack(inputs, state, **kwargs)
    return ops.convert_to_numpy(outputs), [ops.convert_to_numpy(x) for x in state]
