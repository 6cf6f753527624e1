"""One recurrent tier: frames and the slower tier's conditioning in, conditioning out."""

from __future__ import annotations

from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers import RecurrentStack
from keras_rawaudio.models.clock import CLOCK, clock_features
from keras_rawaudio.models.spectral_view import SpectralView


@keras.saving.register_keras_serializable("keras_rawaudio")
class Tier(keras.layers.Layer):
    """A recurrent tier that reads audio frame by frame and conditions what runs faster than it.

    A step sees the last `window` samples, adds the slower tier's conditioning, moves its recurrent
    layers on by one, and hands out `rate` conditioning vectors, one for each step of what lies
    below it (learned upsampling).

    Args:
        frame_size: samples that pass between two steps.
        window: past samples that a step sees; `None`: one frame.
        cell: `"gru"`, `"lstm"` or `"deep-gate-lstm"`.
        units: width of each recurrent layer, or a list of widths.
        layers: number of recurrent layers; `None`: as many as `units` lists.
        skips: hand on the outputs of all layers, not only the last one's; `"memories"`: what all
            layers remember, an LSTM's cell states.
        forget_bias: start of the bias of an LSTM's forget gate or a GRU's update gate; `None`: 1,
            or 0 in a GRU.
        activation_noise: noise of the gates' hard activations, see `NoisyActivation`.
        preactivation_noise: standard deviation of Gaussian noise on the gates' pre-activations.
        clock_harmonics: harmonics of a clock in time with the piece: sine and cosine of its phase
            and of multiples of it. Its period is a weight, found on the train part
            (`set_period`); its phase is state. 0: no clock.
        input_noise: standard deviation of Gaussian noise on the frames, in training.
        dropout: dropout rate of the recurrent outputs, of embedded codes, and of whole rows of the
            clock input.
        spectrum: see the spectra of the window, as `SpectralView` takes them; `None`: its samples.
        code_width: width of the previous frame's codes, read instead of samples; 0: samples.
        dilation: steps from a recurrent state to the next one that is computed from it; see
            `RecurrentStack`.
        rate: conditioning vectors to hand out for each step.
        width: their width; `None`: the recurrent output itself (`rate` must be 1).

    Call arguments:
        frames: `(B, T, window)` floats; `(B, T, code_width)` for a tier that reads codes.
        conditioning: `(B, T, input_width)` floats from the slower tier, or `None`.
        state: list of `(B, dilation * units)` tensors, as `state_spec` names them.
        training: adds the noise.

    Returns:
        `(B, T * rate, width)` and the new state.

    Example:
        >>> tier = Tier(frame_size=16, units=32, rate=4, width=8)
        >>> out, state = tier(keras.ops.zeros((2, 5, 16)), None, tier.zero_state(2))
        >>> out.shape
        TensorShape([2, 20, 8])

    Reference:
        Mehri et al. 2017, "SampleRNN", section 2.1, equations 4 to 6.
    """

    def __init__(
        self,
        frame_size: int,
        window: int | None = None,
        cell: str = "gru",
        units: int | list[int] = 256,
        layers: int | None = None,
        skips: bool | Literal["memories"] = True,
        forget_bias: float | None = None,
        activation_noise: str | None = None,
        preactivation_noise: float = 0.0,
        input_noise: float = 0.0,
        clock_harmonics: int = 0,
        dropout: float = 0.0,
        spectrum: dict[str, Any] | None = None,
        code_width: int = 0,
        dilation: int = 1,
        rate: int = 1,
        width: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if width is None and rate != 1:
            raise ValueError("a tier without width hands out one vector a step: rate must be 1")
        self.frame_size = frame_size
        self.window = window or frame_size
        self.clock_harmonics = clock_harmonics
        self.cell = cell
        self.units = list(units) if isinstance(units, (list, tuple)) else units
        self.layers = layers
        self.skips = skips
        self.forget_bias = forget_bias
        self.activation_noise = activation_noise
        self.preactivation_noise = preactivation_noise
        self.input_noise = input_noise
        self.dropout = dropout
        self.noise_layer = keras.layers.GaussianNoise(input_noise, name="input_noise")
        self.dropout_layer = keras.layers.Dropout(dropout, name="dropout")
        self.clock_dropout = keras.layers.Dropout(dropout, (None, 1, 1), name="clock_dropout")
        self.spectrum = spectrum
        self.view = SpectralView(**spectrum, window=self.window, name="view") if spectrum else None
        if spectrum and code_width:
            raise ValueError("a tier reads spectra or codes, not both")
        self.code_width = code_width
        self.dilation = dilation
        # The clock input is also an output, for the network that draws the samples.
        self.clock_width = self.clock_input_width(units, clock_harmonics) if code_width else 0
        self.rate = rate
        self.width = width
        self.stack = RecurrentStack(
            cell,
            self.units,
            layers,
            skips,
            activation_noise=activation_noise,
            preactivation_noise=preactivation_noise,
            forget_bias=forget_bias,
            dilation=dilation,
            name="stack",
        )
        self.input_width = self._first_width(units)
        self.entry = keras.layers.Dense(self.input_width, name="entry")
        self.upsampling = keras.layers.Dense(rate * width, name="upsampling") if width else None

    @classmethod
    def clock_input_width(
        cls, units: int | list[int] = 256, clock_harmonics: int = 0, **settings: Any
    ) -> int:
        """Width of the clock input of a tier with these settings; 0 without a clock."""
        return cls._first_width(units) if clock_harmonics else 0

    @staticmethod
    def _first_width(units: int | list[int]) -> int:
        return units if isinstance(units, int) else units[0]

    @property
    def output_width(self) -> int:
        """Width of what a tier without `width` hands out."""
        return self.stack.output_width + self.clock_width

    def build(self, frames_shape: Any) -> None:
        if self.view:
            self.view.build(frames_shape)
        features = self.view.features if self.view else self.window
        self.entry.build((None, self.code_width or features))
        if self.clock_harmonics:
            self.period = self.add_weight(
                shape=(1,), initializer="ones", trainable=False, name="period"
            )
            self.clock_kernel = self.add_weight(
                shape=(2 * self.clock_harmonics, self.input_width),
                initializer=keras.initializers.RandomNormal(stddev=0.03),
                name="clock_kernel",
            )
        self.stack.build((None, None, self.input_width))
        if self.upsampling:
            self.upsampling.build((None, self.output_width))

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes (without the batch) of the state tensors."""
        own = [(CLOCK, (1,))] if self.clock_harmonics else []
        return own + self.stack.state_shapes()

    def set_period(self, samples: float) -> None:
        """Set the clock's period, in samples."""
        self.period.assign([samples])

    def _read_clock(self, state: list[Any], steps: int) -> tuple[Any, list[Any], list[Any]]:
        """Clock input of `steps` steps `(B, steps, input_width)`; its state, the other state.

        The phase counts turns and stays in [0, 1): small enough to stay exact for hours.
        """
        if not self.clock_harmonics:
            return 0.0, [], state
        turns = self.frame_size / self.period
        phase = state[0] + turns * np.arange(steps, dtype="float32")
        features = clock_features(phase, self.clock_harmonics)
        after = state[0] + turns * steps
        return ops.matmul(features, self.clock_kernel), [after - ops.floor(after)], state[1:]

    def zero_state(self, batch: Any) -> list[Any]:
        """The state of a fresh stream."""
        return [ops.zeros((batch, *shape)) for _, shape in self.state_spec()]

    def call(
        self, frames: Any, conditioning: Any, state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        clock_input, clock, state = self._read_clock(state, frames.shape[1])
        inputs = self._enter(self.noise_layer(frames, training=training))
        if self.code_width:  # memorized codes would leave no use for the clock
            inputs = self.dropout_layer(inputs, training=training)
        if self.clock_harmonics:
            clock_input = self.clock_dropout(clock_input, training=training)
        inputs = inputs + clock_input
        if conditioning is not None:
            inputs = inputs + conditioning
        outputs, state = self.stack(inputs, state, training=training)
        outputs = self.dropout_layer(outputs, training=training)
        if self.clock_width:
            outputs = ops.concatenate([outputs, clock_input], axis=-1)
        if self.upsampling:
            T = ops.shape(outputs)[1]
            outputs = ops.reshape(self.upsampling(outputs), (-1, T * self.rate, self.width))
        return outputs, clock + state

    def step(self, frame: Any, conditioning: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """One step outside of training.

        Args:
            frame: `(B, window)`.
            conditioning: `(B, input_width)` or `None`.
            state: list of `(B, units)`.

        Returns:
            `(B, rate, width)`, or `(B, 1, output_width)` without `width`, and the new state.
        """
        clock_input, clock, state = self._read_clock(state, 1)
        inputs = self._enter(frame) + (clock_input[:, 0] if self.clock_harmonics else clock_input)
        if conditioning is not None:
            inputs = inputs + conditioning
        output, state = self.stack.step(inputs, state)
        if self.clock_width:
            output = ops.concatenate([output, clock_input[:, 0]], axis=-1)
        if self.upsampling:
            output = ops.reshape(self.upsampling(output), (-1, self.rate, self.width))
        else:
            output = output[:, None]
        return output, clock + state

    def _enter(self, frames: Any) -> Any:
        return self.entry(self.view(frames) if self.view else frames)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "frame_size": self.frame_size,
            "window": self.window,
            "cell": self.cell,
            "units": self.units,
            "layers": self.layers,
            "skips": self.skips,
            "forget_bias": self.forget_bias,
            "activation_noise": self.activation_noise,
            "preactivation_noise": self.preactivation_noise,
            "input_noise": self.input_noise,
            "clock_harmonics": self.clock_harmonics,
            "dropout": self.dropout,
            "spectrum": self.spectrum,
            "code_width": self.code_width,
            "dilation": self.dilation,
            "rate": self.rate,
            "width": self.width,
        }
