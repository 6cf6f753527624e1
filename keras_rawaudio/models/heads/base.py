"""What every head can do."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import keras
from keras import ops


class Head(keras.layers.Layer):
    """Turns the fastest tier's output into a prediction, a loss and, in generation, samples.

    A head is either `per_sample` (it is given one conditioning vector a sample and the samples
    just before it, and draws with `step`) or works on a whole frame at once (and draws with
    `draw`). One of the second kind may carry a state of its own.

    Attributes:
        kind: its name in a recipe.
        per_sample: whether it draws sample by sample.
        measure: what its loss is reported as: `"bits_per_sample"` or `"variance_unexplained"`.
        context: samples that it sees before the one that it predicts.
        noise_per_sample: numbers in [0, 1) that it needs to draw one sample.
        reconstruct: whether it learns to give back the frame just read, not the next samples.
        loss_is_score: whether training makes small what `measure` counts.
        steps: turns in which a frame is drawn by a head that is not per sample; 0: at once.
        kept: tensors at the end of its state that move frame by frame, not turn by turn.
        postfiltered: whether what is `postprocess`ed is another thing than what it draws.
    """

    kind: ClassVar[str]
    per_sample: ClassVar[bool]
    measure: ClassVar[str]
    context: int = 1
    noise_per_sample: int = 1
    reconstruct: bool = False
    loss_is_score: bool = True
    steps: int = 0
    kept: int = 0
    postfiltered: bool = False

    @abstractmethod
    def conditioning_width(self) -> int | None:
        """Width of the conditioning vectors that it wants; `None`: the tier's own output."""

    @abstractmethod
    def build_for(self, width: int, frame: int) -> None:
        """Make the weights: conditioning `width` wide, `frame` samples a frame."""

    def fit(self, segments: Any) -> None:
        """Take from the train part (`segments` of codec values) what is not learned."""

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        """Do to all noise at once what need not be done sample by sample.

        Args:
            noise: `(B, N, noise_per_sample)` in [0, 1).
            temperature: `(B, 1, 1)`.

        Returns:
            `(B, N, noise_per_sample)`: what `step` is given, sample by sample.
        """
        return noise

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        """Names and shapes (without the batch) of what it carries from frame to frame."""
        return []

    @abstractmethod
    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The prediction for every sample.

        Args:
            recent: `(B, context - 1 + N)` codec values; the last `context` up to and including
                `recent[:, context - 1 + t]` come before sample `t`.
            conditioning: `(B, N, width)` for a head per sample, else `(B, T, width)`.
            state: a list as `state_spec` says; only for a head that is not per sample.
            training: as in Keras.

        Returns:
            The prediction; with the state after it, by a head that is not per sample.
        """

    def draw(
        self, recent: Any, conditioning: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        """The next frame, outside of training, by a head that is not per sample.

        Args:
            recent: `(B, context)` codec values before it.
            conditioning: `(B, width)`.
            noise: `(B, frame, noise_per_sample)` from `prepare_noise`.
            state: as `state_spec` says.

        Returns:
            `(B, frame)` codec values and the new state.
        """
        raise NotImplementedError(f"a {self.kind} head draws sample by sample")

    def plan(
        self, recent: Any, conditioning: Any, noise: Any, kept: list[Any]
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """The first half of `draw`, for a head that draws a frame in `steps` turns.

        Args:
            recent: as for `draw`.
            conditioning: as for `draw`.
            noise: as for `draw`.
            kept: the last `kept` tensors of the head's state.

        Returns:
            What `turn` is given turn by turn, each `(steps, B, ...)`; what it is given every time,
            each `(B, n)`; and `kept` after the frame.
        """
        raise NotImplementedError(f"a {self.kind} head draws a frame at once")

    def turn(
        self, past: Any, turns: list[Any], held: list[Any], state: list[Any]
    ) -> tuple[Any, list[Any]]:
        """One turn: the next `frame / steps` samples `(B, n)`, and the state that turns move.

        Args:
            past: `(B, context)` codec values before them.
            turns: from `plan`, this turn's.
            held: from `plan`.
            state: the first tensors of the head's state.
        """
        raise NotImplementedError(f"a {self.kind} head draws a frame at once")

    def postprocess(self, past: Any, before: list[Any], after: list[Any]) -> Any:
        """What is heard of the frame that was drawn last; what comes next rests on the frame.

        Args:
            past: `(B, context)` codec values, the frame at their end.
            before: the state before it, as `state_spec` says.
            after: the state after it.

        Returns:
            `(B, frame)` codec values.
        """
        raise NotImplementedError(f"a {self.kind} head plays what it draws")

    def observe_frame(
        self, recent: Any, conditioning: Any, frame: Any, state: list[Any]
    ) -> list[Any]:
        """The state after a frame that was given, not drawn.

        Args:
            recent: `(B, context)` codec values before it.
            conditioning: `(B, width)`.
            frame: `(B, frame)` codec values.
            state: as `state_spec` says.
        """
        # What it would have said is part of what comes next.
        noise = ops.zeros((*ops.shape(frame), self.noise_per_sample))
        return self.draw(recent, conditioning, noise, state)[1]

    @abstractmethod
    def loss(self, prediction: Any, target: Any) -> Any:
        """What training makes small, for each sample; `(B, N)`."""

    def score(self, prediction: Any, target: Any) -> Any:
        """What `measure` is the mean of, for each sample: nats, or squared error; `(B, N)`."""
        return self.loss(prediction, target)
