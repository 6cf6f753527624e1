"""Recurrent state between windows: kept where a row goes on, reset where it does not."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rawaudio.models.clock import CLOCK
from keras_rawaudio.models.controls import MUSIC

State = dict[str, Any]  # tensors by name


def reset_state(model: Any, state: State, reset: Any, position: Any, label: Any = None) -> State:
    """The state that a batch of windows is read with.

    Args:
        model: names the state.
        state: as the last batch left it.
        reset: `(B,)` bool: the rows to reset.
        position: `(B,)` int64: where in its file each row's window stands, in samples.
        label: `(B,)` int32: which of the model's labels it is; -1 or `None`: none of them.

    Returns:
        Zeros for the rows to reset, their clocks set to the window's place in its file, and their
        labels.
    """
    fresh = ops.expand_dims(reset, 1)
    state = {name: ops.where(fresh, 0.0, value) for name, value in state.items()}
    music = None
    if MUSIC in state:
        label = ops.zeros_like(reset, "int32") - 1 if label is None else label
        music = ops.one_hot(label, state[MUSIC].shape[1], dtype="float32")
        state[MUSIC] = ops.where(fresh, music, state[MUSIC])
    for i, tier in enumerate(model.tiers):
        if tier.clock_harmonics:
            name = f"tier{i}_{CLOCK}"
            # In 64 bits: a position of hours in samples is beyond what 32 bits hold exactly.
            place = ops.expand_dims(ops.cast(position, "float64"), 1)
            period = tier.period if music is None else tier.period_of(music)
            turns = place / ops.cast(period, "float64")
            set_clock = ops.cast(turns - ops.floor(turns), "float32")
            state[name] = ops.where(fresh, set_clock, state[name])
    return state


class CarriedState:
    """The state of the rows of a batch, from one window to the next.

    It is no part of the model and of what the model saves.

    Args:
        model: names the state.
        rows: of a batch.

    Attributes:
        variables: a Keras variable `(rows, ...)` for each name.

    Reference:
        Williams and Peng 1990, "An efficient gradient-based algorithm for on-line training of
        recurrent network trajectories" (truncated backpropagation through time).
    """

    def __init__(self, model: Any, rows: int) -> None:
        self.model = model
        self.variables = {
            name: keras.Variable(ops.zeros((rows, *shape)), trainable=False, name=name)
            for name, shape in model.state_spec().items()
        }

    def read(self, reset: Any, position: Any, label: Any = None) -> State:
        """The state that the next window is read with; see `reset_state`."""
        state = {name: ops.convert_to_tensor(v) for name, v in self.variables.items()}
        return reset_state(self.model, state, reset, position, label)

    def write(self, state: State) -> None:
        """Keep the state after a window."""
        for name, value in state.items():
            self.variables[name].assign(ops.stop_gradient(value))
