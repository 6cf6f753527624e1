"""One ONNX graph of the whole generator: converted steps, nested into scans over time."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from keras import ops
from onnx import TensorProto, helper

from keras_rawaudio.exporting.int8 import quantized
from keras_rawaudio.exporting.steps import OPSET, Step, convert
from keras_rawaudio.generation.advance import HISTORY, generator_state_spec, prepare_noise
from keras_rawaudio.models import AudioModel

METADATA_KEY = "keras_rawaudio"
SCORE = "score"
# Old enough for runtimes of 2023, new enough for opset 17.
IR_VERSION = 8


def export_onnx(
    model: AudioModel, metadata: dict[str, Any], path: Path, int8: bool = False
) -> None:
    """Write the generator as one self-contained ONNX file.

    Its inputs are `forced (batch, P)`, `noise (batch, N, K)`, `temperature (batch,)` and the state
    tensors; its outputs `audio (batch, N)` and `<state>_next`. What they mean is what
    `keras_rawaudio.generation.advance` says. A head with bits adds `bits (batch, P)`, what each
    forced sample cost, where the input `score` is true; it may be left out, and then they are 0.

    Args:
        model: the model.
        metadata: goes into the file as JSON.
        path: where to write.
        int8: the widest layers in 8 bits.
    """
    proto = compose(model, int8)
    helper.set_model_props(proto, {METADATA_KEY: json.dumps(metadata)})
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())


def compose(model: AudioModel, int8: bool = False) -> onnx.ModelProto:
    """The generator's graph, without metadata; arguments as in `export_onnx`."""
    return _Composer(model, int8).compose()


