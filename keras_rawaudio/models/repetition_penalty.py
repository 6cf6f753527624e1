"""Codes like those of the last seconds become less probable: a model must not hold a chord."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.models.carried_state import State
from keras_rawaudio.models.spectral_codec import CODES, SOFTNESS, SpectralCodec

REPEATED = "repeated"  # the state that holds what share of the last seconds was near each entry
TIME_CONSTANT = 4.0  # seconds
WIDTH = 2.0  # of what is near, over the root of the median squared distance of nearest entries


@keras.saving.register_keras_serializable("keras_rawaudio")
class RepetitionPenalty(keras.layers.Layer):
    """A repetition penalty whose counts decay, and which counts entries that are alike as one.

    Formula: `r_t(k) = a r_{t-1}(k) + (1 - a) exp(-|z_k - z_{c_t}|^2 / (2 w^2 d))`, where `c_t` is
    the code of the block before and `d` the median squared distance of nearest entries.
    `a = exp(-h / tau)` for blocks of `h` seconds. The logit of entry `k` loses `strength * r_t(k)`,
    so that a sound loses `strength` at most, if nothing else was there for long.

    Args:
        codec: has the entries.

    Attributes:
        strengths: `(bands,)`, in nats; 0: none. `training.code_balance` sets them.

    Example:
        >>> penalty = RepetitionPenalty(SpectralCodec(8000, codebook_size=16))  # three bands
        >>> state = {CODES: ops.zeros((2, 3)), REPEATED: ops.zeros((2, 3 * 16))}
        >>> state = penalty.step(state)
        >>> tuple(penalty.of(0, state).shape)
        (2, 16)

    Reference:
        Keskar et al. 2019, "CTRL: a conditional transformer language model for controllable
        generation", which divides the logits of tokens that were there.
    """

    def __init__(self, codec: SpectralCodec, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.codec = codec
        self.build()

    def build(self, input_shape: Any = None) -> None:
        self.strengths = self.add_weight(
            (self.codec.bands,), initializer="zeros", trainable=False, name="strengths"
        )
        self.built = True

    @property
    def acts(self) -> bool:
        """Whether a band has a strength."""
        return bool(np.any(np.asarray(self.strengths)))

    def state_spec(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """Shape without the batch and first value of its state: the bands one after the other."""
        return {REPEATED: ((self.codec.bands * self.codec.codebook_size,), 0.0)}

    def step(self, state: State) -> State:
        """Count the block before, whether it was drawn or read.

        Args:
            state: `CODES` and `REPEATED`.

        Returns:
            What of the state is new.
        """
        codes = ops.cast(state[CODES], "int32")
        bands = [self._near(band, ops.maximum(codes[:, band], 0)) for band in range(codes.shape[1])]
        there = ops.cast(codes[:, :1] >= 0, "float32")
        near = ops.concatenate(bands, axis=1) * there
        decay = self.codec.decay(TIME_CONSTANT)
        return {REPEATED: decay * state[REPEATED] + (1.0 - decay) * near}

    def of(self, band: int, state: State) -> Any:
        """What the logits of a band lose, `(B, codebook_size)`.

        Args:
            band: which.
            state: `REPEATED`.
        """
        levels = self.codec.codebook_size
        own = state[REPEATED][:, band * levels : (band + 1) * levels]
        return self.strengths[band] * own

    def _near(self, band: int, codes: Any) -> Any:
        """1 at the entry of each code, less the farther an entry is: `(B, codebook_size)`."""
        log = self.codec.nearness(band, codes)
        log = log - ops.max(log, axis=-1, keepdims=True)  # 0 at the entry itself
        return ops.exp(log * SOFTNESS / WIDTH**2)

    def get_config(self) -> dict[str, Any]:
        codec = keras.saving.serialize_keras_object(self.codec)
        return {**super().get_config(), "codec": codec}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> RepetitionPenalty:
        codec = keras.saving.deserialize_keras_object(config["codec"])
        return cls(**{**config, "codec": codec})
