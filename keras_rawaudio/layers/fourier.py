"""The real Fourier transform of short frames, as products of matrices that any graph can hold."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

LEAST = 1e-6  # keeps phases of silence, and their gradients, finite
SILENCE = 1e-3  # amplitudes below this count as silence in a logarithm


class Fourier:
    """The real Fourier transform of frames, orthonormal: it keeps sums of squares.

    Bin `k` is `numpy.fft.rfft`'s, times `sqrt(2 / size)`; the first and the last times
    `sqrt(1 / size)`. Frames are short, so a product of matrices costs little, and ONNX before
    opset 17 has no transform of its own.

    Args:
        size: samples in a frame, even.

    Example:
        >>> fourier = Fourier(8)
        >>> re, im = fourier.forward(ops.ones((1, 8)))
        >>> round(float(re[0, 0]), 4), fourier.bins
        (2.8284, 5)
    """

    def __init__(self, size: int) -> None:
        if size < 2 or size % 2:
            raise ValueError(f"a Fourier transform needs frames of an even size, not {size}")
        self.size = size
        self.bins = size // 2 + 1
        turns = np.outer(np.arange(size), np.arange(self.bins)) % size / size
        scale = np.full(self.bins, np.sqrt(2 / size))
        scale[[0, -1]] = np.sqrt(1 / size)
        sine = -np.sin(2 * np.pi * turns)
        sine[:, [0, -1]] = 0.0
        self._cosine = (np.cos(2 * np.pi * turns) * scale).astype("float32")
        self._sine = (sine * scale).astype("float32")

    def forward(self, frames: Any) -> tuple[Any, Any]:
        """`(..., size)` to real and imaginary parts, `(..., bins)` each."""
        return ops.matmul(frames, self._cosine), ops.matmul(frames, self._sine)

    def backward(self, re: Any, im: Any) -> Any:
        """The inverse: `(..., bins)` each to `(..., size)`."""
        return ops.matmul(re, self._cosine.T) + ops.matmul(im, self._sine.T)


def amplitude(re: Any, im: Any) -> Any:
    """Amplitude of complex numbers, never quite 0.

    Args:
        re: real parts, of any shape.
        im: imaginary parts, of the same shape.

    Returns:
        Of that shape.

    Example:
        >>> round(float(amplitude(ops.convert_to_tensor(3.0), ops.convert_to_tensor(4.0))), 3)
        5.0
    """
    return ops.sqrt(ops.square(re) + ops.square(im) + LEAST**2)


def log_amplitude(re: Any, im: Any) -> Any:
    """Natural logarithm of the amplitude of complex numbers plus `SILENCE`.

    Args:
        re: real parts, of any shape.
        im: imaginary parts, of the same shape.

    Returns:
        Of that shape.

    Example:
        >>> levels = log_amplitude(ops.convert_to_tensor([0.999, 0.0]), ops.zeros((2,)))
        >>> [round(float(level), 2) for level in levels]
        [0.0, -6.91]
    """
    return ops.log(amplitude(re, im) + SILENCE)


def direction(re: Any, im: Any) -> tuple[Any, Any]:
    """The phase as a point on the unit circle; that of silence is 0.

    Args:
        re: real parts, of any shape.
        im: imaginary parts, of the same shape.

    Returns:
        Cosine and sine of the phase, of that shape.

    Example:
        >>> cos, sin = direction(ops.convert_to_tensor(3.0), ops.convert_to_tensor(4.0))
        >>> round(float(cos), 3), round(float(sin), 3)
        (0.6, 0.8)
    """
    re = re + LEAST
    size = ops.sqrt(ops.square(re) + ops.square(im) + LEAST**4)
    return re / size, im / size


def turned(by: tuple[Any, Any], point: tuple[Any, Any]) -> tuple[Any, Any]:
    """The sum of two phases, both as `(cos, sin)`."""
    return by[0] * point[0] - by[1] * point[1], by[0] * point[1] + by[1] * point[0]


def turn_between(before: tuple[Any, Any], after: tuple[Any, Any]) -> tuple[Any, Any]:
    """The relative phase `after - before`, all as `(cos, sin)`."""
    return turned((before[0], -before[1]), after)


def phase_distance(a: Any, b: Any) -> Any:
    """How far two phases lie apart: `|sin((a - b) / 2)|`.

    Half the length of the chord between two points on the unit circle, so it is a metric: never
    negative; 0 for equal phases alone, where whole turns count for nothing; the same both ways; and
    no longer than a way over a third phase. It is at most 1, for opposite phases. Its square is
    smooth everywhere, which suits a loss, but it is no metric: it is 0.5 for a quarter turn, and
    only 0.29 for two eighths of a turn together.

    Args:
        a: phases in radians, any shape.
        b: likewise.

    Returns:
        In [0, 1], of the same shape.

    Example:
        >>> round(float(phase_distance(ops.array(0.0), ops.array(3.14159265))), 6)
        1.0
    """
    return ops.abs(ops.sin((a - b) * 0.5))
