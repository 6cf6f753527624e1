"""One tier: a frame of past samples and the slower tier's word in, words for the faster one out."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from keras_rawaudio.layers import RecurrentStack


@keras.saving.register_keras_serializable("keras_rawaudio")
class Tier(keras.layers.Layer):
    """A recurrent tier that reads audio frame by frame and conditions what runs faster than it.

    A step sees the last `window` samples, adds the slower tier's conditioning, moves its recurrent
    layers on by one, and hands out `rate` conditioning vectors, one for each step of what lies
    below it (learned upsampling).

    Args:
        frame: samples that pass between two steps.
        window: past samples that a step sees; `None`: one frame.
        cell: `"gru"` or `"lstm"`.
        units: width of each recurrent layer, or a list of widths.
        layers: number of recurrent layers.
        skips: hand on the outputs of all layers, not only the last one's.
        forget_bias: start of the LSTM's forget-gate bias.
        activation_noise: noise of the gates' hard activations, see `NoisyActivation`.
        preactivation_noise: standard deviation of Gaussian noise on the gates' pre-activations.
        rate: conditioning vectors to hand out for each step.
        width: their width; `None`: the recurrent output itself (`rate` must be 1).

    Call arguments:
        frames: `(B, T, window)` floats.
        conditioning: `(B, T, input_width)` floats from the slower tier, or `None`.
        state: list of `(B, units)` tensors, as `state_spec` names them.
        training: adds the noise.

    Returns:
        `(B, T * rate, width)` and the new state.

    Example:
        >>> tier = Tier(frame=16, units=32, rate=4, width=8)
        >>> tier.build_for(conditioned=False)
        >>> out, state = tier(keras.ops.zeros((2, 5, 16)), None, tier.zero_state(2))
        >>> out.shape
        TensorShape([2, 20, 8])

    Reference:
        Mehri et al. 2017, "SampleRNN", section 2.1, equations 4 to 6.
    """

    def __init__(
        self,
        frame: int,
        window: int | None = None,
        cell: str = "gru",
        units: int | list[int] = 256,
        layers: int = 1,
        skips: bool = True,
        forget_bias: float | None = None,
        activation_noise: str | None = None,
        preactivation_noise: float = 0.0,
        rate: int = 1,
        width: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if width is None and rate != 1:
            raise ValueError("a tier without width hands out one vector a step: rate must be 1")
        self.frame = frame
        self.window = window or frame
        self.rate = rate
        self.width = width
        self._stack_config: dict[str, Any] = {
            "cell": cell,
            "units": list(units) if isinstance(units, (list, tuple)) else units,
            "layers": layers,
            "skips": skips,
            "forget_bias": forget_bias,
            "activation_noise": activation_noise,
            "preactivation_noise": preactivation_noise,
        }
        self.stack = RecurrentStack(**self._stack_config, name="stack")
        self.input_width = units if isinstance(units, int) else units[0]
        self.entry = keras.layers.Dense(self.input_width, name="entry")
        self.upsampling = keras.layers.Dense(rate * width, name="upsampling") if width else None

    def build_for(self, conditioned: bool) -> None:
        """Make the weights; `conditioned`: a slower tier stands above this one."""
        self.entry.build((None, self.window))
        self.stack.build((None, None, self.input_width))
        if self.upsampling:
            self.upsampling.build((None, self.stack.output_width))
        self.built = True

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes (without the batch) of the state tensors."""
        return self.stack.state_shapes()

    def zero_state(self, batch: Any) -> list[Any]:
        """The state of a fresh stream."""
        return [ops.zeros((batch, *shape)) for _, shape in self.state_spec()]

    def call(
        self, frames: Any, conditioning: Any, state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        inputs = self.entry(frames)
        if conditioning is not None:
            inputs = inputs + conditioning
        outputs, state = self.stack(inputs, state, training=training)
        if self.upsampling:
            T = ops.shape(outputs)[1]
            outputs = ops.reshape(self.upsampling(outputs), (-1, T * self.rate, self.width))
        return outputs, state

    def step(self, frame: Any, conditioning: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """One step outside of training.

        Args:
            frame: `(B, window)`.
            conditioning: `(B, input_width)` or `None`.
            state: list of `(B, units)`.

        Returns:
            `(B, rate, width)` (without `width`: `(B, output_width)`) and the new state.
        """
        inputs = self.entry(frame)
        if conditioning is not None:
            inputs = inputs + conditioning
        output, state = self.stack.step(inputs, state)
        if self.upsampling:
            output = ops.reshape(self.upsampling(output), (-1, self.rate, self.width))
        return output, state

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "frame": self.frame,
            "window": self.window,
            **self._stack_config,
            "rate": self.rate,
            "width": self.width,
        }
