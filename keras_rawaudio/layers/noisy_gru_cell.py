"""A GRU cell with noise on activations and pre-activations, and a hand-written gradient."""

from functools import partial
from typing import Any

import keras
from keras import ops

from keras_rawaudio.layers.recurrent_cell import RecurrentCell, Unit
from keras_rawaudio.layers.time_loop import scan_time


@keras.saving.register_keras_serializable("keras_rawaudio")
class NoisyGRUCell(RecurrentCell):
    """Gated recurrent unit, with the weights and the arithmetic of `keras.layers.GRU`.

    This is the variant with `reset_after=True`: the reset gate acts on the product of the state and
    the recurrent kernel. Gates stand in Keras' order: update, reset, candidate. The update gate `z`
    keeps the state, as in Keras: `h = z * h_before + (1 - z) * candidate`. Other texts exchange `z`
    and `1 - z`.

    Args:
        units: Width of state and output.
        activation_noise: What replaces the gates and the candidate. None: sigmoid and tanh.
            `"hard"`: hard sigmoid and hard tanh, without noise.
            `"half-normal"` or `"normal"`: `NoisyActivation`, hard units with learned noise.
            `"binary"`: the gates are open or closed at random in training (`BinaryStochastic`), and
            as far open as they are likely to be in evaluation; the candidate stays tanh.
        preactivation_noise: Standard deviation of Gaussian noise on the inputs' share of the gates'
            and the candidate's pre-activations (0.005 to 0.05 were of use).
        forget_bias: What the update gate's bias starts from. A GRU has no forget gate; the update
            gate does its work. Above 0 it keeps more of the state at first. None means 0.
        seed: Of the noise.
        kwargs: Keras' own, such as `name` and `dtype`.

    Call arguments:
        inputs: `(B, D)`.
        states: List of one tensor `(B, units)`.
        training: Noise is on only where this is True.

    Raises:
        UserError: For an unknown noise, or sizes that make no sense.

    Example:
        >>> import numpy as np
        >>> layer = keras.layers.RNN(NoisyGRUCell(3, preactivation_noise=0.02))
        >>> tuple(layer(np.zeros((2, 5, 4), "float32")).shape)
        (2, 3)

    Reference:
        Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", section 2.3.
        Gulcehre et al. 2016, "Noisy activation functions".
    """

    state_parts = ("h",)
    blocks = 3
    sigmoids = 2
    tanhs = 1

    def __init__(self, units: int, forget_bias: float | None = None, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.forget_bias = 0.0 if forget_bias is None else float(forget_bias)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)

        def initial_bias(shape: Any, dtype: Any = None) -> Any:
            # The first row belongs to the inputs, the second to the state.
            of_block = ops.array([[self.forget_bias, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=dtype)
            return ops.repeat(of_block, self.units, axis=1)

        self.bias = self.add_weight(
            shape=(2, self.blocks * self.units), initializer=initial_bias, name="bias"
        )

    def input_bias(self) -> Any:
        return self.bias[0]

    def gates(self, projected: Any, state: Any, gate: Unit, tanh: Unit) -> dict[str, Any]:
        recurrent = ops.matmul(state[0], self.recurrent_kernel) + self.bias[1]
        gates, candidate = ops.split(projected, [2 * self.units], axis=-1)
        recurrent_gates, recurrent_candidate = ops.split(recurrent, [2 * self.units], axis=-1)
        update, reset = ops.split(gate(gates + recurrent_gates), 2, axis=-1)
        candidate = tanh(candidate + reset * recurrent_candidate)
        return {"update": update, "reset": reset, "candidate": candidate}

    def advance(self, projected: Any, state: Any, training: bool, noise: Any) -> tuple[Any, ...]:
        options = {"training": training, "noise": noise}
        units = partial(self.gate, **options), partial(self.tanh, **options)
        gates = self.gates(projected, state, *units)
        return (gates["update"] * (state[0] - gates["candidate"]) + gates["candidate"],)

    def scan(self, projected: Any, state: list[Any]) -> tuple[Any, ...]:
        # A copy is a tensor on every backend; TensorFlow takes no variables in there.
        kernel = ops.copy(self.recurrent_kernel)
        return (_gru(projected, kernel, self.bias[1], state[0]),)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"forget_bias": self.forget_bias}


def _gru(projected: Any, kernel: Any, bias: Any, start: Any) -> Any:
    """States `(T, B, U)` of a GRU, with its gradient written by hand.

    Autodiff would add up the recurrent kernel's gradient step by step; here the loop backwards only
    carries the state's gradient, and what it leaves for all steps meets the states in one matrix
    multiply. All factors that do not depend on that loop are computed before it, for all steps.
    """
    units = kernel.shape[0]

    def halves(x: Any) -> tuple[Any, Any]:
        return x[..., : 2 * units], x[..., 2 * units :]

    def forward(projected: Any, kernel: Any, bias: Any, start: Any) -> tuple[Any, Any]:
        def step(last: Any, slices: Any) -> Any:
            h, _ = last
            gate_inputs, candidate_input = slices
            recurrent = ops.matmul(h, kernel) + bias
            update, reset = ops.split(
                ops.sigmoid(gate_inputs + recurrent[:, : 2 * units]), 2, axis=-1
            )
            candidate = ops.tanh(candidate_input + reset * recurrent[:, 2 * units :])
            return update * (h - candidate) + candidate, recurrent

        states, recurrents = scan_time(
            step, (start, ops.zeros_like(projected[0])), halves(projected)
        )

        def gradient(*arguments: Any, upstream: Any = None) -> tuple[Any, ...]:
            (upstream,) = arguments or (upstream,)
            before = ops.concatenate([start[None], states[:-1]], axis=0)
            gate_inputs, candidate_inputs = halves(projected)
            recurrent_gates, recurrent_candidates = halves(recurrents)
            update, reset = ops.split(ops.sigmoid(gate_inputs + recurrent_gates), 2, axis=-1)
            candidate = ops.tanh(candidate_inputs + reset * recurrent_candidates)

            # Factors from a state's gradient to the gradients of the step's pre-activations.
            to_candidate = (1 - update) * (1 - candidate * candidate)
            to_update = (before - candidate) * update * (1 - update)
            to_reset = to_candidate * recurrent_candidates * reset * (1 - reset)
            factors = ops.stack([to_update, to_reset, to_candidate * reset], axis=2)
            transposed = ops.transpose(kernel)

            def back(last: Any, slices: Any) -> Any:
                (d_state,) = last
                factor, update, upstream = slices
                d_recurrent = ops.reshape(d_state[:, None] * factor, (-1, 3 * units))
                return (ops.matmul(d_recurrent, transposed) + d_state * update + upstream,)

            # Step t of the loop turns the gradient of the state after it into the one before it.
            upstream_before = ops.concatenate([ops.zeros_like(upstream[:1]), upstream[:-1]], axis=0)
            backwards = [ops.flip(x, axis=0) for x in (factors, update, upstream_before)]
            d_before = ops.flip(scan_time(back, (upstream[-1],), backwards)[0], axis=0)
            d_states = ops.concatenate([d_before[1:], upstream[-1:]], axis=0)

            d_recurrent = ops.reshape(d_states[:, :, None] * factors, (-1, 3 * units))
            d_gates = ops.reshape(d_recurrent, ops.shape(projected))[..., : 2 * units]
            d_projected = ops.concatenate([d_gates, d_states * to_candidate], axis=-1)
            d_kernel = ops.matmul(ops.transpose(ops.reshape(before, (-1, units))), d_recurrent)
            return d_projected, d_kernel, ops.sum(d_recurrent, axis=0), d_before[0]

        return states, gradient

    return ops.custom_gradient(forward)(projected, kernel, bias, start)
