"""The negative log-likelihood of each sample of some audio, in bits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_rawaudio.models import AudioModel
from keras_rawaudio.models.carried_state import reset_state
from keras_rawaudio.training.evaluator import LEVELS, SAMPLES


def sample_bits(
    model: AudioModel, audio: np.ndarray, positions: Sequence[int] | None = None
) -> np.ndarray:
    """Negative log-likelihood (base 2) of each sample, given the true past.

    Args:
        model: with a head that counts bits; read, never changed.
        audio: `(B, n)` floats in [-1, 1], streams that begin with a fresh state.
        positions: where in its own file each stream begins, in samples, which sets the clock;
            `None`: at 0, as free running does.

    Returns:
        `(B, n)` float32.

    Example:
        >>> codec = {"name": "mulaw", "peak": 1.0, "levels": 256}
        >>> model = AudioModel([{"frame_size": 8, "units": 4}], {"kind": "categorical"}, codec)
        >>> sample_bits(model, np.zeros((2, 100), "float32")).shape
        (2, 100)
    """
    import tensorflow as tf

    def score(x: Any, y: Any, state: Any) -> Any:
        prediction, state = model(x, state, training=False)
        return model.head.loss(prediction, y), state

    streams, n = audio.shape
    limit = max(1, SAMPLES * LEVELS // max(LEVELS, model.codec.levels or 0) // streams)
    window = math.ceil(min(limit, n) / model.frame) * model.frame
    values = model.codec.encode(np.asarray(audio, np.float32))
    around = ((0, 0), (model.context + 1, -n % window))
    whole = np.pad(values, around, constant_values=model.codec.silence)
    fresh = tf.ones(streams, tf.bool)
    start = tf.constant(np.zeros(streams) if positions is None else positions, tf.int64)
    state: Any = reset_state(model, model.zero_state(streams), fresh, start)
    compiled = tf.function(score, autograph=False)
    bits = []
    for first in range(0, n, window):
        x = whole[:, first : first + model.context + window]
        y = whole[:, first + model.context + 1 :][:, :window]
        nats, state = compiled(tf.constant(x), tf.constant(y), state)
        bits.append(np.asarray(nats) / math.log(2))
    return np.concatenate(bits, axis=1)[:, :n]
