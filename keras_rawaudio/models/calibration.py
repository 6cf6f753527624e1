"""Calibration of a predictive head on the train part: what is fitted instead of learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers.lpc_filter_bank import MIN_RESIDUAL_SCALE

RESIDUAL_LIMIT_QUANTILE = 0.9975  # of the train part's residuals: no excitation exceeds it
STRETCHES, STRETCH = 64, 8192  # random stretches that limit and postfilter are fitted on


def calibrate(head: Any, segments: Sequence[np.ndarray]) -> None:
    """Fit filter bank, envelope codebook, residual limit and postfilter.

    Args:
        head: a `PredictiveHead`, built; its weights are assigned.
        segments: floats relative to the peak, each `(n,)`, contiguous.

    Raises:
        UserError: too little audio for the order and the codebook.
    """
    if max(map(len, segments)) < 2 * max(head.context, head.frame_size * head.codebook_size // 8):
        raise UserError(
            f"the audio is too short for linear prediction of order {head.lpc_order} and a "
            f"codebook of {head.codebook_size} codes of {head.frame_size} samples; use longer "
            "audio, or a lower head.lpc_order and head.codebook_size"
        )
    head.filter_bank.fit(segments)
    head.codes.envelope.fit(segments)
    residuals, frames, before, after = [], [], [], []
    for x in _stretches(head, segments):
        analysis = head.analyzer(ops.convert_to_tensor(x[None, :-1]))
        prediction = ops.convert_to_numpy(analysis.prediction)
        target = x[head.context :].reshape(prediction.shape)
        residuals.append(np.abs(target - prediction).ravel())
        index = ops.convert_to_numpy(analysis.codes.index)[0]
        width = head.postfilter.length - 1 + head.frame_size
        views = np.lib.stride_tricks.sliding_window_view(x, width)[:: -head.frame_size][::-1]
        frames.append(views[1 - len(index) :])
        before.append(index[:-1])
        after.append(index[1:])
    limit = float(np.quantile(np.concatenate(residuals), RESIDUAL_LIMIT_QUANTILE))
    head.residual_limit.assign([max(limit, MIN_RESIDUAL_SCALE)])
    taps = ops.convert_to_numpy(head.filter_bank.taps)
    head.postfilter.fit(taps, *map(np.concatenate, (frames, before, after)))


def _stretches(head: Any, segments: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """Random stretches of the audio, each `(context + n * frame_size,)`."""
    rng = np.random.default_rng(0)
    length = min(STRETCH, max(map(len, segments)) - head.context)
    length = length // head.frame_size * head.frame_size + head.context
    long = [s for s in segments if len(s) >= length]
    for _ in range(STRETCHES):
        segment = long[rng.integers(len(long))]
        start = rng.integers(len(segment) - length + 1)
        yield segment[start : start + length]
