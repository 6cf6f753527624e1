"""Change of sample rate: windowed-sinc polyphase, numpy alone."""

from math import gcd

import numpy as np

_ZEROS = 64  # zero crossings of the sinc on each side, at the lower of the two rates
_BETA = 10.06  # Kaiser window with 100 dB of attenuation
_CENTRE = 0.95  # of the lower rate's half; with 64 zeros, flat to 0.9 and 100 dB down at 1.0


def resample(audio: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """Resample `audio` so that its sample j lies at second j / target_rate.

    Silence is taken to lie on both sides of `audio`.

    Args:
        audio: float (samples,).
        source_rate: its samples per second.
        target_rate: those of the result.

    Returns:
        float32 (round(samples * target_rate / source_rate),); the input, where the rates agree.

    Example:
        >>> resample(np.zeros(441, np.float32), 44100, 16000).shape
        (160,)

    Reference:
        J. O. Smith, "Digital Audio Resampling Home Page" (windowed-sinc interpolation); window and
        length: Oppenheim and Schafer, "Discrete-Time Signal Processing", 7.5.3 (Kaiser).
    """
    if source_rate == target_rate:
        return np.asarray(audio, np.float32)
    common = gcd(source_rate, target_rate)
    up, down = target_rate // common, source_rate // common
    count = round(len(audio) * up / down)
    scale = min(1.0, up / down)  # the cutoff, over the source's half rate
    half = int(np.ceil(_ZEROS / scale))
    taps = np.arange(-half + 1, half + 1)
    padded = np.concatenate([np.zeros(half), np.asarray(audio, np.float64), np.zeros(half + down)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half)
    out = np.empty(count, np.float32)
    # Output j sits at source sample j * down / up: outputs `up` apart share one filter (a phase).
    for phase in range(min(up, count)):
        base, remainder = divmod(phase * down, up)
        distance = (taps - remainder / up) * scale
        window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / _ZEROS) ** 2, 0, 1))) / np.i0(_BETA)
        kernel = np.sinc(distance * _CENTRE) * window * (scale * _CENTRE)
        kernel /= kernel.sum()  # gain at frequency zero exactly 1 in every phase
        rows = windows[base + 1 :: down][: len(range(phase, count, up))]
        out[phase::up] = rows @ kernel
    return out
