"""What a generator does, step by step, each step a small ONNX graph."""

from __future__ import annotations

import math
from typing import Any

import onnx
from keras import ops

from keras_rawaudio.exporters.int8 import quantized
from keras_rawaudio.exporters.steps import Step, convert
from keras_rawaudio.generation.advance import prepare_noise
from keras_rawaudio.models import AudioModel

Shape = tuple[int | None, ...]


class ModelSteps:
    """The model's functions, converted one by one through tf2onnx.

    Inside of loops time comes first: values of a frame are `(F, B)`, noise is `(F, B, K)`,
    conditioning `(F, B, width)`.

    Args:
        model: the model.
        int8: wide layers in 8 bits.

    Attributes:
        constants: of all steps, by name.
        layout: all frames by time.
        tiers: a step of each tier.
        plan: before the turns of a head that draws in turns; else `None`.
        turns: shapes of what a plan gives turn by turn.
        head: a sample, a turn, or a frame of the head.
        listen: a given frame moves the head's state; `None` for a head without one.
        score: bits of a given frame; `None` for a head without bits.
        remember: the history moves on.
        hear: what is heard of a drawn frame; `None` where that is the frame itself.
        finish: what the loops made, as audio and bits.
    """

    def __init__(self, model: AudioModel, int8: bool = False) -> None:
        self.model = model
        self.int8 = int8
        self.constants: dict[str, onnx.TensorProto] = {}
        self.turns: list[Shape] = []
        self.layout = self._layout_step()
        self.tiers = [self._tier_step(i) for i in range(len(model.tiers))]
        self.plan = self._plan_step() if model.head.steps else None
        self.head = self._head_step()
        self.listen = self._listen_step() if model.head.state_spec() else None
        has_bits = model.head.measure == "bits_per_sample"
        self.score = self._score_step() if has_bits else None
        self.remember = self._remember_step()
        self.hear = self._hear_step() if model.head.postfiltered else None
        self.finish = self._finish_step(2 if has_bits else 1)

    @property
    def _frame_shapes(self) -> list[Shape]:
        """Of the history, and of what the fastest tier says of a frame."""
        tier = self.model.tiers[-1]
        return [(None, self.model.context + 1), (None, tier.width or tier.output_width)]

    @property
    def _head_shapes(self) -> list[Shape]:
        """Of the head's state."""
        return [(None, *shape) for _, shape in self.model.head.state_spec()]

    def _layout_step(self) -> Step:
        """Frames by time, first those to read and then those to draw: values, noise, which."""
        model = self.model
        F, K = model.frame, model.head.noise_per_sample

        def layout(forced: Any, noise: Any, temperature: Any) -> list[Any]:
            B = ops.shape(forced)[0]
            read, drawn = model.codec.encode(forced, xp=ops), noise[:, :, 0]
            noise = prepare_noise(model, noise, temperature)
            unused = ops.zeros((B, ops.shape(forced)[1], K))
            values = ops.concatenate([read, ops.zeros_like(drawn)], axis=1)
            noise = ops.concatenate([unused, noise], axis=1)
            drawn = ops.concatenate([ops.zeros_like(forced[0]), ops.ones_like(drawn[0])], axis=0)
            return [
                ops.transpose(ops.reshape(values, (B, -1, F)), (1, 2, 0)),
                ops.transpose(ops.reshape(noise, (B, -1, F, K)), (1, 2, 0, 3)),
                drawn[::F] > 0,
            ]

        return self._convert("layout", layout, [(None, None), (None, None, K), (None,)])

    def _finish_step(self, count: int) -> Step:
        """One row a stream: drawn values as audio, and the bits of what was read."""

        def finish(forced: Any, *made: Any) -> list[Any]:
            values, *bits = (
                ops.reshape(ops.transpose(m, (2, 0, 1)), (ops.shape(m)[2], -1)) for m in made
            )
            read = ops.shape(forced)[1]
            audio = self.model.codec.decode(values[:, read:], xp=ops)
            return [audio, *(b[:, :read] for b in bits)]

        frames = (None, self.model.frame, None)
        return self._convert("finish", finish, [(None, None), *[frames] * count])

    def _score_step(self) -> Step:
        """The bits of each sample of a given frame of the fastest tier."""
        model, head = self.model, self.model.head
        frame = model.tiers[-1].frame_size

        def score(history: Any, conditioning: Any, given: Any, *state: Any) -> Any:
            values = ops.transpose(given)
            recent = ops.concatenate([history[:, -head.context :], values[:, :-1]], axis=1)
            if head.per_sample:
                prediction = head(recent, ops.transpose(conditioning, (1, 0, 2)))
            else:
                prediction, _ = head(recent, conditioning[:, None], list(state))
            # What tf2onnx writes is infinite where a probability is too small for a float.
            nats = ops.minimum(head.score(prediction, values), 100.0)
            return ops.transpose(nats) * (1 / math.log(2))

        history, conditioning = self._frame_shapes
        if head.per_sample:
            conditioning = (frame, *conditioning)
        return self._convert(
            "score", score, [history, conditioning, (frame, None), *self._head_shapes]
        )

    def _tier_step(self, i: int) -> Step:
        model, tier = self.model, self.model.tiers[i]
        last = i == len(model.tiers) - 1

        def step(source: Any, *given: Any) -> list[Any]:
            conditioning, before = (given[0], given[1:]) if i else (None, given)
            if tier.code_width:
                seen = model.head.codes_input(source)
            else:
                seen = model.tier_input(source[:, -tier.window :])
            output, state = tier.step(seen, conditioning, list(before))
            if not last or model.head.per_sample:
                output = ops.transpose(output, (1, 0, 2))
            return [output, *state]

        shapes: list[Shape] = [(None, tier.code_width or model.context + 1)]
        if i:
            shapes.append((None, tier.input_width))
        shapes += [(None, *shape) for _, shape in tier.state_spec()]
        return self._convert(f"tier{i}", step, shapes)

    def _plan_step(self) -> Step:
        head = self.model.head

        def plan(history: Any, conditioning: Any, noise: Any, *own: Any) -> list[Any]:
            recent, by_row = history[:, -head.context :], ops.transpose(noise, (1, 0, 2))
            turns, held, kept = head.plan(recent, conditioning, by_row, list(own))
            self.turns = [(None, *v.shape[2:]) for v in turns]
            self._held = [(None, v.shape[1]) for v in held]
            return [*turns, *held, *kept]

        noise = (self.model.tiers[-1].frame_size, None, head.noise_per_sample)
        kept = self._head_shapes[-head.kept :]
        return self._convert("plan", plan, [*self._frame_shapes, noise, *kept])

    def _head_step(self) -> Step:
        head: Any = self.model.head
        if head.steps:
            return self._turn_step()
        if not head.per_sample:
            return self._frame_step()

        def step(recent: Any, conditioning: Any, noise: Any, temperature: Any) -> list[Any]:
            value = head.step(recent, conditioning, noise, temperature)
            return [value, ops.concatenate([recent[:, 1:], value], axis=1)]

        shapes = [
            (None, head.context),
            (None, head.conditioning_width()),
            (None, head.noise_per_sample),
            (None, 1),
        ]
        return self._convert("head", step, shapes)

    def _turn_step(self) -> Step:
        head, now = self.model.head, len(self.turns)
        given = now + len(self._held)

        def turn(past: Any, *told: Any) -> list[Any]:
            turns, held, state = told[:now], told[now:given], told[given:]
            frame, after = head.turn(past, list(turns), list(held), list(state))
            past = ops.concatenate([past[:, frame.shape[1] :], frame], axis=1)
            return [frame, past, *after]

        moved = self._head_shapes[: -head.kept]
        shapes = [(None, head.context), *self.turns, *self._held, *moved]
        return self._convert("turn", turn, shapes)

    def _frame_step(self) -> Step:
        head = self.model.head

        def step(history: Any, conditioning: Any, noise: Any, *state: Any) -> list[Any]:
            recent, by_row = history[:, -head.context :], ops.transpose(noise, (1, 0, 2))
            values, after = head.draw(recent, conditioning, by_row, list(state))
            return [ops.transpose(values), *after]

        noise = (self.model.tiers[-1].frame_size, None, head.noise_per_sample)
        return self._convert("head", step, [*self._frame_shapes, noise, *self._head_shapes])

    def _listen_step(self) -> Step:
        head = self.model.head

        def listen(history: Any, conditioning: Any, given: Any, *state: Any) -> list[Any]:
            recent = history[:, -head.context :]
            return head.observe_frame(recent, conditioning, ops.transpose(given), list(state))

        given = (self.model.tiers[-1].frame_size, None)
        return self._convert("listen", listen, [*self._frame_shapes, given, *self._head_shapes])

    def _remember_step(self) -> Step:
        frame = self.model.tiers[-1].frame_size

        def remember(history: Any, values: Any) -> Any:
            return ops.concatenate([history[:, frame:], ops.transpose(values)], axis=1)

        return self._convert("remember", remember, [(None, self.model.context + 1), (frame, None)])

    def _hear_step(self) -> Step:
        head, count = self.model.head, len(self._head_shapes)

        def hear(history: Any, *own: Any) -> Any:
            past = history[:, -head.context :]
            return ops.transpose(head.postprocess(past, list(own[:count]), list(own[count:])))

        history = (None, self.model.context + 1)
        return self._convert("hear", hear, [history, *self._head_shapes, *self._head_shapes])

    def _convert(self, name: str, function: Any, shapes: Any) -> Step:
        step = convert(name, function, shapes)
        step = quantized(step) if self.int8 else step
        self.constants.update({c.name: c for c in step.constants})
        return step
