"""The clock of a recurrent layer: how long a turn takes, and what the layer reads of its phase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

CLOCK = "clock"  # the state that holds the phase, in turns
PULSES_PER_TURN = 8  # of the audio


def clock_features(phase: Any, harmonics: int) -> Any:
    """Sines, then cosines, of a phase and its multiples.

    Args:
        phase: `(...)` float32 in turns.
        harmonics: how many; the first is the phase itself.

    Returns:
        `(..., 2 * harmonics)` float32.

    Example:
        >>> features = clock_features(ops.convert_to_tensor([1 / 6]), harmonics=2)
        >>> [round(float(value), 3) for value in features[0]]
        [0.866, 0.866, 0.5, -0.5]
    """
    multiples = (2 * np.pi * np.arange(1, harmonics + 1)).astype("float32")
    angles = phase[..., None] * multiples
    return ops.concatenate([ops.sin(angles), ops.cos(angles)], axis=-1)


def clock_seconds(
    segments: Sequence[np.ndarray],
    labels: Sequence[int],
    count: int,
    rate: int,
    recordings: Sequence[int] = (),
) -> float | list[float]:
    """Seconds per turn, from the pulse of the audio.

    Args:
        segments: `(n,)` or `(n, channels)`, floats in [-1, 1] or 16-bit integers.
        labels: of each segment, where there are labels.
        count: how many labels; 0: one clock for all segments.
        rate: samples per second.
        recordings: how many each label is; by default each segment is one.

    Returns:
        One number for all segments; or one per label, 0 for a label that is several recordings or
        has no steady pulse.

    Example:
        >>> clicks = np.zeros(80_000, np.float32)
        >>> clicks[::4000] = 1.0
        >>> round(clock_seconds([clicks], [], 0, 8000))
        4
    """
    from keras_rawaudio.dsp.spectra import mono
    from keras_rawaudio.dsp.tempo import pulse_period, steady_pulse

    if not count:
        return PULSES_PER_TURN * pulse_period([mono(s) for s in segments], rate)
    own = [
        [s for s, of in zip(segments, labels, strict=True) if of == label] for label in range(count)
    ]
    alone = [n == 1 for n in recordings] or [len(s) == 1 for s in own]
    pulses = [
        one and len(s) and steady_pulse(mono(s[0]), rate) for one, s in zip(alone, own, strict=True)
    ]
    return [PULSES_PER_TURN * (pulse or 0.0) for pulse in pulses]
