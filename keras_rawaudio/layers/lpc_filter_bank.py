"""A bank of LPC filters, one of which predicts each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.dsp.lpc_codebook import fit_filter_bank
from keras_rawaudio.layers.shifted_rows import convolution_matrix

MIN_RESIDUAL_SCALE = 1e-4  # least scale of residuals, relative to the peak
MAX_MISMATCH = 4.0  # residuals so many times too large mark a filter that does not match
BANDWIDTH_EXPANSION = 0.1  # nepers per sample, for each neper that they are too large beyond that


@keras.saving.register_keras_serializable("keras_rawaudio")
class LPCFilterBank(keras.layers.Layer):
    """Linear predictions by filters fitted on the train part (`fit`) and then left alone.

    Args:
        filters: how many; the first predicts the whole piece.
        order: past samples that each sees, a multiple of `bunch`.
        bunch: samples that are predicted together.

    Example:
        >>> bank = LPCFilterBank(filters=4, order=32)
        >>> bank.build((None, None))
        >>> bank(keras.ops.zeros((2, 32 + 80))).shape
        TensorShape([2, 80, 4])

    Reference:
        Buzo et al. 1980, "Speech coding based upon vector quantization" (filters as a codebook).
    """

    def __init__(self, filters: int = 64, order: int = 256, bunch: int = 16, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if filters < 1 or order < bunch or order % bunch:
            raise ValueError(
                f"a filter bank needs filters >= 1 and an order that is a multiple of {bunch}; "
                f"these are {filters} and {order}"
            )
        self.filters = filters
        self.order = order
        self.bunch = bunch

    def build(self, input_shape: Any) -> None:
        self.taps = self.add_weight(
            shape=(self.filters, self.order), initializer="zeros", trainable=False, name="taps"
        )
        # Until `fit`, the prediction is the last sample.
        self.set_filters(np.tile(np.eye(1, self.order), (self.filters, 1)))

    def set_filters(self, coefficients: np.ndarray) -> None:
        """Take filters `(K, order)`, newest sample first."""
        self.taps.assign(np.asarray(coefficients, "float32"))

    def fit(self, segments: Sequence[np.ndarray]) -> None:
        """Fit the filters to `segments` of the train part."""
        self.set_filters(fit_filter_bank(segments, self.order, self.filters))

    def call(self, x: Any) -> Any:
        """Every sample of `x (B, order + n)` after the first `order`, by each filter: `(B, n, K)`.

        `n` is a multiple of the bunch. The last sample of `x` is not looked at.
        """
        F, P, K = self.bunch, self.order, self.filters
        T = (x.shape[1] - P) // F
        pieces = ops.reshape(x, (-1, T + P // F, F))
        seen = ops.concatenate([pieces[:, k : k + T] for k in range(P // F + 1)], axis=-1)
        # The last sample that is read has a tap of zero.
        taps = ops.pad(ops.flip(self.taps, axis=1), ((0, 0), (0, 1)))
        table = ops.transpose(convolution_matrix(taps, F), (2, 1, 0))
        return ops.reshape(ops.matmul(seen, ops.reshape(table, (P + F, F * K))), (-1, T * F, K))

    def select(self, index: Any, past: Any, size: Any) -> Any:
        """Prediction error filters, with bandwidth expansion where the past does not match them.

        A filter predicts badly what does not match it, and rings with its residuals. Where those on
        the last two bunches exceed `MAX_MISMATCH` times their usual size, its poles are drawn
        inwards (bandwidth expansion), the further the larger they are.

        Args:
            index: `(B, K)`, one-hot.
            past: `(B, n)`, what came before, `n >= order + 2 * bunch`.
            size: `(B, 1)`, the mean size that residuals are to have.

        Returns:
            `(B, order + 1)`, oldest sample first: the taps with their sign turned, then 1.

        Reference:
            Kabal 2003, "Ill-conditioning and bandwidth expansion in linear prediction of speech".
        """
        F, P = 2 * self.bunch, self.order
        errors = ops.pad(-ops.flip(self.taps, axis=1), ((0, 0), (0, 1)), constant_values=1.0)
        own = ops.matmul(index, errors)
        recent = ops.expand_dims(past[:, -P - F :], -1)
        residuals = ops.squeeze(ops.matmul(convolution_matrix(own, F), recent), -1)
        mismatch = ops.mean(ops.abs(residuals), axis=-1, keepdims=True) / (MAX_MISMATCH * size)
        nepers = BANDWIDTH_EXPANSION * ops.log(ops.maximum(mismatch, 1.0))
        return own * ops.exp(-nepers * np.arange(P, -1, -1, dtype="float32"))

    def matrices(self, own: Any) -> tuple[Any, Any]:
        """Filters as matrices, for `analyze` and `synthesize`.

        Args:
            own: `(B, order + 1)`, from `select`.

        Returns:
            `(B, 3 * bunch, order + 2 * bunch)` and `(B, bunch, bunch)`.
        """
        F, P = self.bunch, self.order
        filters = convolution_matrix(own, 3 * F)
        analysis_matrix = filters[:, :, : P + 2 * F]
        # Within a bunch each sample enters the next ones: `within x = given`. The inverse is that
        # of blocks of one sample, then of twice as many at a time: stable where the series of
        # powers is not, whose terms are large and cancel.
        within = filters[:, :F, P : P + F]
        row, column = np.arange(F)[:, None], np.arange(F)
        inverse = np.eye(F, dtype="float32")
        for k in range((F - 1).bit_length()):
            is_between = (row >> k == (column >> k) + 1) & (row >> k & 1 == 1)
            between = within * is_between.astype("float32")
            if k:
                between = ops.matmul(ops.matmul(inverse, between), inverse)
            inverse = inverse - between
        return analysis_matrix, inverse

    def analyze(self, past: Any, analysis_matrix: Any) -> tuple[Any, Any]:
        """What the chosen filters make of the samples before a bunch.

        Args:
            past: `(B, order + 2 * bunch)`.
            analysis_matrix: from `matrices`.

        Returns:
            Their residuals on the last two bunches `(B, 2 * bunch)`; and what they say of the next
            one `(B, bunch)` as far as it depends on `past` alone.
        """
        both = ops.squeeze(ops.matmul(analysis_matrix, ops.expand_dims(past, -1)), -1)
        residuals, errors = ops.split(both, [2 * self.bunch], axis=1)
        return residuals, -errors

    def synthesize(self, given: Any, synthesis_matrix: Any) -> Any:
        """A bunch `(B, bunch)`, each sample of which enters the next one's prediction.

        Args:
            given: `(B, bunch)`: the prediction from the past alone, plus the excitation.
            synthesis_matrix: from `matrices`.
        """
        return ops.squeeze(ops.matmul(synthesis_matrix, ops.expand_dims(given, -1)), -1)

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "order": self.order, "bunch": self.bunch}
        return {**super().get_config(), **own}
