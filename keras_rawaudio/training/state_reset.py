"""Recurrent state between windows: kept where a row goes on, reset where it does not."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_rawaudio.models import Model
from keras_rawaudio.models.tier import CLOCK


def reset_state(model: Model, state: dict[str, Any], reset: Any, position: Any) -> dict[str, Any]:
    """The state that a batch of windows is read with.

    Args:
        model: names the state.
        state: as the last batch left it.
        reset: `(B,)` bool: the rows to reset.
        position: `(B,)` int64: where in its file each row's window stands, in samples.

    Returns:
        Zeros for the rows to reset, and their clocks set to the window's place in its file.
    """
    fresh = reset[:, None]
    state = {name: tf.where(fresh, 0.0, value) for name, value in state.items()}
    tiers: list[Any] = list(model.tiers)
    for i, tier in enumerate(tiers):
        if tier.clock_harmonics:
            name = f"tier{i}_{CLOCK}"
            # In 64 bits: a position of hours in samples is beyond what 32 bits hold exactly.
            turns = tf.cast(position, tf.float64)[:, None] / tf.cast(tier.period.value, tf.float64)
            set_clock = tf.cast(turns - tf.floor(turns), tf.float32)
            state[name] = tf.where(fresh, set_clock, state[name])
    return state
