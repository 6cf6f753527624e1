"""An LSTM cell with noise on activations and pre-activations, and a hand-written gradient."""

from functools import partial
from typing import Any

import keras
from keras import ops

from keras_rawaudio.layers.recurrent_cell import RecurrentCell, Unit
from keras_rawaudio.layers.time_loop import scan_time


@keras.saving.register_keras_serializable("keras_rawaudio")
class NoisyLSTMCell(RecurrentCell):
    """Long short-term memory, with the weights and the arithmetic of `keras.layers.LSTM`.

    Gates stand in Keras' order: input, forget, candidate, output.

    Args:
        units: Width of state and output.
        activation_noise: What replaces the gates, the candidate and the output's tanh. None:
            sigmoid and tanh. `"hard"`: hard sigmoid and hard tanh, without noise. `"half-normal"`
            or `"normal"`: `NoisyActivation`, hard units with learned noise. `"binary"`: the gates
            are open or closed at random in training (`BinaryStochastic`), and as far open as they
            are likely to be in evaluation; both tanh stay.
        preactivation_noise: Standard deviation of Gaussian noise on the gates' and the candidate's
            pre-activations (0.005 to 0.05 were of use).
        forget_bias: What the forget gate's bias starts from; None means 1.
        seed: Of the noise.
        kwargs: Keras' own, such as `name` and `dtype`.

    Call arguments:
        inputs: `(B, D)`.
        states: List of two tensors `(B, units)`: output and memory.
        training: Noise is on only where this is True.

    Raises:
        UserError: For an unknown noise, or sizes that make no sense.

    Example:
        >>> import numpy as np
        >>> layer = keras.layers.RNN(NoisyLSTMCell(3, preactivation_noise=0.02))
        >>> tuple(layer(np.zeros((2, 5, 4), "float32")).shape)
        (2, 3)

    Reference:
        Gers, Schmidhuber and Cummins 2000, "Learning to forget: continual prediction with LSTM".
        Jozefowicz, Zaremba and Sutskever 2015, "An empirical exploration of recurrent network
        architectures" (the forget gate's bias).
        Gulcehre et al. 2016, "Noisy activation functions".
    """

    state_parts = ("h", "c")
    blocks = 4
    sigmoids = 3
    tanhs = 2

    def __init__(self, units: int, forget_bias: float | None = None, **kwargs: Any) -> None:
        super().__init__(units, **kwargs)
        self.forget_bias = 1.0 if forget_bias is None else float(forget_bias)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)

        def initial_bias(shape: Any, dtype: Any = None) -> Any:
            of_block = ops.array([0.0, self.forget_bias, 0.0, 0.0], dtype=dtype)
            return ops.repeat(of_block, self.units)

        self.bias = self.add_weight(
            shape=(self.blocks * self.units,), initializer=initial_bias, name="bias"
        )

    def input_bias(self) -> Any:
        return self.bias

    def preactivations(self, projected: Any, h: Any) -> Any:
        """Of the gates and the candidate: `(..., 4 * units)`."""
        return projected + ops.matmul(h, self.recurrent_kernel)

    def gates(self, projected: Any, state: Any, gate: Unit, tanh: Unit) -> dict[str, Any]:
        sums = self.preactivations(projected, state[0])
        taken, kept, candidate, shown = ops.split(sums, 4, axis=-1)
        gates = gate(ops.concatenate([taken, kept, shown], axis=-1))
        taken, kept, shown = ops.split(gates, 3, axis=-1)
        return {"input": taken, "forget": kept, "candidate": tanh(candidate), "output": shown}

    def advance(self, projected: Any, state: Any, training: bool, noise: Any) -> tuple[Any, ...]:
        options = {"training": training, "noise": noise}
        units = partial(self.gate, **options), partial(self.tanh, **options)
        gates = self.gates(projected, state, *units)
        c = gates["forget"] * state[1] + gates["input"] * gates["candidate"]
        return gates["output"] * self.tanh(c, training, noise, which=1), c

    def observe(self, projected: Any, state: list[Any], after: list[Any]) -> dict[str, Any]:
        memory = self.plain_tanh(after[1])
        return super().observe(projected, state, after) | {"memory": memory}

    def scan(self, projected: Any, state: list[Any]) -> tuple[Any, ...]:
        # A copy is a tensor on every backend; TensorFlow takes no variables in there.
        kernel = ops.copy(self.recurrent_kernel)
        both = _lstm(projected, kernel, *state)
        return both[..., : self.units], both[..., self.units :]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"forget_bias": self.forget_bias}


