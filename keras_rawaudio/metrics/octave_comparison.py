"""Levels and stereo of each octave beside the piece's."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.dsp.octave_bands import CENTRES, EVERY, FLOOR, SECONDS, octave_powers
from keras_rawaudio.metrics.stereo_image import inter_channel_correlation, side_mid_ratio
from keras_rawaudio.metrics.timed import Timed


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


class OctaveComparison:
    """How far levels, correlations and side/mid ratios lie from the piece's, octave by octave."""

    def installed(self) -> bool:
        """Always: it needs no extra."""
        return True

    def features(self, audio: np.ndarray, rate: int) -> Timed:
        """Powers of each octave, of frames of 1 s every 0.5 s, see `octave_powers`."""
        powers = octave_powers(audio, rate)
        start = np.arange(len(powers)) * EVERY
        return Timed(len(audio) / rate, start, powers, SECONDS)

    def distances(self, train: Timed, other: Timed) -> dict[str, float | None]:
        """Signed differences from the train part, in dB and in units of the correlation.

        Stereo figures are left out where the train part has one channel.
        """
        if len(other.values) == 0:
            return {}
        own, new = train.values, other.values
        figures = {"level at {:g} Hz (dB)": octave_levels(new) - octave_levels(own)}
        if not np.array_equal(own[:, :, 0], own[:, :, 1]):
            figures["side/mid at {:g} Hz (dB)"] = side_mid_ratio(new) - side_mid_ratio(own)
            figures["correlation at {:g} Hz"] = inter_channel_correlation(
                new
            ) - inter_channel_correlation(own)
        return {
            name.format(centre): float(value)
            for name, values in figures.items()
            for centre, value in zip(CENTRES, values, strict=False)
        }
