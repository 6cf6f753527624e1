"""Level control: what keeps drawn samples at the level of their envelope code."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

MIN_EXCITATION_GAIN = float(np.exp(-1.5))  # of a signal much louder than its code
MAX_EXCITATION_GAIN = 1.25  # of a signal quieter than its code
# Per subframe: the share of the way in dB to the level of the code, and the largest step. A larger
# one corrects faster. Training does not use it: a trained run is only exported anew.
LEVEL_CORRECTION_RATE = 0.05
MIN_LEVEL = 1e-4  # keeps the amplitude of silence off zero


def level_ratio(target: Any, power: Any) -> Any:
    """Amplitude of the code over that of the signal.

    Args:
        target: amplitude of the envelope code, `(B, 1)`.
        power: mean square of the last samples, `(B, 1)`.

    Returns:
        `(B, 1)`.

    Example:
        >>> float(level_ratio(ops.full((1, 1), 0.25), ops.full((1, 1), 0.25))[0, 0])
        0.5
    """
    return target / ops.sqrt(power)


def excitation(drawn: Any, scale: Any, ratio: Any, limit: Any) -> Any:
    """The excitation: smaller where the signal is too loud, larger where too quiet.

    Args:
        drawn: in units of the residual's scale, `(B, bunch)`.
        scale: of the residual, `(B, 1)`.
        ratio: from `level_ratio`.
        limit: largest residual, `(1,)`.

    Returns:
        `(B, bunch)`.

    Example:
        >>> drawn, one = ops.ones((1, 2)), ops.ones((1, 1))
        >>> excitation(drawn, 0.1 * one, 9.0 * one, one[0]).numpy().round(3).tolist()
        [[0.125, 0.125]]
    """
    gain = ops.clip(ratio, MIN_EXCITATION_GAIN, MAX_EXCITATION_GAIN)
    return ops.maximum(ops.minimum(drawn * (scale * gain), limit), -limit)


def corrected(samples: Any, target: Any, ratio: Any, subframes: int) -> Any:
    """Samples within the power of their frame, moved towards the level of its code.

    A filter may turn what another one left into a burst: no subframe gets more than the power of
    the whole frame. The rest rings on, and is corrected slowly.

    Args:
        samples: `(B, bunch)`.
        target: as for `level_ratio`.
        ratio: from `level_ratio`.
        subframes: subframes per frame.

    Returns:
        `(B, bunch)` in [-1, 1].
    """
    size = ops.sqrt(ops.mean(ops.square(samples), axis=-1, keepdims=True)) + MIN_LEVEL
    bound = ops.minimum(float(np.sqrt(subframes)) * target / size, 1.0)
    rate = LEVEL_CORRECTION_RATE
    correction = ops.clip(ops.power(ratio, rate), 1.0 - rate, 1.0 + rate)
    return ops.clip(samples * bound * correction, -1.0, 1.0)
