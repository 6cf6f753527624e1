"""Level of each octave: whether the balance of low and high is the piece's."""

from __future__ import annotations

import numpy as np

FLOOR = 1e-11  # -110 dB of full scale, below the rounding of 16 bits in any octave


def octave_levels(powers: np.ndarray) -> np.ndarray:
    """Mean level of each octave, in dB of full scale.

    Formula: 10 log10 of the power, averaged over time and over the channels; -110 dB at least.

    Known answers: -3 dB in its own octave for a sine of full scale; 3 dB more from each octave to
    the next for white noise.

    How it fails: loud seconds decide the mean; it knows nothing of what happens inside of an
    octave.

    Args:
        powers: `(frames, octaves, 3)` from `octave_powers`.

    Returns:
        `(octaves,)`.

    Example:
        >>> octave_levels(np.full((4, 2, 3), 0.5)).round(1).tolist()
        [-3.0, -3.0]
    """
    mean: np.ndarray = powers[:, :, :2].mean(axis=(0, 2))
    levels: np.ndarray = 10 * np.log10(mean + FLOOR)
    return levels
