"""Phases found for amplitudes alone, frame by frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_rawaudio.layers.fourier import Fourier, direction
from keras_rawaudio.layers.overlap import sum_to_one


class GriffinLim:
    """Gives amplitude spectra the phases that agree best with the frames before.

    A frame is turned into a signal, added to what earlier frames left for its samples, divided by
    the windows that cover them so far, cut out and transformed again: the phases that come out are
    kept, the amplitudes are put back, and so on. No frame waits for a later one, so it can run
    while audio is made.

    Args:
        span: samples in a frame.
        hop: samples between two frames; a quarter of `span` or less works best.
        iterations: rounds for each frame.
        momentum: how much of its last move a round repeats, below 1; 0: none.

    Example:
        >>> rebuild = GriffinLim(16, 4)
        >>> frame = rebuild(ops.ones((1, 9)), ops.zeros((1, 12)))
        >>> frame.shape
        TensorShape([1, 16])

    Reference:
        Griffin and Lim 1984, "Signal estimation from modified short-time Fourier transform";
        Zhu, Beauregard and Wyse 2007, "Real-time signal estimation from modified short-time Fourier
        transform magnitude spectra"; Perraudin, Balazs and Sondergaard 2013, "A fast Griffin-Lim
        algorithm" (the momentum).
    """

    def __init__(self, span: int, hop: int, iterations: int = 8, momentum: float = 0.9) -> None:
        if iterations < 1 or not 0 <= momentum < 1:
            raise ValueError("Griffin-Lim needs iterations >= 1 and a momentum from 0 to below 1")
        self.fourier = Fourier(span)
        self.iterations, self.momentum = iterations, momentum
        weights = sum_to_one(span, hop)
        self.window = np.sqrt(weights)
        # What the windows up to this frame's sum to: later frames will bring the rest.
        blocks = weights.reshape(-1, hop)[::-1]
        self.covered = np.cumsum(blocks, axis=0)[::-1].reshape(-1)
        self.hop = hop

    def __call__(self, amplitudes: Any, pending: Any) -> Any:
        """One frame, to be weighted with `window` and added to what is pending.

        Args:
            amplitudes: `(B, bins)`.
            pending: `(B, span - hop)`, what earlier frames left.
        """
        before = ops.pad(pending, ((0, 0), (0, self.hop)))
        found = self._transform(before)
        last = found
        for _ in range(self.iterations):
            cos, sin = direction(*found)
            frame = self.fourier.backward(amplitudes * cos, amplitudes * sin)
            now = self._transform(before + frame * self.window)
            found = tuple(n + self.momentum * (n - o) for n, o in zip(now, last, strict=True))
            last = now
        cos, sin = direction(*found)
        return self.fourier.backward(amplitudes * cos, amplitudes * sin)

    def _transform(self, signal: Any) -> tuple[Any, Any]:
        return self.fourier.forward(signal * (self.window / self.covered))
