"""Phases for magnitude spectra, found while audio is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

START = 1e-3  # -114 dB: below it, a frame starts as a pulse
GRID = 2.0**20  # steps of an amplitude of 1: what is carried is a multiple of one, -120 dB


class PhaseRetrieval:
    """Real-time iterative spectrogram inversion with look-ahead (RTISI-LA).

    A new frame begins with the phases of the frame before it, moved on by what is given, as in a
    phase vocoder; or with given phases, where something begins. Some frames wait. Once per hop each
    is transformed back, added to its neighbours and transformed again, newest first: phases are
    kept and the given magnitudes are put back. Then the oldest is final and one hop of audio is
    ready. Each channel is the common spectrum times its own complex gains.

    The search amplifies rounding, so it computes in 64 bits, and rounds what it carries from hop to
    hop to a grid. Then libraries whose transforms round differently find the same phases.

    Args:
        fft_size: samples in a frame, a multiple of four.
        channels: of the audio.
        look_ahead: frames that wait for later ones.

    Example:
        >>> phases = PhaseRetrieval(64)
        >>> state = [ops.zeros((1, *shape)) for shape in phases.state_shapes()]
        >>> spectra = [ops.ones((1, 33))] * 3
        >>> one = ops.stack([ops.ones((1, 33)), ops.zeros((1, 33))], axis=-1)
        >>> audio, state = phases.hop_of_audio(spectra, one, 0 * one, one[:, None], state)
        >>> tuple(audio.shape)
        (1, 16, 1)

    Reference:
        Zhu, Beauregard and Wyse 2007, "Real-time signal estimation from modified short-time
        Fourier transform magnitude spectra". Flanagan and Golden 1966, "Phase vocoder".
    """

    def __init__(
        self,
        fft_size: int,
        channels: int = 1,
        look_ahead: int = 2,
    ) -> None:
        if fft_size % 4:
            raise ValueError(f"frames of {fft_size} samples are not a multiple of four")
        self.fft_size, self.hop, self.channels = fft_size, fft_size // 4, channels
        self.look_ahead = look_ahead
        self.window = np.hanning(fft_size + 1)[:-1]
        # Not in the middle, where a spectrum would be real: the signs of its zeros are unsure.
        place = fft_size // 2 + fft_size // 16
        pulse = np.exp(-2j * np.pi * place * np.arange(fft_size // 2 + 1) / fft_size)
        self.start = START * pulse.real, START * pulse.imag
        self.scale = float(self.hop / np.square(self.window).sum())

    @property
    def order(self) -> list[tuple[int, int]]:
        """What is transformed for a hop: the frame that is looked at, and the one that is made.

        The new frame begins with what is at the frame before it. The last one made is final.
        """
        newest = self.look_ahead
        return [(newest - 1, newest), *((i, i) for i in reversed(range(newest + 1)))]

    @property
    def delay(self) -> int:
        """Samples from a frame's last one to the end of the audio that is ready by then."""
        return self.fft_size - self.hop + self.look_ahead * self.hop

    def state_shapes(self) -> list[tuple[int, ...]]:
        """Shapes without the batch: the waiting frames, their sum, and each channel's overlap."""
        size, hop = self.fft_size, self.hop
        waiting = (self.look_ahead, size)
        return [waiting, (size + (self.look_ahead - 1) * hop,), (self.channels, size - hop)]

    def hop_of_audio(
        self, magnitudes: Sequence[Any], advance: Any, onset: Any, gains: Any, state: Sequence[Any]
    ) -> tuple[Any, list[Any]]:
        """One new frame in, one hop of audio out.

        Args:
            magnitudes: of the waiting frames and the new one, oldest first, each `(B, bins)`.
            advance: `(B, bins, 2)`: what the spectrum of the frame before is multiplied by to begin
                the new one, real and imaginary part.
            onset: `(B, bins, 2)`: what is added to it then. Only its phase counts.
            gains: `(B, channels, bins, 2)`: of the oldest frame, real and imaginary part.
            state: as `state_shapes` says.

        Returns:
            `(B, hop, channels)` and the new state, float32.
        """
        waiting, total, overlap = (ops.cast(value, "float64") for value in state)
        magnitudes = [ops.cast(value, "float64") for value in magnitudes]
        advance, onset, gains = (ops.cast(value, "float64") for value in (advance, onset, gains))
        size, hop = self.fft_size, self.hop
        frames = [waiting[:, i] for i in range(self.look_ahead)]
        frames.append(ops.zeros_like(frames[0]))
        total = ops.concatenate([total, ops.zeros_like(total[:, :hop])], axis=1)
        final = None
        for seen, i in self.order:
            re, im = ops.rfft(total[:, seen * hop : seen * hop + size] * self.window)
            re, im = re + self.start[0], im + self.start[1]
            if seen < i:
                a, b = advance[..., 0], advance[..., 1]
                re, im = re * a - im * b + onset[..., 0], re * b + im * a + onset[..., 1]
            first = i * hop
            factor = magnitudes[i] / ops.sqrt(re * re + im * im)
            final = re * factor, im * factor
            frame = ops.irfft(final, fft_length=size) * self.window
            added = frame - frames[i]
            total = total + ops.pad(added, ((0, 0), (first, total.shape[1] - first - size)))
            frames[i] = frame
        assert final is not None
        re, im = final[0][:, None], final[1][:, None]
        a, b = gains[..., 0], gains[..., 1]
        summed = ops.irfft((re * a - im * b, re * b + im * a), fft_length=size) * self.window
        summed = summed + ops.pad(overlap, ((0, 0), (0, 0), (0, hop)))
        audio = ops.transpose(summed[:, :, :hop], (0, 2, 1)) * self.scale
        after = [ops.stack(frames[1:], axis=1), total[:, hop:], summed[:, :, hop:]]
        after = [ops.round(value * GRID) * (1 / GRID) for value in after]
        return ops.cast(audio, "float32"), [ops.cast(value, "float32") for value in after]
