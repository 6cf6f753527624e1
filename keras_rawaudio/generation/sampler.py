"""Generate audio from a Keras model, for the training log and for parity tests."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_rawaudio.generation.advance import advance, fresh_state
from keras_rawaudio.generation.music import chosen_music, random_music
from keras_rawaudio.models import Model

# Samples a call, about a second: `advance` shifts the whole of its output for every frame.
CHUNK = 1 << 14


class ReferenceSampler:
    """Primes a model with audio and draws new audio from it, compiled where the backend can.

    Args:
        model: the model; its weights are read at every call, so a model in training can be sampled.

    Example:
        >>> from keras_rawaudio.models import AudioModel
        >>> codec = {"name": "mulaw", "peak": 1.0, "levels": 256}
        >>> model = AudioModel([{"frame_size": 8, "units": 4}], {"kind": "categorical"}, codec)
        >>> ReferenceSampler(model).generate(samples=100, seed_audio=np.zeros(50)).shape
        (1, 100)
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        # Mono audio has no axis of channels.
        self._channels = (model.channels,) if model.channels > 1 else ()

        self._compiled: dict[frozenset[str], Any] = {}

    def generate(
        self,
        samples: int,
        seed_audio: np.ndarray | None = None,
        temperature: float | Sequence[float] = 1.0,
        streams: int = 1,
        random_seed: int = 0,
        controls: Mapping[str, float] | None = None,
        music: Mapping[str, float] | None = None,
    ) -> np.ndarray:
        """Draw new audio.

        Args:
            samples: how many.
            seed_audio: float32 at the model's rate, read first and not returned: `(n,)` or
                `(n, channels)` for all streams, or one for each, `(streams, n)` of a mono model
                and `(streams, n, channels)`.
            temperature: 1 draws from the model's own distribution, lower is more cautious; one for
                all streams, or one per stream.
            streams: how many at once.
            random_seed: the same seed draws the same audio.
            controls: values of the model's controls by name, the others at their defaults.
            music: weights of the model's labels by name. None: a label at random for each stream,
                or, after `seed_audio`, that it is unknown.

        Returns:
            `(streams, samples)` float32, with channels as a last axis if there are two. It is not
            clipped: some models pass beyond [-1, 1].
        """
        F, K = self.model.block, self.model.head.noise_per_sample
        seed = np.zeros(0, np.float32) if seed_audio is None else np.asarray(seed_audio, np.float32)
        if seed.ndim == 1 and self._channels:
            seed = np.repeat(seed[:, None], self.model.channels, axis=1)
        if seed.ndim <= 1 + len(self._channels) or seed.shape[1:] == (1,):
            seed = seed.reshape((1, -1, *self._channels))
        if seed.shape[2:] != self._channels or len(seed) not in (1, streams):
            raise ValueError(f"a seed of shape {seed.shape} does not fit {streams} streams")
        # Whole frames only, filled up with what a fresh stream has read so far: silence.
        silence = np.zeros((len(seed), -seed.shape[1] % F, *self._channels), np.float32)
        forced = np.concatenate([silence, seed], axis=1)
        forced = np.broadcast_to(forced, (streams, *forced.shape[1:]))
        # What comes late at first belongs to what was read.
        late = self.model.delay
        total = math.ceil((samples + late) / F) * F
        noise = np.random.default_rng(random_seed).random((streams, total, K), np.float32)
        temperatures = np.full(streams, temperature, np.float32)
        state = fresh_state(self.model, streams)
        for name, value in (controls or {}).items():
            state[name] = np.full((streams, 1), value, np.float32)
        if music is not None:
            state |= chosen_music(self.model, music, streams)
        elif not forced.shape[1]:
            state |= random_music(self.model, streams, np.random.default_rng([random_seed, 1]))
        chunk = max(F, CHUNK // F * F)
        for start in range(0, forced.shape[1], chunk):
            part = forced[:, start : start + chunk]
            _, state = self._advance(part, noise[:, :0], temperatures, state)
        audio = [forced[:, :0]]
        for start in range(0, total, chunk):
            part = noise[:, start : start + chunk]
            drawn, state = self._advance(forced[:, :0], part, temperatures, state)
            audio.append(np.asarray(drawn))
        return np.concatenate(audio, axis=1)[:, late : late + samples]

    def _advance(self, forced: Any, noise: Any, temperature: Any, state: Any) -> Any:
        """`advance`, as one graph for all lengths and numbers of streams.

        A model in training may get other states, such as those by which copies are found. So there
        is a graph for each set of them.
        """
        names = frozenset(state)
        if names not in self._compiled:
            self._compiled[names] = self._compile()
        return self._compiled[names](forced, noise, temperature, state)

    def _compile(self) -> Any:
        """`advance` of the model, with the states that it has now."""
        import keras

        step = functools.partial(advance, self.model)
        if keras.backend.backend() != "tensorflow":
            return step
        import tensorflow as tf

        state = {
            name: tf.TensorSpec((None, *value.shape[1:]))
            for name, value in fresh_state(self.model, 1).items()
        }
        signature = [
            tf.TensorSpec((None, None, *self._channels)),
            tf.TensorSpec((None, None, self.model.head.noise_per_sample)),
            tf.TensorSpec((None,)),
            state,
        ]
        return tf.function(step, autograph=False, input_signature=signature)