class _Composer:
    """Builds the graph from the innermost loop outwards.

    One nest of loops reads the forced frames and then draws the others: only where values come
    from is there an `If`. Names of tensors: `history` and the tiers' states under the model's
    names, with a prefix for each loop. Inside of loops time comes first, so that Scan can slice
    it: given values are `(F, B)`, chance is `(F, B, K)`, conditioning `(F, B, width)`.
    """

    def __init__(self, model: AudioModel, int8: bool) -> None:
        self.model = model
        self.int8 = int8
        self.spec = generator_state_spec(model)
        self.states = list(self.spec)
        self.head_states = [f"head_{name}" for name, _ in model.head.state_spec()]
        self.constants: dict[str, onnx.TensorProto] = {}
        self.layout = self._layout_step()
        self.tier_steps = [self._tier_step(i) for i in range(len(model.tiers))]
        self.head_step = self._head_step()
        # What comes out for each sample: its value and, where a head has bits, those of one read.
        self.made = ["values"]
        if model.head.measure == "bits_per_sample":
            self.score = self._score_step()
            self.made.append("bits")
        self.remember = self._remember_step()
        self.finish = self._finish_step()

    def compose(self) -> onnx.ModelProto:
        given = ["forced", "noise", "temperature"]
        nodes, (values, chance, is_drawn) = self.layout.inline("layout", given)
        after, made = [f"{s}_next" for s in self.states], [f"made/{m}" for m in self.made]
        nodes += [
            self._node("Unsqueeze", ["temperature", self._integers([1])], "temperature_column"),
            self._node("Shape", [is_drawn], "frames"),
            self._node("Greater", ["frames", self._integers([0])], "is_any"),
            helper.make_node(
                "If",
                ["is_any"],
                [*after, *made],
                name="advance",
                then_branch=self._frames([*self.states, values, chance, is_drawn]),
                else_branch=self._no_frames([*self.states, *(values for _ in made)]),
            ),
        ]
        finish, (_, *bits) = self.finish.inline("finish", ["forced", *made], ["audio", "bits"])
        inputs = [
            _value("forced", ["batch", "forced_samples"]),
            _value("noise", ["batch", "samples", self.model.head.noise_per_sample]),
            _value("temperature", ["batch"]),
            *(_value(s, ["batch", *shape]) for s, (shape, _) in self.spec.items()),
        ]
        outputs = [
            _value("audio", ["batch", "samples"]),
            *(_value(f"{s}_next", ["batch", *shape]) for s, (shape, _) in self.spec.items()),
            *(_value(name, ["batch", "forced_samples"]) for name in bits),
        ]
        graph = self._graph("generator", [*nodes, *finish], inputs, outputs)
        if bits:
            # An input with a value of its own may be left out.
            graph.input.append(helper.make_tensor_value_info(SCORE, TensorProto.BOOL, []))
            graph.initializer.append(helper.make_tensor(SCORE, TensorProto.BOOL, [], [False]))
        proto = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="keras_rawaudio",
        )
        proto.ir_version = IR_VERSION
        return proto

    # Scan refuses a sequence of length zero, so the loops stand behind an If.

    def _frames(self, given: list[str]) -> onnx.GraphProto:
        outputs = [f"frames/{name}" for name in [*self.states, *self.made]]
        return self._branch("frames", [_scan(self._body(0), given, outputs, 3)], outputs)

    def _no_frames(self, given: list[str]) -> onnx.GraphProto:
        outputs = [f"no_frames/{name}" for name in [*self.states, *self.made]]
        pairs = zip(given, outputs, strict=True)
        return self._branch(
            "no_frames", [self._node("Identity", [a], b) for a, b in pairs], outputs
        )

    def _branch(
        self, name: str, nodes: list[onnx.NodeProto], outputs: list[str]
    ) -> onnx.GraphProto:
        count = len(self.states)
        made = [_inner(output, 3) for output in outputs[count:]]
        return self._graph(name, nodes, [], [*map(_state, outputs[:count]), *made])

    # The bodies of the loops: one for each tier and one for the sample

    def _body(self, i: int) -> onnx.GraphProto:
        at, tier, head = f"loop{i}", self.model.tiers[i], self.model.head
        own = [f"tier{i}_{n}" for n, _ in tier.state_spec()]
        states = {s: f"{at}/{s}" for s in self._states_from(i)}
        given, chance, made = f"{at}/given", f"{at}/chance", [f"{at}/{m}" for m in self.made]
        if i:
            inputs = [_inner(f"{at}/conditioning", 2), _inner(given, 2), _inner(chance, 3)]
        else:
            marks = helper.make_tensor_value_info("is_drawn", TensorProto.BOOL, [])
            inputs = [_inner(given, 2), _inner(chance, 3), marks]
        inputs = [*map(_state, states.values()), *inputs]

        seen = [states[HISTORY], *([f"{at}/conditioning"] if i else []), *(states[s] for s in own)]
        nodes, (output, *after) = self.tier_steps[i].inline(f"{at}/tier", seen)
        states.update(zip(own, after, strict=True))
        if i == len(self.model.tiers) - 1:
            if self.head_states:
                # What it would have said is part of what comes next: the head reads along.
                told = [states[HISTORY], output, chance, *(states[s] for s in self.head_states)]
                more, (drawn, *after) = self.head_step.inline(f"{at}/head", told)
                states.update(zip(self.head_states, after, strict=True))
                nodes += [*more, self._node("Where", ["is_drawn", drawn, given], made[0])]
            else:
                nodes.append(
                    helper.make_node(
                        "If",
                        ["is_drawn"],
                        made,
                        name=f"If/{made[0]}",
                        then_branch=self._draw_frame(states[HISTORY], output, chance),
                        else_branch=self._read_frame(states[HISTORY], output, given),
                    )
                )
            more, (states[HISTORY],) = self.remember.inline(
                f"{at}/remember", [states[HISTORY], made[0]]
            )
            nodes += more
        else:
            below = self.model.tiers[i + 1].frame
            rate, K = tier.frame // below, head.noise_per_sample
            faster = self._states_from(i + 1)
            results = [f"{at}/{s}_after" for s in faster]
            sliced = [output, f"{at}/given_below", f"{at}/chance_below"]
            frames, whole = [f"{m}_below" for m in made], self._integers([tier.frame, -1])
            nodes += [
                self._node("Reshape", [given, self._integers([rate, below, -1])], sliced[1]),
                self._node("Reshape", [chance, self._integers([rate, below, -1, K])], sliced[2]),
                _scan(
                    self._body(i + 1),
                    [*(states[s] for s in faster), *sliced],
                    [*results, *frames],
                    3,
                ),
                *(self._node("Reshape", [f, whole], m) for f, m in zip(frames, made, strict=True)),
            ]
            states.update(zip(faster, results, strict=True))
        outputs = [*map(_state, states.values()), *(_inner(m, 2) for m in made)]
        return self._graph(at, nodes, inputs, outputs)

    def _read_frame(self, history: str, conditioning: str, given: str) -> onnx.GraphProto:
        """The branch that reads a frame of the fastest tier."""
        made = [f"read/{m}" for m in self.made]
        nodes = [self._node("Identity", [given], made[0])]
        if "bits" in self.made:
            seen = [history, conditioning, given]
            score, (bits,) = self.score.inline("read/score", seen)
            none = self._node("Sub", [given, given], "read/no_bits")
            nodes.append(
                helper.make_node(
                    "If",
                    [SCORE],
                    made[1:],
                    name="If/score",
                    then_branch=self._graph("score", score, [], [_inner(bits, 2)]),
                    else_branch=self._graph("no_score", [none], [], [_inner("read/no_bits", 2)]),
                )
            )
        return self._graph("read", nodes, [], [_inner(m, 2) for m in made])

    def _draw_frame(self, history: str, conditioning: str, chance: str) -> onnx.GraphProto:
        """The branch that draws a frame of the fastest tier."""
        values = "draw/values"
        if self.model.head.per_sample:
            nodes = self._draw_samples(history, conditioning, chance, values)
        else:
            told = [history, conditioning, chance]
            nodes, _ = self.head_step.inline("draw/head", told, [values])
        if "bits" in self.made:
            # Nobody asks for the bits of what is drawn: it can be read.
            nodes.append(self._node("Sub", [values, values], "draw/bits"))
        return self._graph("draw", nodes, [], [_inner(f"draw/{m}", 2) for m in self.made])

    def _draw_samples(
        self, history: str, conditioning: str, chance: str, values: str
    ) -> list[onnx.NodeProto]:
        inputs = ["sample/recent", "sample/word", "sample/chance", "temperature_column"]
        step, (value, after) = self.head_step.inline("sample/head", inputs)
        body = self._graph(
            "sample",
            step,
            [_inner(n, 2) for n in inputs[:3]],
            [_inner(after, 2), _inner(value, 2)],
        )
        ends = [self._integers([n]) for n in (-self.model.head.context, 1 << 30, 1)]
        frame = self._integers([self.model.tiers[-1].frame, -1])
        return [
            self._node("Slice", [history, *ends], "draw/recent"),
            _scan(body, ["draw/recent", conditioning, chance], ["draw/last", "draw/column"], 2),
            self._node("Reshape", ["draw/column", frame], values),
        ]

    # The steps, as Keras has them

    def _layout_step(self) -> Step:
        """Frames by time, first those to read and then those to draw: values, chance, which."""
        model = self.model
        F, K = model.frame, model.head.noise_per_sample

        def layout(forced: Any, noise: Any, temperature: Any) -> list[Any]:
            B = ops.shape(forced)[0]
            read, drawn = model.codec.encode(forced, xp=ops), noise[:, :, 0]
            chance = prepare_noise(model, noise, temperature)
            unused = ops.zeros((B, ops.shape(forced)[1], K))
            values = ops.concatenate([read, ops.zeros_like(drawn)], axis=1)
            chance = ops.concatenate([unused, chance], axis=1)
            drawn = ops.concatenate([ops.zeros_like(forced[0]), ops.ones_like(drawn[0])], axis=0)
            return [
                ops.transpose(ops.reshape(values, (B, -1, F)), (1, 2, 0)),
                ops.transpose(ops.reshape(chance, (B, -1, F, K)), (1, 2, 0, 3)),
                drawn[::F] > 0,
            ]

        return self._convert("layout", layout, [(None, None), (None, None, K), (None,)])

    def _finish_step(self) -> Step:
        """One row a stream: drawn values as audio, and the bits of what was read."""

        def finish(forced: Any, *made: Any) -> list[Any]:
            values, *bits = (
                ops.reshape(ops.transpose(m, (2, 0, 1)), (ops.shape(m)[2], -1)) for m in made
            )
            read = ops.shape(forced)[1]
            audio = self.model.codec.decode(values[:, read:], xp=ops)
            return [audio, *(b[:, :read] for b in bits)]

        frames = (None, self.model.frame, None)
        return self._convert("finish", finish, [(None, None), *(frames for _ in self.made)])

    def _score_step(self) -> Step:
        """The bits of each sample of a given frame of the fastest tier."""
        model, head = self.model, self.model.head
        tier = model.tiers[-1]

        def score(history: Any, conditioning: Any, given: Any) -> Any:
            values = ops.transpose(given)
            recent = ops.concatenate([history[:, -head.context :], values[:, :-1]], axis=1)
            if head.per_sample:
                prediction = head(recent, ops.transpose(conditioning, (1, 0, 2)))
            else:
                prediction, _ = head(recent, conditioning[:, None], [])
            # What tf2onnx writes is infinite where a probability is too small for a float.
            nats = ops.minimum(head.score(prediction, values), 100.0)
            return ops.transpose(nats) * (1 / math.log(2))

        frame = tier.frame
        conditioning: tuple[int | None, ...] = (None, tier.width or tier.stack.output_width)
        if head.per_sample:
            conditioning = (frame, *conditioning)
        return self._convert(
            "score", score, [(None, model.context + 1), conditioning, (frame, None)]
        )

    def _tier_step(self, i: int) -> Step:
        model, tier = self.model, self.model.tiers[i]
        last = i == len(model.tiers) - 1

        def step(history: Any, *given: Any) -> list[Any]:
            conditioning, before = (given[0], given[1:]) if i else (None, given)
            frame = model.tier_input(history[:, -tier.window :])
            output, state = tier.step(frame, conditioning, list(before))
            if not last or model.head.per_sample:
                output = ops.transpose(output, (1, 0, 2))
            return [output, *state]

        shapes: list[tuple[int | None, ...]] = [(None, model.context + 1)]
        if i:
            shapes.append((None, tier.input_width))
        shapes += [(None, *shape) for _, shape in tier.state_spec()]
        return self._convert(f"tier{i}", step, shapes)

    def _head_step(self) -> Step:
        head: Any = self.model.head
        if not head.per_sample:
            return self._frame_head_step()

        def step(recent: Any, conditioning: Any, noise: Any, temperature: Any) -> list[Any]:
            value = head.step(recent, conditioning, noise, temperature)
            after = ops.concatenate([recent[:, 1:], value], axis=1)
            return [value, after]

        shapes = [
            (None, head.context),
            (None, head.conditioning_width()),
            (None, head.noise_per_sample),
            (None, 1),
        ]
        return self._convert("head", step, shapes)

    def _frame_head_step(self) -> Step:
        head, tier = self.model.head, self.model.tiers[-1]

        def step(history: Any, conditioning: Any, chance: Any, *state: Any) -> list[Any]:
            recent, by_row = history[:, -head.context :], ops.transpose(chance, (1, 0, 2))
            values, after = head.draw(recent, conditioning, by_row, list(state))
            return [ops.transpose(values), *after]

        shapes: list[tuple[int | None, ...]] = [
            (None, self.model.context + 1),
            (None, tier.width or tier.stack.output_width),
            (tier.frame, None, head.noise_per_sample),
        ]
        return self._convert("head", step, shapes + [(None, *s) for _, s in head.state_spec()])

    def _remember_step(self) -> Step:
        frame = self.model.tiers[-1].frame

        def remember(history: Any, values: Any) -> Any:
            return ops.concatenate([history[:, frame:], ops.transpose(values)], axis=1)

        return self._convert("remember", remember, [(None, self.model.context + 1), (frame, None)])

    # Small helpers

    def _convert(self, name: str, function: Any, shapes: Any) -> Step:
        step = convert(name, function, shapes)
        step = quantized(step) if self.int8 else step
        self.constants.update({c.name: c for c in step.constants})
        return step

    def _graph(
        self,
        name: str,
        nodes: list[onnx.NodeProto],
        inputs: list[onnx.ValueInfoProto],
        outputs: list[onnx.ValueInfoProto],
    ) -> onnx.GraphProto:
        """A graph that holds the constants of its nodes: ONNX Runtime packs no others' matrices."""
        constants: dict[str, onnx.TensorProto] = {}
        for node in nodes:
            for place, used in enumerate(node.input):
                if used in self.constants:
                    constants[used] = onnx.TensorProto()
                    constants[used].CopyFrom(self.constants[used])
                    node.input[place] = constants[used].name = f"{name}/{used}"
        return helper.make_graph(nodes, name, inputs, outputs, list(constants.values()))

    def _states_from(self, i: int) -> list[str]:
        """States that move inside of tier `i`'s loop."""
        slower = tuple(f"tier{k}_" for k in range(i))
        return [s for s in self.states if not (slower and s.startswith(slower))]

    def _integers(self, values: list[int]) -> str:
        name = "int/" + "_".join(map(str, values))
        self.constants[name] = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        return name

    @staticmethod
    def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [output], name=f"{kind}/{output}", **attributes)


def _value(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _inner(name: str, rank: int) -> onnx.ValueInfoProto:
    """A tensor in a loop: runtimes before 1.24 want a shape, if only of free sizes."""
    return _value(name, [f"{name}/{axis}" for axis in range(rank)])


def _state(name: str) -> onnx.ValueInfoProto:
    return _inner(name, 2)


def _scan(
    body: onnx.GraphProto, inputs: list[str], outputs: list[str], scanned: int
) -> onnx.NodeProto:
    name = f"Scan/{outputs[0]}"
    return helper.make_node("Scan", inputs, outputs, name=name, body=body, num_scan_inputs=scanned)
