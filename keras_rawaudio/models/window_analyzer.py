"""Analysis of a window of audio: frame codes, and linear prediction by their filters."""

from __future__ import annotations

from typing import Any, NamedTuple

from keras import ops

from keras_rawaudio.layers.lpc_filter_bank import LPCFilterBank
from keras_rawaudio.models.frame_codes import Codes, FrameCodes

LEVEL_WINDOW = 64  # past samples that the signal's level is measured on


class Analysis(NamedTuple):
    """A window of `T` frames of `S` subframes."""

    codes: Codes  # (B, T, ...)
    envelopes: Any  # (B, T + 1, num_features), from the frame before the first
    prediction: Any  # (B, T * S, bunch), by the filter of each frame
    residual: Any  # (B, T * S, 2 * bunch), of that filter before each subframe
    scale: Any  # (B, T * S, 1)
    samples: Any  # (B, T * S, LEVEL_WINDOW), before each subframe


class WindowAnalyzer:
    """Encodes the frames of a window and filters it by their codes; has no weights of its own.

    Args:
        codes: of frames.
        filter_bank: that the codes index.

    Attributes:
        context: samples that a frame's analysis needs before it.

    Call arguments:
        history: `(B, context - 1 + N)`; its last sample is the one before the window's last.
    """

    def __init__(self, codes: FrameCodes, filter_bank: LPCFilterBank) -> None:
        self.codes, self.filter_bank = codes, filter_bank
        self.frame_size, self.bunch = codes.frame_size, filter_bank.bunch
        self.context = max(filter_bank.order + 2 * self.frame_size + 1, LEVEL_WINDOW)

    def __call__(self, history: Any) -> Analysis:
        F, frame, K = self.bunch, self.frame_size, self.codes.filters
        S = frame // F
        T = (history.shape[1] - self.context + 1) // frame
        predictions, residuals = self._filtered(history)
        envelopes = self.codes.envelope.features(history[:, self._before(2) :])
        index, gain = (code[:, 1:] for code in self.codes.lpc.encode(residuals))
        codes = Codes(self.codes.envelope.encode(envelopes[:, 1:]), index, gain)
        own = ops.expand_dims(ops.expand_dims(index, 2), 2)
        now = ops.reshape(predictions[:, 2 * frame :], (-1, T, S, F, K))
        before = ops.reshape(residuals[:, frame:-frame], (-1, T, S, F, K))[:, :, -2:]
        these = ops.reshape(residuals[:, 2 * frame :], (-1, T, S, F, K))
        residual = ops.sum(ops.concatenate([before, these], axis=2) * own, axis=-1)
        residual = ops.concatenate([residual[:, :, :-2], residual[:, :, 1:-1]], axis=-1)
        N, first = T * frame, self.context - LEVEL_WINDOW
        views = [history[:, first + k : first + k + N : F] for k in range(LEVEL_WINDOW)]
        return Analysis(
            codes=codes,
            envelopes=envelopes,
            prediction=ops.reshape(ops.sum(now * own, axis=-1), (-1, N // F, F)),
            residual=ops.reshape(residual, (-1, N // F, 2 * F)),
            scale=ops.repeat(self.codes.lpc.decode(gain), S, axis=1),
            samples=ops.stack(views, axis=2),
        )

    def previous_codes(self, history: Any) -> Any:
        """Codes of the frame before each frame of a window: `(B, T, code_width)`."""
        residuals = self._filtered(history)[1][:, : -self.frame_size]
        x = history[:, self._before(2) : -self.frame_size]
        return self.codes.encode(x, residuals).joined()

    def codes_of(self, history: Any) -> Any:
        """Codes of a window's last frame: `(B, code_width)`."""
        residuals = self._filtered(history)[1][:, self.frame_size :]
        return self.codes.encode(history[:, self._before(1) :], residuals).joined()[:, -1]

    def _filtered(self, history: Any) -> tuple[Any, Any]:
        """Predictions and residuals of all filters from two frames before a window on, each
        `(B, (T + 2) * frame_size, filters)`. The last residual is unknown: nothing uses it."""
        order = self.filter_bank.order
        begin = self.context - 2 * self.frame_size
        x = ops.pad(history[:, begin - order :], ((0, 0), (0, 1)))
        predictions = self.filter_bank(x)
        return predictions, x[:, order:, None] - predictions

    def _before(self, frames: int) -> int:
        """Where so many frames before the first begin in `history`, as the codebook counts."""
        return self.context - frames * self.frame_size - 1
