"""Free-running draws of codes, without audio, of streams that go on."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from keras_rawaudio.generation.music import random_music
from keras_rawaudio.models.controls import MUSIC
from keras_rawaudio.models.section_chain import SECTION
from keras_rawaudio.models.spectral_codec import CODES
from keras_rawaudio.models.spectral_model import SpectralModel


class CodeDraws:
    """Draws codes in several streams, at temperature 1.

    Args:
        model: draws as it is at each call.
        rows: streams at a time.
        blocks: of each stream and call.

    Attributes:
        sections: of the blocks that were drawn last, `(blocks, rows)`; 0 without sections.

    Example:
        >>> draws = CodeDraws(model, rows=16, blocks=1292)            # doctest: +SKIP
        >>> first = draws(rng)                                        # doctest: +SKIP
        >>> second = draws(rng, anew=slice(4))  # rows 4 to 15 go on  # doctest: +SKIP
    """

    def __init__(self, model: SpectralModel, rows: int, blocks: int) -> None:
        self.model, self.rows, self.blocks = model, rows, blocks
        self._state: dict[str, np.ndarray] = {}
        self.sections = np.zeros((blocks, rows), int)
        self._draw = tf.function(self._draw_codes, autograph=False)

    @property
    def music(self) -> np.ndarray:
        """Weights of the labels of the streams that were drawn last: `(rows, labels)`."""
        return self._state[MUSIC]

    def __call__(self, rng: np.random.Generator, anew: slice = slice(None)) -> np.ndarray:
        """Draw the next codes of all streams.

        Args:
            rng: draws.
            anew: the rows that begin with nothing; all of them at the first call. The others go on
                from where the last call left them.

        Returns:
            `(blocks, rows, bands)` int32 from 0.
        """
        shape = (self.blocks, self.rows, self.model.noise_per_draw)
        noise = rng.random(shape, dtype=np.float32)
        beginning = self._beginning(len(range(self.rows)[anew]), rng)
        if len(beginning[CODES]) < self.rows:
            for name, values in beginning.items():
                self._state[name][anew] = values
        else:
            self._state = beginning
        codes, sections, state = self._draw(tf.constant(noise), self._state)
        self._state = {name: np.array(values) for name, values in state.items()}
        self.sections = sections.numpy().astype(int)
        drawn: np.ndarray = codes.numpy()
        return drawn

    def _beginning(self, rows: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """The states of streams that have drawn nothing yet."""
        model, names = self.model, [CODES, *self.model.step.states]
        # A penalty counts before it has a strength: it may be found in these draws.
        spec = model.generator_state_spec() | (model.penalty.state_spec() if model.penalty else {})
        state = {
            name: np.full((rows, *shape), first, np.float32)
            for name, (shape, first) in spec.items()
            if name in names
        }
        return {**state, **random_music(model, rows, rng)}

    def _draw_codes(self, noise: Any, state: dict[str, Any]) -> tuple[Any, Any, dict[str, Any]]:
        model, keys = self.model, self.model.sampler.drawing_keys()
        temperature = tf.ones((self.rows, 1))

        def draw(t: Any, state: dict[str, Any], drawn: Any, sections: Any) -> Any:
            hidden, state = model.step(state, noise[t])
            codes = model.sampler.draw(hidden, noise[t], temperature, keys, state)
            section = state.get(SECTION, tf.zeros((self.rows, 1)))[:, 0]
            state = {**state, CODES: tf.cast(codes, tf.float32)}
            return t + 1, state, drawn.write(t, codes), sections.write(t, section)

        arrays = [tf.TensorArray(kind, self.blocks) for kind in (tf.int32, tf.float32)]
        loop = (tf.constant(0), state, *arrays)
        _, state, drawn, sections = tf.while_loop(lambda t, *_: t < self.blocks, draw, loop)
        return drawn.stack(), sections.stack(), state
