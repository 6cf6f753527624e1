"""Heads that draw a whole frame at once."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from keras_rawaudio.models.heads.base import Head


class WholeFrameHead(Head):
    """A head whose frame is one subframe: subclasses give `sample_frame`."""

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
