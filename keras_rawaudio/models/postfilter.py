"""What is heard of the samples that were drawn."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.listening.postfilter import design_postfilter


@keras.saving.register_keras_serializable("keras_rawaudio")
class Postfilter(keras.layers.Layer):
    """A filter for each voice, for what is played with that voice.

    Chance fills the gaps between the lines of a sound with more noise than the piece has there.
    The filters take it away again. Nothing is ever drawn from what they make, so they cannot ring.
    Within a frame the filter of the voice before turns into that of its own.

    Args:
        voices: how many.
        length: of each filter, in samples.

    Example:
        >>> postfilter = Postfilter(voices=2, length=8)
        >>> postfilter.build_weights()
        >>> one = keras.ops.one_hot(keras.ops.array([1]), 2)
        >>> postfilter(keras.ops.ones((1, 7 + 16)), one, one).shape
        TensorShape([1, 16])

    Reference:
        Chen and Gersho 1995, "Adaptive postfiltering for quality enhancement of coded speech".
    """

    def __init__(self, voices: int, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.voices = voices
        self.length = length

    def build_weights(self) -> None:
        """Make the weights; before `fit`, every filter gives back what it gets."""
        self.taps = self.add_weight(
            shape=(self.voices, self.length), initializer="zeros", trainable=False, name="taps"
        )
        self.built = True
        self.taps.assign(np.tile(np.eye(1, self.length, dtype="float32"), (self.voices, 1)))

    def fit(self, taps: np.ndarray, past: Any, before: Any, after: Any) -> None:
        """Make the filters for predictions, and as loud as the piece.

        Args:
            taps: `(voices, order)`, of the predictions.
            past: some of the train part, as for `call`.
            before: as for `call`.
            after: as for `call`.
        """
        filters = np.array([design_postfilter(a, self.length) for a in taps])
        self.taps.assign(filters.astype("float32"))
        heard = np.square(ops.convert_to_numpy(self(past, before, after)))
        meant = np.square(ops.convert_to_numpy(past)[:, self.length - 1 :])
        if heard.sum() > 0:
            filters = filters * np.sqrt(meant.sum() / heard.sum())
        self.taps.assign(filters.astype("float32"))

    def call(self, past: Any, before: Any, after: Any) -> Any:
        """What is heard of the last frames.

        Args:
            past: `(B, length - 1 + frame)`: samples up to the end of a frame.
            before: `(B, voices)`, one-hot: the voice of the frame before.
            after: `(B, voices)`: its own.

        Returns:
            `(B, frame)`.
        """
        frame = past.shape[1] - self.length + 1
        both = ops.matmul(ops.stack([before, after], axis=1), self.taps)
        places = self.length - 1 + np.arange(frame)[:, None] - np.arange(self.length)
        seen = ops.take(past, places, axis=1)
        heard = ops.matmul(seen, ops.transpose(both, (0, 2, 1)))
        share = ((np.arange(frame) + 0.5) / frame).astype("float32")
        return ops.sum(heard * np.stack([1.0 - share, share], axis=-1), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "voices": self.voices, "length": self.length}
