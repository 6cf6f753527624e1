"""A whole next frame at once."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rawaudio.models.heads.base import Head


@keras.saving.register_keras_serializable("keras_rawaudio")
class RegressionHead(Head):
    """Predicts every sample of the next frame in one go, judged by the squared error.

    Args:
        hidden: width of a hidden layer between the tier and the frame; 0: none.
        end_layer: whether a linear layer makes the frame; without one the tier's output is the
            frame, so that the tier is as wide as its frame is long (and within [-1, 1]).
        reconstruct: learn to give back the frame just read, instead of the next one (a denoising
            recurrent autoencoder, where the tier has `input_noise`).

    Example:
        >>> head = RegressionHead()
        >>> head.build_for(64, frame=250)
        >>> head(None, keras.ops.zeros((2, 10, 64))).shape
        TensorShape([2, 2500])
    """

    kind = "regression"
    per_sample = False
    measure = "variance_unexplained"

    def __init__(
        self,
        hidden: int = 0,
        end_layer: bool = True,
        reconstruct: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if hidden and not end_layer:
            raise ValueError("a hidden layer needs the end layer after it; leave out one of them")
        self.hidden = hidden
        self.end_layer = end_layer
        self.reconstruct = reconstruct
        self.hidden_layer = (
            keras.layers.Dense(hidden, activation="relu", name="hidden") if hidden else None
        )

    def conditioning_width(self) -> None:
        return None

    def build_for(self, width: int, frame: int) -> None:
        if self.hidden_layer:
            self.hidden_layer.build((None, width))
        if self.end_layer:
            self.output_layer = keras.layers.Dense(frame, name="frame")
            self.output_layer.build((None, self.hidden or width))
        elif width != frame:
            raise ValueError(
                f"without an end layer the tier's output is the frame, but it is {width} wide and "
                f"a frame {frame} samples long; set units to {frame} and skips to false"
            )
        self.frame = frame
        self.built = True

    def call(self, recent: Any, conditioning: Any, training: bool = False) -> Any:
        T = ops.shape(conditioning)[1]
        return ops.reshape(self.draw(conditioning), (-1, T * self.frame))

    def draw(self, conditioning: Any) -> Any:
        """The next frame: `(..., width)` to `(..., frame)`."""
        if self.hidden_layer:
            conditioning = self.hidden_layer(conditioning)
        return self.output_layer(conditioning) if self.end_layer else conditioning

    def loss(self, prediction: Any, target: Any) -> Any:
        return ops.square(prediction - ops.cast(target, "float32"))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "hidden": self.hidden,
            "end_layer": self.end_layer,
            "reconstruct": self.reconstruct,
        }
