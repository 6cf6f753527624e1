"""Generate audio from a Keras model, for the training log and for parity tests."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from keras_rawaudio.generation.advance import advance, fresh_state
from keras_rawaudio.models.audio_model import AudioModel


class ReferenceSampler:
    """Primes a model with audio and draws new audio from it, compiled where the backend can.

    Args:
        model: the model; its weights are read at every call, so a model in training can be heard.

    Example:
        >>> audio = ReferenceSampler(model).generate(samples=16000, seed_audio=seed)
    """

    def __init__(self, model: AudioModel) -> None:
        import keras

        self.model = model

        def step(forced: Any, noise: Any, temperature: Any, state: Any) -> Any:
            return advance(model, forced, noise, temperature, state)

        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            step = tf.function(step)
        self._advance = step

    def generate(
        self,
        samples: int,
        seed_audio: np.ndarray | None = None,
        temperature: float = 1.0,
        streams: int = 1,
        random_seed: int = 0,
    ) -> np.ndarray:
        """Draw new audio.

        Args:
            samples: how many.
            seed_audio: `(n,)` float32 at the model's rate, read first and not returned.
            temperature: 1 draws from the model's own distribution, lower is more cautious.
            streams: how many at once.
            random_seed: the same seed draws the same audio.

        Returns:
            `(streams, samples)` float32 in [-1, 1].
        """
        F = self.model.frame
        seed = np.zeros(0, np.float32) if seed_audio is None else np.asarray(seed_audio, np.float32)
        # Whole frames only: a fresh stream has heard silence, so silence in front changes nothing.
        seed = np.pad(seed, (-len(seed) % F, 0))
        total = math.ceil(samples / F) * F
        noise = np.random.default_rng(random_seed).random(
            (streams, total, self.model.head.noise_per_sample), np.float32
        )
        audio, _ = self._advance(
            np.tile(seed, (streams, 1)),
            noise,
            np.full(streams, temperature, np.float32),
            fresh_state(self.model, streams),
        )
        return np.asarray(audio)[:, :samples]
