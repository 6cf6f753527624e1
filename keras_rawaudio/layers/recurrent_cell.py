"""What the noisy LSTM and GRU cells share: weights, noise, and the loop over time."""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import keras
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers.binary_stochastic import BinaryStochastic
from keras_rawaudio.layers.noisy_activation import NoisyActivation
from keras_rawaudio.layers.time_loop import scan_time

Unit = Callable[[Any], Any]
ACTIVATION_NOISES = (None, "hard", "half-normal", "normal", "binary")


class RecurrentCell(keras.Layer):
    """Base of the cells: a subclass names its states and gives `gates`, `advance` and `scan`.

    The work is cut in two. `project` takes the inputs of all time steps through one matrix
    multiply; `step` (one time step) or `run` (all of them) then does what depends on the state.

    Noise is drawn for a whole sequence before the loop and read by it step by step, so that the
    loop itself is deterministic.
    """

    state_parts: ClassVar[tuple[str, ...]]
    """The states' names, in order; each has shape `(B, units)`."""
    blocks: ClassVar[int]
    """Blocks of `units` columns in the kernels: one for each gate and the candidate."""
    sigmoids: ClassVar[int]
    """How many of them are gates."""
    tanhs: ClassVar[int]
    """Times that the cell takes a hyperbolic tangent in a step."""

    def __init__(
        self,
        units: int,
        activation_noise: str | None = None,
        preactivation_noise: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if units < 1:
            raise UserError(f"units must be a positive number, not {units}")
        if activation_noise not in ACTIVATION_NOISES:
            names = ", ".join(str(name) for name in ACTIVATION_NOISES)
            raise UserError(f"unknown activation_noise {activation_noise!r}; take one of {names}")
        if preactivation_noise < 0:
            raise UserError(f"preactivation_noise must not be negative: {preactivation_noise}")
        self.units = units
        self.activation_noise = activation_noise
        self.preactivation_noise = preactivation_noise
        self.seed = seed
        self.state_size = [units] * len(self.state_parts)
        self.output_size = units
        self.gate_units: keras.Layer | None = None
        self.tanh_units: list[NoisyActivation] = []
        if activation_noise == "binary":
            self.gate_units = BinaryStochastic(name="gates", dtype=self.dtype_policy)
        elif activation_noise is not None:
            noise = None if activation_noise == "hard" else activation_noise
            self.gate_units = NoisyActivation(
                "hard_sigmoid", noise=noise, name="gates", dtype=self.dtype_policy
            )
            self.tanh_units = [
                NoisyActivation("hard_tanh", noise=noise, name=f"tanh{i}", dtype=self.dtype_policy)
                for i in range(self.tanhs)
            ]
        noisy = activation_noise not in (None, "hard") or preactivation_noise > 0
        self.seed_generator = keras.random.SeedGenerator(seed) if noisy else None

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.blocks * self.units),
            initializer="glorot_uniform",
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, self.blocks * self.units),
            initializer="orthogonal",
            name="recurrent_kernel",
        )
        if self.gate_units is not None:
            self.gate_units.build((None, self.sigmoids * self.units))
        for unit in self.tanh_units:
            unit.build((None, self.units))

    # -- noise -------------------------------------------------------------------------------------

    def draw_noise(self, *sizes: Any) -> Any:
        """Draw the activations' noise: `(*sizes, W)`, to be given to `step`, or None."""
        if self.activation_noise in (None, "hard"):
            return None
        columns = self.sigmoids + len(self.tanh_units)
        shape = (*sizes, columns * self.units)
        draw = keras.random.uniform if self.activation_noise == "binary" else keras.random.normal
        return draw(shape, dtype=self.compute_dtype, seed=self.seed_generator)

    def gate(self, x: Any, training: bool, noise: Any) -> Any:
        """The gates' activation on `(..., sigmoids * units)`."""
        if self.gate_units is None:
            return ops.sigmoid(x)
        if noise is not None:
            noise = noise[..., : self.sigmoids * self.units]
        return self.gate_units(x, training=training, noise=noise)

    def tanh(self, x: Any, training: bool, noise: Any, which: int = 0) -> Any:
        """The cell's hyperbolic tangent number `which` on `(..., units)`."""
        if not self.tanh_units:
            return ops.tanh(x)
        if noise is not None:
            start = (self.sigmoids + which) * self.units
            noise = noise[..., start : start + self.units]
        return self.tanh_units[which](x, training=training, noise=noise)

    def disturbed(self, preactivations: Any, training: bool) -> Any:
        """Pre-activations of any shape with their noise, in training."""
        if not (training and self.preactivation_noise):
            return preactivations
        return preactivations + keras.random.normal(
            ops.shape(preactivations),
            stddev=self.preactivation_noise,
            dtype=preactivations.dtype,
            seed=self.seed_generator,
        )

    # -- the loop over time ------------------------------------------------------------------------

    @abstractmethod
    def input_bias(self) -> Any:
        """The part of the bias that belongs to the inputs: `(blocks * units,)`."""

    @abstractmethod
    def gates(self, projected: Any, state: Any, gate: Unit, tanh: Unit) -> dict[str, Any]:
        """Gates and candidate by name, from the states before the step.

        Args:
            projected: `(..., B, G)`, from `project`.
            state: The states, `(..., B, units)` each.
            gate: What the gates' pre-activations go through.
            tanh: What the candidate's goes through.
        """

    @abstractmethod
    def advance(self, projected: Any, state: Any, training: bool, noise: Any) -> tuple[Any, ...]:
        """One step; gives the new states, the output first."""

    @abstractmethod
    def scan(self, projected: Any, state: list[Any]) -> tuple[Any, ...]:
        """All steps of the cell without noise on its activations: its states, `(T, B, units)`."""

    def project(self, inputs: Any, training: bool = False) -> Any:
        """Inputs `(..., D)` to the gates' pre-activations `(..., G)`, noise on them in training."""
        return self.disturbed(ops.matmul(inputs, self.kernel) + self.input_bias(), training)

    def step(
        self, projected: Any, state: list[Any], training: bool = False, noise: Any = None
    ) -> tuple[Any, list[Any]]:
        """One time step.

        Args:
            projected: `(B, G)`, from `project`.
            state: The states, `(B, units)` each, in the order of `state_parts`.
            training: Whether noise is on.
            noise: `(B, W)` from `draw_noise`; drawn here where training and not given.

        Returns:
            The output `(B, units)` and the new states.
        """
        if training and noise is None:
            noise = self.draw_noise(ops.shape(projected)[0])
        states = list(self.advance(projected, state, training, noise))
        return states[0], states

    def run(self, projected: Any, state: list[Any], training: bool = False) -> list[Any]:
        """All time steps, time first.

        Args:
            projected: `(T, B, G)`, from `project`.
            state: The states before the first step, `(B, units)` each.
            training: Whether noise is on.

        Returns:
            Each state after each step, `(T, B, units)`, the output first.
        """
        if self.activation_noise is None:
            return list(self.scan(projected, state))
        return list(self.loop(projected, state, training))

    def loop(self, projected: Any, state: list[Any], training: bool = False) -> tuple[Any, ...]:
        """All steps through `advance`, whose gradient autodiff finds."""
        noise = self.draw_noise(*ops.shape(projected)[:2]) if training else None
        sequences = [projected] if noise is None else [projected, noise]

        def one_step(last: tuple[Any, ...], slices: tuple[Any, ...]) -> tuple[Any, ...]:
            return self.advance(slices[0], last, training, *slices[1:] or (None,))

        # Short blocks: autodiff of an unrolled step is slow to build.
        return scan_time(one_step, tuple(state), sequences, block=4)

    def observe(self, projected: Any, state: list[Any], after: list[Any]) -> dict[str, Any]:
        """Gates and activations of all time steps, worked out from the states round them.

        Gates lie in [0, 1]; `candidate`, and an LSTM's `memory` as its output gate sees it, in
        [-1, 1]. Noisy units are shown as their hard functions, which stay at their limits in
        saturation.

        Args:
            projected: `(T, B, G)`, from `project`.
            state: The states before the first step, `(B, units)` each.
            after: What `run` gave for them.

        Returns:
            `(T, B, units)` by name.
        """
        pairs = zip(state, after, strict=True)
        before = [ops.concatenate([s[None], a[:-1]]) for s, a in pairs]
        return self.gates(projected, before, self.plain_gate, self.plain_tanh)

    def plain_gate(self, x: Any) -> Any:
        """The gates' activation without noise, which ends at its limits."""
        if isinstance(self.gate_units, NoisyActivation):
            return self.gate_units.hard(x)
        return ops.sigmoid(x)

    def plain_tanh(self, x: Any) -> Any:
        """The hyperbolic tangent, or the hard one, without noise."""
        return self.tanh_units[0].hard(x) if self.tanh_units else ops.tanh(x)

    def call(self, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
        """Keras' own cell interface, for `keras.layers.RNN`."""
        return self.step(self.project(inputs, training), list(states), training)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "units": self.units,
            "activation_noise": self.activation_noise,
            "preactivation_noise": self.preactivation_noise,
            "seed": self.seed,
        }
