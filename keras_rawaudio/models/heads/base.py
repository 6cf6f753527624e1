"""The protocol of heads: predict, sample frame by frame, score."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import keras
from keras import ops


class Head(keras.layers.Layer):
    """Turns the fastest tier's output into a prediction, a loss and, in generation, samples.

    A frame is drawn in equal subframes. `begin_frame` does once what the whole frame needs,
    `sample_subframe` draws the next samples, and `end_frame` gives the output and the new state. A
    head that draws sample by sample has subframes of one sample; a head that draws a whole frame
    has one subframe (`WholeFrameHead`).

    Args:
        frame_size: samples per frame of the fastest tier.

    Attributes:
        kind: its name in a recipe.
        measure: what its score is reported as: `"bits_per_sample"` or `"variance_unexplained"`.
        context: past samples that it reads.
        condition_width: width of the conditioning vectors, one per subframe; `None`: it takes one
            vector per frame, the tier's output.
        subframes: subframes per frame.
        noise_per_sample: uniform numbers that one sample takes.
        reconstruct: whether it predicts the frame just read instead of the next samples.
        loss_is_score: whether the loss is what `measure` counts.
        quantizable: whether 8-bit weights make it faster.
        deterministic: whether it draws without noise.
        bound: whether its score is a bound, which takes random numbers: an exported file, which
            draws none, then gives no bits.
        adversarial: whether its loss is that of two players, which falls for neither: training
            then keeps the latest weights.
    """

    kind: ClassVar[str]
    measure: ClassVar[str]
    quantizable: ClassVar[bool] = False
    context: int = 1
    condition_width: int | None = None
    subframes: int = 1
    noise_per_sample: int = 1
    reconstruct: bool = False
    loss_is_score: bool = True
    deterministic: ClassVar[bool] = False
    bound: ClassVar[bool] = False
    adversarial: bool = False

    def __init__(self, frame_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.frame_size = frame_size

    def fit(self, segments: Any) -> None:
        """Fit what is not learned to `segments` of the train part, in codec values."""

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes (without the batch) of the state carried from frame to frame."""
        return []

    @abstractmethod
    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The prediction for every sample of a window.

        Args:
            history: `(B, context - 1 + N)` codec values; the last `context` up to and including
                `history[:, context - 1 + t]` precede sample `t`.
            condition: `(B, N, condition_width)`, or `(B, T, width)` from a tier without width.
            state: a list as `state_spec` says.
            training: as in Keras.

        Returns:
            The prediction and the state after the window.
        """

    @abstractmethod
    def loss(self, prediction: Any, target: Any) -> Any:
        """What training minimizes, per sample: `(B, N)`."""

    def score(self, prediction: Any, target: Any) -> Any:
        """What `measure` is the mean of, per sample: nats, or squared error `(B, N)`."""
        return self.loss(prediction, target)

    def terms(self, prediction: Any, target: Any) -> dict[str, Any]:
        """Parts of the loss that validation reports, by name: `(B, N)` or `(B, 1)` each."""
        return {}

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        """Whatever can be done to all noise at once, before the loops over frames.

        Args:
            noise: `(B, N, noise_per_sample)` in (0, 1).
            temperature: `(B, 1, 1)`.

        Returns:
            `(B, N, K)`, of which `begin_frame` gets a frame.
        """
        return noise

    @abstractmethod
    def begin_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        """What the subframes of the next frame need.

        Args:
            history: `(B, context)` codec values before the frame.
            condition: `(B, subframes, condition_width)`, or `(B, 1, width)`.
            noise: `(B, frame_size, K)` from `prepare_noise`.
            state: as `state_spec` says.

        Returns:
            Frame inputs, each `(B, ...)`, the same for all subframes; and subframe inputs, each
            `(subframes, B, ...)`.
        """

    @abstractmethod
    def sample_subframe(
        self, past: Any, subframe_inputs: list[Any], frame_inputs: list[Any]
    ) -> Any:
        """The next samples.

        Args:
            past: `(B, context)` codec values before them.
            subframe_inputs: this subframe's, each `(B, ...)`.
            frame_inputs: from `begin_frame`.

        Returns:
            `(B, frame_size / subframes)` codec values.
        """

    def end_frame(
        self, history: Any, frame_inputs: list[Any], state: list[Any]
    ) -> tuple[Any, list[Any]]:
        """The output of a frame and the state after it.

        Args:
            history: `(B, n)` codec values that end with the frame, `n >= context`.
            frame_inputs: from `begin_frame`.
            state: the state before the frame.

        Returns:
            `(B, frame_size)` codec values, and the state.
        """
        return history[:, -self.frame_size :], state

    def observe_frame(self, history: Any, condition: Any, frame: Any, state: list[Any]) -> Any:
        """The state after a frame that was read instead of drawn.

        Args:
            history: `(B, context)` codec values before it.
            condition: as for `begin_frame`.
            frame: `(B, frame_size)` codec values.
            state: as `state_spec` says.
        """
        # Even after a frame that is read, the state holds the prediction of later samples.
        noise = ops.zeros((*ops.shape(frame), self.noise_per_sample))
        frame_inputs, _ = self.begin_frame(history, condition, noise, state)
        return self.end_frame(ops.concatenate([history, frame], axis=1), frame_inputs, state)[1]

    def draw_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, Any, list[Any]]:
        """A whole frame by the protocol above.

        Args:
            history: `(B, n)` codec values before the frame, `n >= max(context, frame_size)`.
            condition: as for `begin_frame`.
            noise: as for `begin_frame`.
            state: as `state_spec` says.

        Returns:
            The output `(B, frame_size)`, the history moved on by the drawn frame, the state.
        """
        frame_inputs, subframe_inputs = self.begin_frame(
            history[:, -self.context :], condition, noise, state
        )

        def subframe(i: Any, history: Any) -> tuple[Any, Any]:
            inputs = [ops.take(x, i, axis=0) for x in subframe_inputs]
            samples = self.sample_subframe(history[:, -self.context :], inputs, frame_inputs)
            return i + 1, ops.concatenate([history[:, samples.shape[1] :], samples], axis=1)

        _, history = ops.while_loop(
            lambda i, _: i < self.subframes, subframe, (ops.zeros((), "int32"), history)
        )
        output, state = self.end_frame(history, frame_inputs, state)
        return output, history, state

    def _at_least(self, least: int, **values: int) -> None:
        """Refuse arguments below their least value.

        Raises:
            ValueError: which one, and its value.
        """
        for name, value in values.items():
            if value < least:
                raise ValueError(f"a {self.kind} head needs {name} >= {least}, not {value}")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frame_size": self.frame_size}


class WholeFrameHead(Head):
    """A head whose frame is one subframe: subclasses give `sample_frame`.

    Attributes:
        hidden_layer: between the tier's output and the output layer; None: there is none.
    """

    hidden_layer: keras.layers.Dense | None = None

    def _make_hidden_layer(self, units: int) -> None:
        """The hidden layer, unless `units` is 0."""
        if units:
            self.hidden_layer = keras.layers.Dense(units, activation="relu", name="hidden")

    def _build_hidden_layer(self, width: int) -> int:
        """Build it for inputs of a width; the width of what the output layer reads."""
        if self.hidden_layer is None:
            return width
        self.hidden_layer.build((None, width))
        return self.hidden_layer.units

    def _hidden(self, condition: Any) -> Any:
        """What the output layer reads."""
        return condition if self.hidden_layer is None else self.hidden_layer(condition)

    @abstractmethod
    def sample_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        """The next frame `(B, frame_size)` and the state after it; see `Head.begin_frame`."""

    def begin_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        samples, state = self.sample_frame(history, condition, noise, state)
        return state, [samples[None]]

    def sample_subframe(
        self, past: Any, subframe_inputs: list[Any], frame_inputs: list[Any]
    ) -> Any:
        return subframe_inputs[0]

    def end_frame(
        self, history: Any, frame_inputs: list[Any], state: list[Any]
    ) -> tuple[Any, list[Any]]:
        return history[:, -self.frame_size :], frame_inputs
