"""A postfilter per LPC filter, applied to the samples that were drawn."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.dsp.postfilter_design import design_postfilter
from keras_rawaudio.layers.shifted_rows import convolution_matrix, shifted_rows

BUNCH = 16  # samples that are filtered together


@keras.saving.register_keras_serializable("keras_rawaudio")
class Postfilter(keras.layers.Layer):
    """One postfilter per LPC filter, for the frames that this filter synthesizes.

    Chance fills the gaps between the lines of a sound with more noise than the piece has there.
    The filters take it away again. Nothing is ever drawn from what they make, so they cannot ring.
    Within a frame the postfilter of the frame before fades into the frame's own.

    Args:
        filters: how many.
        length: of each filter, in samples.

    Example:
        >>> postfilter = Postfilter(filters=2, length=8)
        >>> one = keras.ops.one_hot(keras.ops.array([1]), 2)
        >>> postfilter(keras.ops.ones((1, 7 + 16)), one, one).shape
        TensorShape([1, 16])

    Reference:
        Chen and Gersho 1995, "Adaptive postfiltering for quality enhancement of coded speech".
    """

    def __init__(self, filters: int, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.length = length

    def build(self, past_shape: Any) -> None:
        self.taps = self.add_weight(
            shape=(self.filters, self.length), initializer="zeros", trainable=False, name="taps"
        )
        # Until `fit`, the output is the input.
        self.taps.assign(np.tile(np.eye(1, self.length, dtype="float32"), (self.filters, 1)))

    def fit(self, taps: np.ndarray, past: Any, before: Any, after: Any) -> None:
        """Make the filters for predictions, and as loud as the piece.

        Args:
            taps: `(filters, order)`, of the predictions.
            past: some of the train part, as for `call`.
            before: as for `call`.
            after: as for `call`.
        """
        self.taps.assign([design_postfilter(a, self.length) for a in taps])
        filtered = np.square(ops.convert_to_numpy(self(past, before, after)))
        target = np.square(ops.convert_to_numpy(past)[:, self.length - 1 :])
        if filtered.sum() > 0:
            self.taps.assign(self.taps * np.sqrt(target.sum() / filtered.sum()))

    def call(self, past: Any, before: Any, after: Any) -> Any:
        """Filter the last frame.

        Args:
            past: `(B, length - 1 + frame)`: samples up to the end of a frame.
            before: `(B, filters)`, one-hot: the LPC index of the frame before.
            after: `(B, filters)`, one-hot: the LPC index of the frame.

        Returns:
            `(B, frame)`.
        """
        frame = past.shape[1] - self.length + 1
        F = math.gcd(frame, BUNCH)
        width = self.length + F - 1
        pieces = ops.expand_dims(shifted_rows(past, frame // F, F)[:, :, :width], 1)
        both = ops.matmul(ops.stack([before, after], axis=1), ops.flip(self.taps, axis=1))
        filtered = ops.matmul(convolution_matrix(both, F), ops.transpose(pieces, (0, 1, 3, 2)))
        filtered = ops.transpose(filtered, (0, 3, 2, 1))
        share = ((np.arange(frame) + 0.5) / frame).astype("float32")
        turn = np.stack([1.0 - share, share], axis=-1)
        return ops.sum(ops.reshape(filtered, (-1, frame, 2)) * turn, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "filters": self.filters, "length": self.length}
