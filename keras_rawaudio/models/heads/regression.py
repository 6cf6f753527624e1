"""A whole next frame at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from keras_rawaudio.layers.overlap import overlap_add, sum_to_one
from keras_rawaudio.models.costs import weighted
from keras_rawaudio.models.heads.base import WholeFrameHead


@keras.saving.register_keras_serializable("keras_rawaudio")
class RegressionHead(WholeFrameHead):
    """Predicts every sample of the next frame in one go.

    With a `span` of several frames, each step predicts that many samples ahead. A sample is then
    the mean of all predictions of it, weighted by a window whose copies sum to one. Samples that
    later steps predict, too, wait in the state.

    Args:
        frame_size: samples per frame.
        hidden_units: width of a hidden layer between the tier and the frame; 0: none.
        end_layer: whether a linear layer makes the frame; without one the tier's output is the
            frame, so that the tier is as wide as its frame is long (and within [-1, 1]).
        reconstruct: learn to give back the frame just read, instead of the next one (a denoising
            recurrent autoencoder, where the tier has `input_noise`).
        span: samples that one prediction covers, a multiple of the frame; `None`: one frame.
        window: `"hann"`, `"triangle"` or `"flat"`: how predictions that overlap are weighted.
        cost: what training makes small: `"squared"`, `"huber"`, `"spectral"`, or names to weights.

    Example:
        >>> head = RegressionHead(frame_size=250, span=500)
        >>> history, state = keras.ops.zeros((2, 2500)), [keras.ops.zeros((2, 250))]
        >>> signal, state = head(history, keras.ops.zeros((2, 10, 64)), state)
        >>> signal.shape
        TensorShape([2, 2500])
    """

    kind = "regression"
    measure = "variance_unexplained"
    deterministic = True

    def __init__(
        self,
        frame_size: int,
        hidden_units: int = 0,
        end_layer: bool = True,
        reconstruct: bool = False,
        span: int | None = None,
        window: str = "hann",
        cost: str | Mapping[str, float] = "squared",
        **kwargs: Any,
    ) -> None:
        super().__init__(frame_size, **kwargs)
        if hidden_units and not end_layer:
            raise ValueError("a hidden layer needs the end layer after it; leave out one of them")
        self.ahead = (span or frame_size) - frame_size
        if self.ahead and (reconstruct or not end_layer):
            raise ValueError("a span beyond the frame needs the end layer, and no reconstruct")
        self.weights_in_time = sum_to_one(frame_size + self.ahead, frame_size, window)
        self.hidden_units = hidden_units
        self.end_layer = end_layer
        self.reconstruct = reconstruct
        self.span = span
        self.window = window
        self.cost = cost
        self._cost = weighted(cost)
        self.loss_is_score = cost == "squared"
        self._make_hidden_layer(hidden_units)

    def build(self, history_shape: Any, condition_shape: Any) -> None:
        width = condition_shape[-1]
        frame = self.frame_size
        read = self._build_hidden_layer(width)
        if self.end_layer:
            self.output_layer = keras.layers.Dense(frame + self.ahead, name="frame")
            self.output_layer.build((None, read))
        elif width != frame:
            raise ValueError(
                f"without an end layer the tier's output is the frame, but it is {width} wide and "
                f"a frame {frame} samples long; set units to {frame} and skips to false"
            )

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        return [("pending", (self.ahead,))] if self.ahead else []

    def call(
        self, history: Any, condition: Any, state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        condition = self._hidden(condition)
        frames = self.output_layer(condition) if self.end_layer else condition
        if self.ahead:
            signal, pending = overlap_add(frames * self.weights_in_time, state[0])
            return signal, [pending]
        return ops.reshape(frames, (-1, frames.shape[1] * self.frame_size)), []

    def sample_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        return self(history, condition, state)

    def loss(self, prediction: Any, target: Any) -> Any:
        return self._cost(prediction, ops.cast(target, "float32"))

    def score(self, prediction: Any, target: Any) -> Any:
        return ops.square(prediction - ops.cast(target, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden_units": self.hidden_units,
            "end_layer": self.end_layer,
            "reconstruct": self.reconstruct,
            "span": self.span,
            "window": self.window,
            "cost": self.cost if isinstance(self.cost, str) else dict(self.cost),
        }
