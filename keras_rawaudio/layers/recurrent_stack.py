"""Several recurrent layers as one pure function of inputs and state."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers.deep_gate_lstm_cell import DeepGateLSTMCell
from keras_rawaudio.layers.noisy_gru_cell import NoisyGRUCell
from keras_rawaudio.layers.noisy_lstm_cell import NoisyLSTMCell
from keras_rawaudio.layers.recurrent_cell import RecurrentCell

CELLS: dict[str, type[RecurrentCell]] = {
    "gru": NoisyGRUCell,
    "lstm": NoisyLSTMCell,
    "deep-gate-lstm": DeepGateLSTMCell,
}


@keras.saving.register_keras_serializable("keras_rawaudio")
class RecurrentStack(keras.Layer):
    """One to five recurrent layers: `(inputs, state) -> (outputs, state)`.

    It holds no state: the caller carries it from window to window and zeroes the rows that start
    anew. `step` goes one time step with the same weights, for generation and export.

    Args:
        cell: `"gru"`, `"lstm"` or `"deep-gate-lstm"`.
        units: Width of each layer: one number for all, or a list.
        layers: Number of layers, 1 to 5; may be left out where `units` is a list.
        skips: Whether the outputs of all layers are shown side by side, instead of the last one's;
            `"memories"`: what all layers remember, an LSTM's cell states.
        activation_noise: See `NoisyLSTMCell`.
        preactivation_noise: See `NoisyLSTMCell`.
        forget_bias: Of the forget gate of an LSTM, of the update gate of a GRU; see their cells.
        dilation: Steps from a state to the next one that is computed from it. With more than 1, as
            many sequences take turns, each with a state of its own and all with the same weights.
        seed: Of the noise; each layer gets its own from it.
        kwargs: Keras' own, such as `name` and `dtype`.

    Call arguments:
        inputs: `(B, T, D)`.
        state: List of tensors `(B, dilation * units)`, in the order of `state_names`: the states of
            all sequences side by side, first that of the next to be used.
        training: Noise is on only where this is True.

    Returns:
        Outputs `(B, T, O)` and the list of states after the last time step; `O` is `output_width`.

    Raises:
        UserError: For an unknown cell or noise, or too many layers.

    Example:
        >>> import numpy as np
        >>> stack = RecurrentStack("lstm", units=[4, 3], skips=True)
        >>> outputs, state = stack(np.zeros((2, 5, 6), "float32"), stack.zero_state(2))
        >>> tuple(outputs.shape), stack.state_names()
        ((2, 5, 7), ['layer0_h', 'layer0_c', 'layer1_h', 'layer1_c'])

    Reference:
        Graves 2013, "Generating sequences with recurrent neural networks", section 2 (skips).
        Chang et al. 2017, "Dilated recurrent neural networks", section 2.1.
    """

    watcher: Callable[[str, dict[str, Any]], None] | None = None
    """Called with each layer's name and its gates (`RecurrentCell.observe`); `None`: not called."""

    def __init__(
        self,
        cell: str = "gru",
        units: int | Sequence[int] = 256,
        layers: int | None = None,
        skips: bool | Literal["memories"] = False,
        activation_noise: str | None = None,
        preactivation_noise: float = 0.0,
        forget_bias: float | None = None,
        dilation: int = 1,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if cell not in CELLS:
            raise UserError(f"unknown cell {cell!r}; take one of {', '.join(CELLS)}")
        if isinstance(units, int):
            widths = [units] * (1 if layers is None else layers)
        else:
            widths = [int(width) for width in units]
        if not 1 <= len(widths) <= 5:
            raise UserError(f"a recurrent stack has 1 to 5 layers, not {len(widths)}")
        if layers is not None and layers != len(widths):
            raise UserError(f"layers is {layers}, but units lists {len(widths)} widths: {widths}")
        self.cell = cell
        self.units = widths
        self.layers = len(widths)
        self.skips = skips
        self.activation_noise = activation_noise
        self.preactivation_noise = preactivation_noise
        self.forget_bias = forget_bias
        self.dilation = dilation
        self.seed = seed
        self.cells = [
            CELLS[cell](
                width,
                forget_bias=forget_bias,
                activation_noise=activation_noise,
                preactivation_noise=preactivation_noise,
                seed=None if seed is None else seed + index,
                name=f"layer{index}",
                dtype=self.dtype_policy,
            )
            for index, width in enumerate(widths)
        ]
        self.output_width = sum(widths) if skips else widths[-1]

    def build(self, inputs_shape: Any, state_shape: Any = None) -> None:
        width = inputs_shape[-1]
        for cell in self.cells:
            cell.build((None, width))
            width = cell.units

    def call(self, inputs: Any, state: list[Any], training: bool = False) -> tuple[Any, list[Any]]:
        if self.dilation == 1:
            return self._sequence(inputs, state, training)
        D, T = self.dilation, inputs.shape[1]
        states = [list(each) for each in zip(*(ops.split(x, D, -1) for x in state), strict=True)]
        outputs, begins = [], range(min(D, T))
        for begin in begins:
            output, states[begin] = self._sequence(inputs[:, begin::D], states[begin], training)
            outputs.append(output)
        times = np.concatenate([np.arange(begin, T, D) for begin in begins])
        outputs = ops.take(ops.concatenate(outputs, axis=1), np.argsort(times), axis=1)
        states = states[T % D :] + states[: T % D]
        return outputs, [ops.concatenate(each, axis=-1) for each in zip(*states, strict=True)]

    def _sequence(self, inputs: Any, state: list[Any], training: bool) -> tuple[Any, list[Any]]:
        """All time steps, each from the one before."""
        # Time first, so that a step's slice lies in one piece.
        hidden = ops.transpose(inputs, (1, 0, 2))
        outputs, states = [], []
        for cell, before in zip(self.cells, self._by_layer(state), strict=True):
            projected = cell.project(hidden, training)
            sequences = cell.run(projected, before, training)
            if self.watcher:
                self.watcher(cell.name, cell.observe(projected, before, sequences))
            hidden = sequences[0]
            outputs.append(self._handed_on(sequences))
            states += [x[-1] for x in sequences]
        return ops.transpose(self._shown(outputs), (1, 0, 2)), states

    def compute_output_spec(
        self, inputs: Any, state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        def spec(*shape: Any) -> Any:
            return keras.KerasTensor(shape, dtype=self.compute_dtype)

        return spec(*inputs.shape[:2], self.output_width), [spec(*x.shape) for x in state]

    def step(self, inputs: Any, state: list[Any]) -> tuple[Any, list[Any]]:
        """One time step without noise: inputs `(B, D)` to outputs `(B, O)` and the new state."""
        hidden, outputs, states = inputs, [], []
        given = state if self.dilation == 1 else [ops.split(x, self.dilation, -1)[0] for x in state]
        for cell, before in zip(self.cells, self._by_layer(given), strict=True):
            hidden, after = cell.step(cell.project(hidden), before)
            outputs.append(self._handed_on(after))
            states += after
        if self.dilation > 1:
            pairs = zip(state, states, strict=True)
            states = [ops.concatenate([x[:, y.shape[1] :], y], axis=-1) for x, y in pairs]
        return self._shown(outputs), states

    def state_shapes(self) -> list[tuple[str, tuple[int, ...]]]:
        """Name and shape (rows left out) of each state tensor."""
        return [
            (f"layer{index}_{part}", (self.dilation * cell.units,))
            for index, cell in enumerate(self.cells)
            for part in cell.state_parts
        ]

    def state_names(self) -> list[str]:
        """The state tensors' names, in order."""
        return [name for name, _ in self.state_shapes()]

    def zero_state(self, rows: Any) -> list[Any]:
        """A fresh state for `rows` rows."""
        return [ops.zeros((rows, *shape), self.compute_dtype) for _, shape in self.state_shapes()]

    def _by_layer(self, state: list[Any]) -> list[list[Any]]:
        each = len(self.cells[0].state_parts)
        return [list(state[start : start + each]) for start in range(0, len(state), each)]

    def _handed_on(self, states: list[Any]) -> Any:
        """A layer's output comes first among its states, its memory last."""
        return states[-1] if self.skips == "memories" else states[0]

    def _shown(self, outputs: list[Any]) -> Any:
        if not self.skips or len(outputs) == 1:
            return outputs[-1]
        return ops.concatenate(outputs, axis=-1)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "cell": self.cell,
            "units": self.units,
            "layers": self.layers,
            "skips": self.skips,
            "activation_noise": self.activation_noise,
            "preactivation_noise": self.preactivation_noise,
            "forget_bias": self.forget_bias,
            "dilation": self.dilation,
            "seed": self.seed,
        }
