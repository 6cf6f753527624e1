"""How long a turn of the spectral model's clocks takes: eight pulses of the audio."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PULSES = 8


def clock_seconds(
    segments: Sequence[np.ndarray], labels: Sequence[int], count: int, rate: int
) -> float | list[float]:
    """Seconds per turn, from the pulse of the audio.

    Args:
        segments: `(n,)` or `(n, channels)`, floats in [-1, 1] or 16-bit integers.
        labels: of each segment, where there are labels.
        count: how many labels; 0: one clock for all segments.
        rate: samples per second.

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
        return PULSES * pulse_period([mono(s) for s in segments], rate)
    own = [
        [s for s, of in zip(segments, labels, strict=True) if of == label] for label in range(count)
    ]
    pulses = [len(s) == 1 and steady_pulse(mono(s[0]), rate) for s in own]
    return [PULSES * (pulse or 0.0) for pulse in pulses]