def _lstm(projected: Any, kernel: Any, start_h: Any, start_c: Any) -> Any:
    """States `(T, B, 2 U)` of an LSTM, h and c side by side, with its gradient written by hand.

    Autodiff would add up the recurrent kernel's gradient step by step; here the loop backwards only
    carries the states' gradients, and what it leaves for all steps meets the states in one matrix
    multiply. All factors that do not depend on that loop are computed before it, for all steps.
    One tensor comes out because PyTorch under Keras takes a single one here.
    """
    units = kernel.shape[0]

    def forward(projected: Any, kernel: Any, start_h: Any, start_c: Any) -> tuple[Any, Any]:
        def step(last: Any, slices: Any) -> Any:
            h, c, _ = last
            sums = slices[0] + ops.matmul(h, kernel)
            taken, kept, candidate, shown = ops.split(sums, 4, axis=-1)
            c = ops.sigmoid(kept) * c + ops.sigmoid(taken) * ops.tanh(candidate)
            return ops.sigmoid(shown) * ops.tanh(c), c, sums

        hs, cs, sums = scan_time(
            step, (start_h, start_c, ops.zeros_like(projected[0])), [projected]
        )

        def gradient(*arguments: Any, upstream: Any = None) -> tuple[Any, ...]:
            (upstream,) = arguments or (upstream,)
            h_before = ops.concatenate([start_h[None], hs[:-1]], axis=0)
            c_before = ops.concatenate([start_c[None], cs[:-1]], axis=0)
            taken, kept, candidate, shown = ops.split(sums, 4, axis=-1)
            taken, kept, shown = ops.sigmoid(taken), ops.sigmoid(kept), ops.sigmoid(shown)
            candidate, squashed = ops.tanh(candidate), ops.tanh(cs)

            # Factors from the memory's gradient (and, for the last gate, from the output's) to the
            # gradients of the step's pre-activations.
            memory_factors = ops.stack(
                [
                    candidate * taken * (1 - taken),
                    c_before * kept * (1 - kept),
                    taken * (1 - candidate * candidate),
                ],
                axis=2,
            )
            output_factor = squashed * shown * (1 - shown)
            h_to_c = shown * (1 - squashed * squashed)
            transposed = ops.transpose(kernel)

            def back(last: Any, slices: Any) -> Any:
                d_h, d_c, _ = last
                memory_factor, output_factor, h_to_c, kept, upstream_h, upstream_c = slices
                d_c = d_c + d_h * h_to_c
                d_memory = ops.reshape(d_c[:, None] * memory_factor, (-1, 3 * units))
                d_sums = ops.concatenate([d_memory, d_h * output_factor], axis=-1)
                return ops.matmul(d_sums, transposed) + upstream_h, d_c * kept + upstream_c, d_sums

            # Step t of the loop turns the gradients of the states after it into those before it.
            upstream_before = ops.concatenate([ops.zeros_like(upstream[:1]), upstream[:-1]], axis=0)
            sequences = (memory_factors, output_factor, h_to_c, kept)
            sequences = (*sequences, *ops.split(upstream_before, 2, axis=-1))
            backwards = [ops.flip(x, axis=0) for x in sequences]
            last = (*ops.split(upstream[-1], 2, axis=-1), ops.zeros_like(projected[0]))
            d_h, d_c, d_sums = scan_time(back, last, backwards)

            d_sums = ops.flip(d_sums, axis=0)
            d_kernel = ops.matmul(
                ops.transpose(ops.reshape(h_before, (-1, units))),
                ops.reshape(d_sums, (-1, 4 * units)),
            )
            return d_sums, d_kernel, d_h[-1], d_c[-1]

        return ops.concatenate([hs, cs], axis=-1), gradient

    return ops.custom_gradient(forward)(projected, kernel, start_h, start_c)
