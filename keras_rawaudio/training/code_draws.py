"""Free-running draws of codes, without audio."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_rawaudio.generation.music import random_music
from keras_rawaudio.models.code_sampler import AGE
from keras_rawaudio.models.spectral_codec import CODES
from keras_rawaudio.models.spectral_model import SpectralModel


class CodeDraws:
    """Draws codes in several streams from nothing, at temperature 1.

    Args:
        model: draws as it is at each call.
        rows: streams at a time.
        blocks: of each stream.
    """

    def __init__(self, model: SpectralModel, rows: int, blocks: int) -> None:
        self.model, self.rows, self.blocks = model, rows, blocks
        self._draw = tf.function(self._draw_codes, autograph=False)

    def __call__(self, rng: np.random.Generator) -> np.ndarray:
        """Codes `(blocks, rows, bands)` int32 from 0."""
        shape = (self.blocks, self.rows, self.model.noise_per_draw)
        noise = rng.random(shape, dtype=np.float32)
        music = random_music(self.model, self.rows, rng)
        codes: np.ndarray = self._draw(tf.constant(noise), music).numpy()
        return codes

    def _draw_codes(self, noise: Any, music: dict[str, Any]) -> Any:
        model, keys = self.model, self.model.sampler.drawing_keys()
        nothing = tf.fill((self.rows, model.frame), -1.0)
        age = tf.zeros((self.rows, 1))
        state = {**model.zero_state(self.rows), CODES: nothing, AGE: age, **music}
        temperature = tf.ones((self.rows, 1))

        def draw(t: Any, state: dict[str, Any], drawn: Any) -> Any:
            hidden, state = model.step(state, noise[t])
            codes = model.sampler.draw(hidden, noise[t], temperature, keys, state)
            return t + 1, {**state, CODES: tf.cast(codes, tf.float32)}, drawn.write(t, codes)

        drawn = tf.TensorArray(tf.int32, self.blocks)
        loop = (tf.constant(0), state, drawn)
        return tf.while_loop(lambda t, *_: t < self.blocks, draw, loop)[2].stack()
