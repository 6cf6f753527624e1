"""What an `AudioModel`'s generator does, step by step, each step a small ONNX graph."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from keras_rawaudio.exporters.onnx_graph import GraphBuilder
from keras_rawaudio.exporters.steps import Step
from keras_rawaudio.generation.advance import is_paced, pace, paced_step, prepare_noise
from keras_rawaudio.models import AudioModel
from keras_rawaudio.models.controls import RAW_RATE, with_level

Shape = tuple[int | None, ...]


class AudioSteps:
    """The model's functions, converted one by one through tf2onnx.

    Inside of loops time comes first: values of a frame are `(F, B)`, its noise is `(F, B, K)`, and
    the conditioning of a faster tier `(rate, B, width)`.

    Args:
        model: the model.
        builder: of the graph that the steps go into.

    Attributes:
        layout: all frames by time.
        noise_width: numbers per sample, as the head prepares them.
        tiers: a step of each tier.
        begin_frame: the head's subframe inputs, then its frame inputs.
        subframe_inputs: shapes of the first, one subframe each.
        subframe: the next samples, and the past moved on by them.
        end_frame: the history moved on, the frame's output, the head's state.
        observe_frame: the head's state after a given frame; `None` for a head without one.
        score: bits of a given frame; `None` for a head without bits, or with a bound alone.
        remember: the history moved on by a given frame.
        finish: what the loops made, as audio and bits.

    Of a model that is `paced` also, else `None`:
        is_paced: what `generation.advance.is_paced` gives.
        paced: what `generation.advance.paced_step` gives, and the place.
        level: audio at the level that is asked for, and the gain that it ends with.
    """

    def __init__(self, model: AudioModel, builder: GraphBuilder) -> None:
        self.model = model
        self._convert = builder.step
        self.noise_width = 0
        self.subframe_inputs: list[Shape] = []
        self._frame_inputs: list[Shape] = []
        self.layout = self._layout_step()
        self.tiers = [self._tier_step(i) for i in range(len(model.tiers))]
        self.begin_frame = self._begin_frame_step()
        self.subframe = self._subframe_step()
        self.end_frame = self._end_frame_step()
        self.observe_frame = self._observe_frame_step() if model.head.state_spec() else None
        has_bits = model.head.measure == "bits_per_sample" and not model.head.bound
        self.score = self._score_step() if has_bits else None
        self.remember = self._remember_step()
        self.finish = self._finish_step(2 if has_bits else 1)
        self.is_paced = self._is_paced_step() if model.paced else None
        self.paced = self._paced_step() if model.paced else None
        self.level = self._level_step() if model.paced else None

    @property
    def _history(self) -> Shape:
        return (None, self.model.context + 1)

    @property
    def _frame_shapes(self) -> list[Shape]:
        """Of the history, and of the fastest tier's output."""
        tier = self.model.tiers[-1]
        return [self._history, (None, tier.rate, tier.width or tier.output_width)]

    @property
    def _head_shapes(self) -> list[Shape]:
        """Of the head's state."""
        return [(None, *shape) for _, shape in self.model.head.state_spec()]

    def _layout_step(self) -> Step:
        """Frames by time, first those to read and then those to draw: values, noise, which."""
        model = self.model
        F = model.frame

        def layout(forced: Any, noise: Any, temperature: Any) -> list[Any]:
            B = ops.shape(forced)[0]
            read, drawn = model.codec.encode(forced, xp=ops), noise[:, :, 0]
            noise = prepare_noise(model, noise, temperature)
            self.noise_width = K = noise.shape[-1]
            unused = ops.zeros((B, ops.shape(forced)[1], K))
            values = ops.concatenate([read, ops.zeros_like(drawn)], axis=1)
            noise = ops.concatenate([unused, noise], axis=1)
            drawn = ops.concatenate([ops.zeros_like(forced[0]), ops.ones_like(drawn[0])], axis=0)
            return [
                ops.transpose(ops.reshape(values, (B, -1, F)), (1, 2, 0)),
                ops.transpose(ops.reshape(noise, (B, -1, F, K)), (1, 2, 0, 3)),
                drawn[::F] > 0,
            ]

        noise = (None, None, model.head.noise_per_sample)
        return self._convert("layout", layout, [(None, None), noise, (None,)])

    def _finish_step(self, count: int) -> Step:
        """One row per stream: drawn values as audio, and the bits of what was read."""

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

        def score(history: Any, condition: Any, given: Any, *state: Any) -> Any:
            values = ops.transpose(given)
            window = ops.concatenate([history[:, -head.context :], values[:, :-1]], axis=1)
            prediction, _ = head(window, condition, list(state))
            # What tf2onnx writes is infinite where a probability is too small for a float.
            nats = ops.minimum(head.score(prediction, values), 100.0)
            return ops.transpose(nats) * (1 / math.log(2))

        given = (model.tiers[-1].frame_size, None)
        return self._convert("score", score, [*self._frame_shapes, given, *self._head_shapes])

    def _tier_step(self, i: int) -> Step:
        model, tier = self.model, self.model.tiers[i]

        def step(source: Any, *given: Any) -> list[Any]:
            conditioning, before = (given[0], given[1:]) if i else (None, given)
            if tier.code_width:
                frame = model.head.codes.or_silence(source)
            else:
                frame = model.tier_input(source[:, -tier.window :])
            output, state = tier.step(frame, conditioning, list(before))
            if i < len(model.tiers) - 1:
                output = ops.transpose(output, (1, 0, 2))
            return [output, *state]

        shapes: list[Shape] = [(None, tier.code_width) if tier.code_width else self._history]
        if i:
            shapes.append((None, tier.input_width))
        shapes += [(None, *shape) for _, shape in tier.state_spec()]
        return self._convert(f"tier{i}", step, shapes)

    def _begin_frame_step(self) -> Step:
        head = self.model.head

        def begin(history: Any, condition: Any, noise: Any, *state: Any) -> list[Any]:
            by_row = ops.transpose(noise, (1, 0, 2))
            frame_inputs, subframe_inputs = head.begin_frame(
                history[:, -head.context :], condition, by_row, list(state)
            )
            self._frame_inputs = [(None, *x.shape[1:]) for x in frame_inputs]
            self.subframe_inputs = [(None, *x.shape[2:]) for x in subframe_inputs]
            return [*subframe_inputs, *frame_inputs]

        noise = (head.frame_size, None, self.noise_width)
        return self._convert("begin", begin, [*self._frame_shapes, noise, *self._head_shapes])

    def _subframe_step(self) -> Step:
        head, count = self.model.head, len(self.subframe_inputs)
        F, S = head.frame_size, head.subframes

        def subframe(past: Any, *inputs: Any) -> list[Any]:
            samples = head.sample_subframe(past, list(inputs[:count]), list(inputs[count:]))
            moved = ops.concatenate([past[:, samples.shape[1] :], samples], axis=1)
            if head.context < F // S:  # a node in this loop costs more than its work
                moved = moved[:, -head.context :]
            return [samples, moved]

        shapes = [(None, head.context), *self.subframe_inputs, *self._frame_inputs]
        return self._convert("subframe", subframe, shapes)

    def _end_frame_step(self) -> Step:
        head, count = self.model.head, len(self._frame_inputs)
        F, S = head.frame_size, head.subframes

        def end(history: Any, samples: Any, *inputs: Any) -> list[Any]:
            frame = ops.reshape(ops.transpose(samples, (1, 0, 2)), (-1, F))
            history = ops.concatenate([history[:, F:], frame], axis=1)
            output, state = head.end_frame(history, list(inputs[:count]), list(inputs[count:]))
            return [history, ops.transpose(output), *state]

        shapes = [self._history, (S, None, F // S), *self._frame_inputs, *self._head_shapes]
        return self._convert("end", end, shapes)

    def _observe_frame_step(self) -> Step:
        head = self.model.head

        def observe(history: Any, condition: Any, given: Any, *state: Any) -> list[Any]:
            frame = ops.transpose(given)
            return head.observe_frame(history[:, -head.context :], condition, frame, list(state))

        given = (head.frame_size, None)
        return self._convert("observe", observe, [*self._frame_shapes, given, *self._head_shapes])

    def _remember_step(self) -> Step:
        F = self.model.head.frame_size

        def remember(history: Any, values: Any) -> Any:
            return ops.concatenate([history[:, F:], ops.transpose(values)], axis=1)

        return self._convert("remember", remember, [self._history, (F, None)])

    @property
    def _tier_shapes(self) -> list[Shape]:
        """Of the only tier's state."""
        return [(None, *shape) for _, shape in self.model.tiers[0].state_spec()]

    @property
    def _noise(self) -> Shape:
        """Of a frame, by time."""
        return (self.model.head.frame_size, None, self.noise_width)

    def _is_paced_step(self) -> Step:
        return self._convert("is_paced", is_paced, [(None, 1)] * 3)

    def _paced_step(self) -> Step:
        count = len(self._tier_shapes)

        def step(place: Any, tempo: Any, density: Any, hold: Any, *given: Any) -> Any:
            place, twice, held = pace(place, tempo, hold)
            output, noise, codes, *states = given
            noise, before, after = ops.transpose(noise, (1, 0, 2)), states[:count], states[count:]
            output, noise, after = paced_step(
                self.model, twice, held, density, output, noise, codes, before, after
            )
            return [output, ops.transpose(noise, (1, 0, 2)), *after, place]

        given = [*[(None, 1)] * 4, self._frame_shapes[1], self._noise, *self._head_shapes]
        return self._convert("paced", step, [*given, *self._tier_shapes * 2])

    def _level_step(self) -> Step:
        def level(audio: Any, level: Any, gain: Any) -> list[Any]:
            return list(with_level(audio, level, gain, RAW_RATE))

        return self._convert("level", level, [(None, None), (None, 1), (None, 1)])
