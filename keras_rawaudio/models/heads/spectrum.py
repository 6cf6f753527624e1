"""The spectrum of the next frame."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.fourier import (
    SILENCE,
    Fourier,
    amplitude,
    direction,
    log_amplitude,
    phase_distance,
    turned,
)
from keras_rawaudio.layers.griffin_lim import GriffinLim
from keras_rawaudio.layers.overlap import cut, overlap_add, sum_to_one
from keras_rawaudio.layers.time_loop import scan_time
from keras_rawaudio.models.heads.base import WholeFrameHead

FORMS = {"parts": 2, "polar": 3, "amplitude": 1}  # numbers that a bin takes
LOUDEST = 6.0  # log amplitude


@keras.saving.register_keras_serializable("keras_rawaudio")
class SpectrumHead(WholeFrameHead):
    """Predicts the windowed spectrum of the `span` samples ahead, every frame.

    Spectra become frames again, weighted and added up where they overlap: with the square root of a
    Hann window before and after, true spectra give the signal back exactly.

    Args:
        frame_size: samples per frame.
        form: `"parts"` (real and imaginary part, scored by squared error), `"polar"` (log amplitude
            by squared error, phase by the square of `phase_distance` weighted with the target's
            amplitude), or
            `"amplitude"` (log amplitude alone; phases come from Griffin-Lim).
        span: samples in a spectrum, even, a multiple of the frame; `None`: four frames.
        hidden_units: width of a hidden layer between the tier and the spectrum; 0: none.
        relative: with `"polar"`, the phase is a turn from the phase of the `span` samples before.
        iterations: of Griffin-Lim, for each frame.
        momentum: of Griffin-Lim.

    Example:
        >>> head = SpectrumHead(4, "polar", span=16)
        >>> history, state = keras.ops.zeros((1, 15 + 20)), [keras.ops.zeros((1, 12))]
        >>> prediction, state = head(history, keras.ops.zeros((1, 5, 8)), state)
        >>> prediction["signal"].shape
        TensorShape([1, 20])
    """

    kind = "spectrum"
    measure = "variance_unexplained"
    deterministic = True
    loss_is_score = False

    def __init__(
        self,
        frame_size: int,
        form: str = "parts",
        span: int | None = None,
        hidden_units: int = 0,
        relative: bool = False,
        iterations: int = 8,
        momentum: float = 0.9,
        **kwargs: Any,
    ) -> None:
        super().__init__(frame_size, **kwargs)
        if form not in FORMS:
            raise ValueError(
                f"a spectrum head has no form {form!r}; choose from {', '.join(FORMS)}"
            )
        if relative and form != "polar":
            raise ValueError("a relative phase needs the form 'polar'")
        self.size = span or 4 * frame_size
        self.context = self.size if relative else 1
        self.fourier = Fourier(self.size)
        self.window_in_time = np.sqrt(sum_to_one(self.size, frame_size))
        self.rebuild = GriffinLim(self.size, frame_size, iterations, momentum)
        self.form = form
        self.span = span
        self.hidden_units = hidden_units
        self.relative = relative
        self.iterations = iterations
        self.momentum = momentum
        self._make_hidden_layer(hidden_units)

    def build(self, history_shape: Any, condition_shape: Any) -> None:
        self.output_layer = keras.layers.Dense(FORMS[self.form] * self.fourier.bins, name="bins")
        self.output_layer.build((None, self._build_hidden_layer(condition_shape[-1])))

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        return [("pending", (self.size - self.frame_size,))]

    def call(
        self, history: Any, condition: Any, state: list[Any], training: bool = False
    ) -> tuple[dict[str, Any], list[Any]]:
        """The spectra in their form, `bins (B, T, ...)`, and what is past, `signal (B, N)`."""
        condition = self._hidden(condition)
        bins = self._finish(self.output_layer(condition), history)
        if self.form == "amplitude":
            # Frame after frame, which training has no use for: its loss is that of the amplitudes.
            T = bins.shape[1]
            if training:
                return {
                    "bins": bins,
                    "signal": ops.zeros_like(history[:, : T * self.frame_size]),
                }, state
            signal, pending = self._rebuild(bins, state[0])
        else:
            re, im = self._parts(bins)
            frames = self.fourier.backward(re, im) * self.window_in_time
            signal, pending = overlap_add(frames, state[0])
        return {"bins": bins, "signal": signal}, [pending]

    def _finish(self, raw: Any, history: Any) -> Any:
        """What the last layer gives, as a spectrum in the head's form: phases become points."""
        if self.form != "polar":
            return raw
        level, cos, sin = ops.split(raw, 3, axis=-1)
        # Around a phase of 0, so that an untrained model has one.
        cos, sin = direction(cos + 1.0, sin)
        if self.relative:
            samples = self.size + (raw.shape[1] - 1) * self.frame_size
            past = cut(history[:, :samples], self.size, self.frame_size)
            cos, sin = turned(direction(*self._transform(past)), (cos, sin))
        return ops.concatenate([level, cos, sin], axis=-1)

    def _transform(self, frames: Any) -> tuple[Any, Any]:
        return self.fourier.forward(frames * self.window_in_time)

    def _parts(self, bins: Any) -> tuple[Any, Any]:
        """Real and imaginary parts of `"parts"` or `"polar"`."""
        if self.form == "parts":
            re, im = ops.split(bins, 2, axis=-1)
            return re, im
        level, cos, sin = ops.split(bins, 3, axis=-1)
        size = self._amplitude(level)
        return size * cos, size * sin

    @staticmethod
    def _amplitude(level: Any) -> Any:
        return ops.relu(ops.exp(ops.minimum(level, LOUDEST)) - SILENCE)

    def _rebuild(self, level: Any, pending: Any) -> tuple[Any, Any]:
        def step(carry: tuple[Any, ...], slices: tuple[Any, ...]) -> tuple[Any, ...]:
            frame = self.rebuild(slices[0], carry[0]) * self.window_in_time
            signal, pending = overlap_add(frame[:, None], carry[0])
            return pending, signal

        by_time = ops.transpose(self._amplitude(level), (1, 0, 2))
        start = (pending, pending[:, : self.frame_size])
        pendings, signals = scan_time(step, start, [by_time])
        signal = ops.reshape(
            ops.transpose(signals, (1, 0, 2)), (-1, level.shape[1] * self.frame_size)
        )
        return signal, pendings[-1]

    def sample_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        prediction, state = self(history, condition, state)
        return prediction["signal"], state

    def loss(self, prediction: Any, target: Any) -> Any:
        """The mean over a frame's bins, given to each of its samples.

        The last frames reach beyond the target and do not count; the others count for them.
        """
        bins = prediction["bins"]
        rest = ((0, 0), (0, self.size - self.frame_size))
        target = ops.pad(ops.cast(target, "float32"), rest)
        re, im = self._transform(cut(target, self.size, self.frame_size))
        T = bins.shape[1]
        whole = max(1, T - self.size // self.frame_size + 1)
        if self.form == "parts":
            p_re, p_im = self._parts(bins)
            # Over the samples of a frame: that of real and imaginary parts is the same sum.
            loss = ops.sum(ops.square(p_re - re) + ops.square(p_im - im), axis=-1) / self.size
        else:
            levels = bins[..., : self.fourier.bins]
            loss = ops.mean(ops.square(levels - log_amplitude(re, im)), axis=-1)
        if self.form == "polar":
            loss = loss + self._phase_loss(bins, re, im)
        counted = np.where(np.arange(T) < whole, T / whole, 0.0).astype("float32")
        return ops.repeat(loss * counted, self.frame_size, axis=1)

    def _phase_loss(self, bins: Any, re: Any, im: Any) -> Any:
        _, cos, sin = ops.split(bins, 3, axis=-1)
        phase_cos, phase_sin = direction(re, im)
        weight = amplitude(re, im)
        distance = phase_distance(ops.arctan2(sin, cos), ops.arctan2(phase_sin, phase_cos))
        weighted = ops.sum(weight * ops.square(distance), axis=-1)
        return weighted / (ops.sum(weight, axis=-1) + SILENCE)

    def score(self, prediction: Any, target: Any) -> Any:
        return ops.square(prediction["signal"] - ops.cast(target, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "form": self.form,
            "span": self.span,
            "hidden_units": self.hidden_units,
            "relative": self.relative,
            "iterations": self.iterations,
            "momentum": self.momentum,
        }
