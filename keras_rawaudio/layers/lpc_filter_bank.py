"""A bank of LPC filters, one of which predicts each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.dsp.lpc_codebook import fit_filter_bank

MIN_RESIDUAL_SCALE = 1e-4  # least scale of residuals, relative to the peak
MAX_MISMATCH = 4.0  # how many times too large residuals are of a filter that is out of place
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
        lags = P + np.arange(F) - np.arange(P + F)[:, None]
        table = self._at(self.taps, lags, now=0.0)
        table = ops.reshape(ops.transpose(table, (1, 2, 0)), (P + F, F * K))
        return ops.reshape(ops.matmul(seen, table), (-1, T * F, K))

    def select(self, index: Any, past: Any, size: Any) -> Any:
        """The chosen filters, damped where the past comes from another filter.

        A filter predicts badly what is mismatch to it, and rings with its residuals. Where those on
        the last two bunches exceed `MAX_MISMATCH` times their usual size, its poles are drawn
        inwards (bandwidth expansion), the further the larger they are.

        Args:
            index: `(B, K)`, one-hot.
            past: `(B, n)`, what came before, `n >= order + 2 * bunch`.
            size: `(B, 1)`, the mean size that residuals are to have.

        Returns:
            `(B, order)`.

        Reference:
            Kabal 2003, "Ill-conditioning and bandwidth expansion in linear prediction of speech".
        """
        F, P = 2 * self.bunch, self.order
        own = ops.matmul(index, self.taps)
        recent = past[:, -P - F :]
        seen = ops.take(recent, P - 1 + np.arange(F)[:, None] - np.arange(P), axis=1)
        residuals = recent[:, P:] - ops.squeeze(ops.matmul(seen, own[..., None]), -1)
        mismatch = ops.mean(ops.abs(residuals), axis=-1, keepdims=True) / (MAX_MISMATCH * size)
        nepers = BANDWIDTH_EXPANSION * ops.log(ops.maximum(mismatch, 1.0))
        return own * ops.exp(-nepers * np.arange(1, P + 1, dtype="float32"))

    def matrices(self, own: Any) -> tuple[Any, Any]:
        """Filters as matrices, for `analyze`.

        Args:
            own: `(B, order)`: their taps.

        Returns:
            `(B, (order + 2 * bunch) * 3 * bunch)` and `(B, bunch * bunch)`.
        """
        F, P = self.bunch, self.order
        lags = P + np.arange(3 * F) - np.arange(P + 2 * F)[:, None]
        analysis_matrix = self._at(-own, lags, now=1.0)
        # Within a bunch each sample enters the next ones: `x = given + x within`. It is solved for
        # one sample, then for twice as many at a time, block by block: stable where the series of
        # powers of `within` is not, whose terms are large and cancel.
        size = 1 << (F - 1).bit_length()
        within = self._at(own, np.arange(size) - np.arange(size)[:, None], now=0.0)
        solved = ops.ones_like(within[:, :1, :1])
        for n in (1 << i for i in range((F - 1).bit_length())):
            later = ops.matmul(ops.matmul(solved, within[:, :n, n : 2 * n]), solved)
            upper = ops.concatenate([solved, later], axis=2)
            lower = ops.concatenate([ops.zeros_like(solved), solved], axis=2)
            solved = ops.concatenate([upper, lower], axis=1)
        return ops.reshape(analysis_matrix, (-1, (P + 2 * F) * 3 * F)), ops.reshape(
            solved[:, :F, :F], (-1, F * F)
        )

    def analyze(self, past: Any, analysis_matrix: Any) -> tuple[Any, Any]:
        """What the chosen filters make of the samples before a bunch.

        Args:
            past: `(B, order + 2 * bunch)`.
            analysis_matrix: from `matrices`.

        Returns:
            Their residuals on the last two bunches `(B, 2 * bunch)`; and what they say of the next
            one `(B, bunch)` as far as it depends on `past` alone.
        """
        F = self.bunch
        analysis_matrix = ops.reshape(analysis_matrix, (-1, self.order + 2 * F, 3 * F))
        both = ops.squeeze(ops.matmul(ops.expand_dims(past, 1), analysis_matrix), 1)
        return both[:, : 2 * F], -both[:, 2 * F :]

    def synthesize(self, given: Any, synthesis_matrix: Any) -> Any:
        """A bunch `(B, bunch)`, each sample of which enters the next one's prediction.

        Args:
            given: `(B, bunch)`: the prediction from the past alone, plus the excitation.
            synthesis_matrix: from `matrices`.
        """
        synthesis_matrix = ops.reshape(synthesis_matrix, (-1, self.bunch, self.bunch))
        return ops.squeeze(ops.matmul(ops.expand_dims(given, 1), synthesis_matrix), 1)

    def _at(self, taps: Any, lags: np.ndarray, now: float) -> Any:
        """Taps `(n, order)` by their lags: `(n, *lags.shape)`; `now` at lag 0, zero beyond."""
        first = ops.zeros_like(taps[:, :1])
        row = ops.concatenate([first, first + now, taps], axis=-1)
        inside = (lags >= 0) & (lags <= self.order)
        return ops.take(row, np.where(inside, lags + 1, 0), axis=1)

    def get_config(self) -> dict[str, Any]:
        own = {"filters": self.filters, "order": self.order, "bunch": self.bunch}
        return {**super().get_config(), **own}
