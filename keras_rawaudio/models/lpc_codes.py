"""Which filter plays a frame, and how loud what is added to its predictions is."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.lpc_filter_bank import FLOOR
from keras_rawaudio.models.distributions import winner

GAINS = 32  # sizes of errors that can be said, 2.6 dB apart


@keras.saving.register_keras_serializable("keras_rawaudio")
class Voices(keras.layers.Layer):
    """Says a voice and a gain for each frame, before its word.

    A voice is a filter of a `FilterBank`; a gain is the mean size of what is added to that
    filter's predictions, in `GAINS` even steps of the logarithm. The voice is drawn from a softmax
    of the tier's output, the gain from one that has heard the voice, and both speak for words. In
    training they are read off the errors of all filters: the filter that predicts a frame and the
    one before best, and the size of its errors.

    Args:
        voices: how many, as many as the bank has filters; not more than a frame has samples, as
            each sample brings one number of chance for one voice.
        frame: samples of a frame.
        words: of the outline.

    Example:
        >>> voices = Voices(voices=4, frame=32, words=8)
        >>> voices.build_for(width=16)
        >>> voice, gain = voices.read(ops.ones((2, 4 * 32, 4)))
        >>> voice.shape, gain.shape
        (TensorShape([2, 3, 4]), TensorShape([2, 3, 32]))

    Reference:
        Edler et al. 2000, "Switched linear prediction"; Atal and Remde 1982, "A new model of LPC
        excitation" (a gain for each frame beside its filter, as in all coders after it).
    """

    def __init__(self, voices: int, frame: int, words: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if voices > frame:
            raise ValueError(f"a frame of {frame} samples has no more voices than that")
        self.voices = voices
        self.frame = frame
        self.words = words
        self.voice = keras.layers.Dense(voices, name="voice")
        self.gain = keras.layers.Dense(GAINS, name="gain")

    def build_for(self, width: int) -> None:
        """Make the weights, for a tier whose output is `width` wide."""
        self.voice.build((None, width))
        self.gain.build((None, width + self.voices))
        self.fitting = self.add_weight(
            shape=(self.voices + GAINS, self.words), initializer="zeros", name="fitting"
        )
        self.built = True

    def read(self, errors: Any) -> tuple[Any, Any]:
        """For each frame but the first the filter that predicts it, with the one before, best; and
        the gain nearest to the mean size of that filter's errors.

        Args:
            errors: of each filter, `(B, (T + 1) * frame, voices)`.

        Returns:
            `(B, T, voices)` and `(B, T, GAINS)`, one-hot.
        """
        T = errors.shape[1] // self.frame
        sizes = ops.reshape(ops.abs(errors), (-1, T, self.frame, self.voices))
        # The last sample of the last frame is not known, so it counts in none.
        cost = ops.log(ops.mean(sizes[:, :, :-1], axis=2) + FLOOR)
        both = cost[:, :-1] + cost[:, 1:]
        best = winner(-both)
        best = best / ops.sum(best, axis=-1, keepdims=True)
        place = ops.sum(cost[:, 1:] * best, axis=-1, keepdims=True) / -np.log(FLOOR)
        place = ops.clip(ops.round((GAINS - 1) * (1.0 + place)), 0, GAINS - 1)
        gain = ops.cast(ops.equal(place, np.arange(GAINS, dtype="float32")), "float32")
        return ops.stop_gradient(best), ops.stop_gradient(gain)

    def cost(self, spoken: Any, voice: Any, gain: Any) -> Any:
        """Nats `(...)` for `voice` and `gain` where the tier said `spoken (..., width)`."""
        logits = ops.log_softmax(self.voice(spoken))
        cost = -ops.sum(logits * voice, axis=-1)
        logits = ops.log_softmax(self.gain(ops.concatenate([spoken, voice], axis=-1)))
        return cost - ops.sum(logits * gain, axis=-1)

    def draw(self, spoken: Any, of_voice: Any, of_gain: Any) -> tuple[Any, Any]:
        """A voice and a gain `(B, ...)`, one-hot, for `spoken (B, width)` and Gumbel variables
        `(B, voices)` and `(B, GAINS)`."""
        voice = winner(self.voice(spoken) + of_voice)
        gain = winner(self.gain(ops.concatenate([spoken, voice], axis=-1)) + of_gain)
        return voice, gain

    def fit_for(self, voice: Any, gain: Any) -> Any:
        """How they speak for words: logits `(..., words)`."""
        return ops.matmul(ops.concatenate([voice, gain], axis=-1), self.fitting)

    @staticmethod
    def size(gain: Any) -> Any:
        """What gains `(..., GAINS)` stand for, relative to the peak: `(..., 1)`, from `FLOOR` to 1
        in even steps of the logarithm."""
        sizes = np.exp(np.log(FLOOR) * np.linspace(1, 0, GAINS)).astype("float32")
        return ops.matmul(gain, sizes[:, None])

    def get_config(self) -> dict[str, Any]:
        own = {"voices": self.voices, "frame": self.frame, "words": self.words}
        return {**super().get_config(), **own}
