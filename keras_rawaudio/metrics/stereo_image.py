"""Stereo: how alike the two channels are in each octave, and how wide."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.dsp.octave_bands import FLOOR


def inter_channel_correlation(powers: np.ndarray) -> np.ndarray:
    """Correlation of left and right in each octave.

    Formula: `mean(l r) / sqrt(mean(l^2) mean(r^2))` over all frames.

    Known answers: 1 for equal channels, also at unequal level; 0 for independent ones; -1 where one
    is the other upside down.

    How it fails: a delay between the channels lowers it as independence would.

    Args:
        powers: `(frames, octaves, 3)` from `octave_powers`.

    Returns:
        `(octaves,)`, -1 to 1; 0 where an octave is silent.

    Example:
        >>> inter_channel_correlation(np.array([[[0.2, 0.2, 0.1]]])).round(2).tolist()
        [0.5]
    """
    left, right, product = powers.mean(axis=0).T
    correlation: np.ndarray = product / (np.sqrt(left * right) + FLOOR)
    return correlation


def side_mid_ratio(powers: np.ndarray) -> np.ndarray:
    """Level of the difference of the channels over that of their sum in each octave, in dB.

    Formula: `10 log10(mean(s^2) / mean(m^2))`, `m = (l + r) / 2`, `s = (l - r) / 2`, within -60 and
    60 dB.

    Known answers: -60 for equal channels, 0 for independent ones of equal level, and for one
    channel alone.

    How it fails: level differences and independence count alike.

    Args:
        powers: `(frames, octaves, 3)` from `octave_powers`.

    Returns:
        `(octaves,)`.

    Example:
        >>> side_mid_ratio(np.array([[[0.2, 0.2, 0.2], [0.2, 0.2, 0.0]]])).tolist()
        [-60.0, 0.0]
    """
    left, right, product = powers.mean(axis=0).T
    mid, side = left + right + 2 * product, left + right - 2 * product
    floor = np.maximum(FLOOR, 1e-6 * np.maximum(mid, side))
    ratio: np.ndarray = 10 * np.log10(np.maximum(side, floor) / np.maximum(mid, floor))
    return ratio
