"""LPC codes: which filter predicts a frame, and the gain of its excitation."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.lpc_filter_bank import MIN_RESIDUAL_SCALE
from keras_rawaudio.models.distributions import one_hot_argmax

NUM_GAINS = 32  # gain levels, 2.6 dB apart


@keras.saving.register_keras_serializable("keras_rawaudio")
class LPCCodes(keras.layers.Layer):
    """A filter index and a gain per frame: encode, score and sample.

    The index selects a filter of an `LPCFilterBank`. The gain is the mean size of the residual, in
    `NUM_GAINS` even steps of the logarithm. Their prior factorises as

        p(index, gain | h) = p(index | h) p(gain | h, index)

    with `h` the tier's output. Both are additional inputs of the envelope code's logits.

    Args:
        filters: size of the filter bank, at most `frame`: each sample of a frame brings the noise
            for one filter.
        frame: samples per frame.
        codebook_size: size of the envelope codebook.

    Example:
        >>> codes = LPCCodes(filters=4, frame=32, codebook_size=8)
        >>> codes.build((None, 16))
        >>> index, gain = codes.encode(ops.ones((2, 4 * 32, 4)))
        >>> index.shape, gain.shape
        (TensorShape([2, 3, 4]), TensorShape([2, 3, 32]))

    Reference:
        Edler et al. 2000, "Switched linear prediction"; Atal and Remde 1982, "A new model of LPC
        excitation".
    """

    def __init__(self, filters: int, frame: int, codebook_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if filters > frame:
            raise ValueError(f"a frame of {frame} samples has no more filters than that")
        self.filters = filters
        self.frame = frame
        self.codebook_size = codebook_size
        self.index_logits = keras.layers.Dense(filters, name="index_logits")
        self.gain_logits = keras.layers.Dense(NUM_GAINS, name="gain_logits")

    def build(self, input_shape: Any) -> None:
        width = input_shape[-1]
        self.index_logits.build((None, width))
        self.gain_logits.build((None, width + self.filters))
        self.code_bias = self.add_weight(
            shape=(self.filters + NUM_GAINS, self.codebook_size),
            initializer="zeros",
            name="code_bias",
        )

    def encode(self, residuals: Any) -> tuple[Any, Any]:
        """Codes of each frame but the first.

        The index is that of the filter with the least mean log residual over the frame and the one
        before; the gain is the level nearest to its mean absolute residual.

        Args:
            residuals: of each filter, `(B, (T + 1) * frame, filters)`.

        Returns:
            `(B, T, filters)` and `(B, T, NUM_GAINS)`, one-hot.
        """
        T = residuals.shape[1] // self.frame
        sizes = ops.reshape(ops.abs(residuals), (-1, T, self.frame, self.filters))
        # The last sample of a window is not known, so the last one of every frame is left out.
        level = ops.log(ops.mean(sizes[:, :, :-1], axis=2) + MIN_RESIDUAL_SCALE)
        index = one_hot_argmax(-(level[:, :-1] + level[:, 1:]))
        index = index / ops.sum(index, axis=-1, keepdims=True)
        place = ops.sum(level[:, 1:] * index, axis=-1, keepdims=True) / -np.log(MIN_RESIDUAL_SCALE)
        place = ops.clip(ops.round((NUM_GAINS - 1) * (1.0 + place)), 0, NUM_GAINS - 1)
        gain = ops.cast(ops.equal(place, np.arange(NUM_GAINS, dtype="float32")), "float32")
        return ops.stop_gradient(index), ops.stop_gradient(gain)

    def nll(self, logits_input: Any, index: Any, gain: Any) -> Any:
        """Negative log-likelihood of index and gain, in nats `(...)`.

        Args:
            logits_input: the tier's output `(..., width)`.
            index: one-hot `(..., filters)`.
            gain: one-hot `(..., NUM_GAINS)`.
        """
        logits = ops.log_softmax(self.index_logits(logits_input))
        nats = -ops.sum(logits * index, axis=-1)
        logits = ops.log_softmax(self.gain_logits(ops.concatenate([logits_input, index], axis=-1)))
        return nats - ops.sum(logits * gain, axis=-1)

    def sample(self, logits_input: Any, index_noise: Any, gain_noise: Any) -> tuple[Any, Any]:
        """Sample index and gain by Gumbel-max.

        Args:
            logits_input: `(B, width)`.
            index_noise: Gumbel variables `(B, filters)`.
            gain_noise: Gumbel variables `(B, NUM_GAINS)`.

        Returns:
            `(B, filters)` and `(B, NUM_GAINS)`, one-hot.
        """
        index = one_hot_argmax(self.index_logits(logits_input) + index_noise)
        logits = self.gain_logits(ops.concatenate([logits_input, index], axis=-1))
        return index, one_hot_argmax(logits + gain_noise)

    def code_logits(self, index: Any, gain: Any) -> Any:
        """What index and gain add to the envelope code's logits: `(..., codebook_size)`."""
        return ops.matmul(ops.concatenate([index, gain], axis=-1), self.code_bias)

    @staticmethod
    def rises() -> np.ndarray:
        """`(NUM_GAINS, NUM_GAINS)`: how far a gain rises from another, in dB; 0 where it falls."""
        level = (20.0 / np.log(10.0)) * _log_scales()
        return np.maximum(level[None] - level[:, None], 0.0).astype("float32")

    @staticmethod
    def decode(gain: Any) -> Any:
        """The residual scale `(..., 1)` of gains `(..., NUM_GAINS)`, relative to the peak.

        `g = MIN_RESIDUAL_SCALE ** (1 - i / (NUM_GAINS - 1))` for level `i`.
        """
        return ops.matmul(gain, np.exp(_log_scales()).astype("float32")[:, None])

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "frame": self.frame, "codebook_size": self.codebook_size}
        return {**super().get_config(), **own}


def _log_scales() -> np.ndarray:
    """The natural logarithm of the residual scale of each gain."""
    return np.log(MIN_RESIDUAL_SCALE) * np.linspace(1, 0, NUM_GAINS)
