"""One ONNX graph of the whole generator: converted steps, nested into scans over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from keras_rawaudio.exporters import spectral_onnx
from keras_rawaudio.exporters.model_steps import ModelSteps
from keras_rawaudio.exporters.steps import OPSET, Step
from keras_rawaudio.generation.advance import HISTORY, generator_state_spec
from keras_rawaudio.models import AudioModel, Model, SpectralModel
from keras_rawaudio.models.heads.predictive import CODES

METADATA_KEY = "keras_rawaudio"
SCORE = "score"
# Old enough for runtimes of 2023, new enough for opset 17.
IR_VERSION = 8


def export_onnx(model: Model, metadata: dict[str, Any], path: Path, int8: bool = False) -> None:
    """Write the generator as one self-contained ONNX file.

    Its inputs are `forced (batch, P)`, `noise (batch, N, K)`, `temperature (batch,)` and the state
    tensors; its outputs `audio (batch, N)` and `<state>_next`. What they mean is what
    `keras_rawaudio.generation.advance` says. A head with bits adds `bits (batch, P)`, what each
    forced sample cost, where the input `score` is true; it may be left out, and then they are 0.

    Args:
        model: the model.
        metadata: goes into the file as JSON.
        path: where to write.
        int8: wide layers in 8 bits.
    """
    if isinstance(model, SpectralModel):
        proto = spectral_onnx.compose(model)
    else:
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
    names, with a prefix for each loop. Inside of loops time comes first, so that Scan can slice it.
    """

    def __init__(self, model: AudioModel, int8: bool) -> None:
        self.model = model
        self.spec = generator_state_spec(model)
        self.states = list(self.spec)
        self.head_states = [f"head_{name}" for name, _ in model.head.state_spec()]
        self.steps = ModelSteps(model, int8)
        self.constants = self.steps.constants
        # What comes out for each sample: its value and, where a head has bits, those of one read.
        self.made = ["values", "bits"] if self.steps.score else ["values"]

    def compose(self) -> onnx.ModelProto:
        given = ["forced", "noise", "temperature"]
        nodes, (values, noise, is_drawn) = self.steps.layout.inline("layout", given)
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
                then_branch=self._frames([*self.states, values, noise, is_drawn]),
                else_branch=self._no_frames([*self.states, *(values for _ in made)]),
            ),
        ]
        finish, (_, *bits) = self.steps.finish.inline(
            "finish", ["forced", *made], ["audio", "bits"]
        )
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
        given, noise, made = f"{at}/given", f"{at}/noise", [f"{at}/{m}" for m in self.made]
        if i:
            inputs = [_inner(f"{at}/conditioning", 2), _inner(given, 2), _inner(noise, 3)]
        else:
            marks = helper.make_tensor_value_info("is_drawn", TensorProto.BOOL, [])
            inputs = [_inner(given, 2), _inner(noise, 3), marks]
        inputs = [*map(_state, states.values()), *inputs]

        source = states[CODES if tier.code_width else HISTORY]
        seen = [source, *([f"{at}/conditioning"] if i else []), *(states[s] for s in own)]
        nodes, (output, *after) = self.steps.tiers[i].inline(f"{at}/tier", seen)
        states.update(zip(own, after, strict=True))
        if i == len(self.model.tiers) - 1:
            own = [states[s] for s in self.head_states]
            states.update({s: f"{at}/{s}_after" for s in self.head_states})
            nodes.append(
                helper.make_node(
                    "If",
                    ["is_drawn"],
                    [*made, *(states[s] for s in self.head_states)],
                    name=f"If/{made[0]}",
                    then_branch=self._draw_frame(states[HISTORY], output, noise, own),
                    else_branch=self._read_frame(states[HISTORY], output, given, own),
                )
            )
            more, (states[HISTORY],) = self.steps.remember.inline(
                f"{at}/remember", [states[HISTORY], made[0]]
            )
            nodes += more
            if self.steps.hear:
                after = [states[s] for s in self.head_states]
                more, heard = self.steps.hear.inline(f"{at}/hear", [states[HISTORY], *own, *after])
                nodes, made = nodes + more, [*heard, *made[1:]]
        else:
            below = self.model.tiers[i + 1].frame_size
            rate, K = tier.frame_size // below, head.noise_per_sample
            faster = self._states_from(i + 1)
            results = [f"{at}/{s}_after" for s in faster]
            sliced = [output, f"{at}/given_below", f"{at}/chance_below"]
            frames, whole = [f"{m}_below" for m in made], self._integers([tier.frame_size, -1])
            nodes += [
                self._node("Reshape", [given, self._integers([rate, below, -1])], sliced[1]),
                self._node("Reshape", [noise, self._integers([rate, below, -1, K])], sliced[2]),
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

    def _read_frame(
        self, history: str, conditioning: str, given: str, own: list[str]
    ) -> onnx.GraphProto:
        """The branch that reads a frame of the fastest tier; `own` is the head's state."""
        seen = [history, conditioning, given, *own]
        nodes = [self._node("Identity", [given], "read/values")]
        if self.steps.score:
            score, (bits,) = self.steps.score.inline("read/score", seen)
            none = self._node("Sub", [given, given], "read/no_bits")
            nodes.append(
                helper.make_node(
                    "If",
                    [SCORE],
                    ["read/bits"],
                    name="If/score",
                    then_branch=self._graph("score", score, [], [_inner(bits, 2)]),
                    else_branch=self._graph("no_score", [none], [], [_inner("read/no_bits", 2)]),
                )
            )
        results = [f"read/{name}" for name in [*self.made, *self.head_states]]
        if self.steps.listen:
            listen, _ = self.steps.listen.inline("read/head", seen, results[len(self.made) :])
            nodes += listen
        return self._graph("read", nodes, [], [_inner(r, 2) for r in results])

    def _draw_frame(
        self, history: str, conditioning: str, noise: str, own: list[str]
    ) -> onnx.GraphProto:
        """The branch that draws one."""
        results = [f"draw/{name}" for name in [*self.made, *self.head_states]]
        told, after = [history, conditioning, noise], results[len(self.made) :]
        if self.model.head.per_sample:
            nodes = self._draw_samples(history, conditioning, noise, results[0])
        elif self.steps.plan:
            nodes = self._draw_turns(self.steps.plan, told, own, [results[0], *after])
        else:
            nodes, _ = self.steps.head.inline("draw/head", [*told, *own], [results[0], *after])
        if self.steps.score:
            # Nobody asks for the bits of what is drawn: it can be read.
            nodes.append(self._node("Sub", [results[0], results[0]], results[1]))
        return self._graph("draw", nodes, [], [_inner(r, 2) for r in results])

    def _draw_samples(
        self, history: str, conditioning: str, noise: str, values: str
    ) -> list[onnx.NodeProto]:
        inputs = ["sample/recent", "sample/word", "sample/noise", "temperature_column"]
        step, (value, after) = self.steps.head.inline("sample/head", inputs)
        body = self._graph(
            "sample",
            step,
            [_inner(n, 2) for n in inputs[:3]],
            [_inner(after, 2), _inner(value, 2)],
        )
        frame = self._integers([self.model.tiers[-1].frame_size, -1])
        return [
            self._recent(history),
            _scan(body, ["draw/recent", conditioning, noise], ["draw/last", "draw/column"], 2),
            self._node("Reshape", ["draw/column", frame], values),
        ]

    def _draw_turns(
        self, plan: Step, told: list[str], own: list[str], results: list[str]
    ) -> list[onnx.NodeProto]:
        ranks, kept = [len(shape) for shape in self.steps.turns], self.model.head.kept
        turns = len(ranks)
        values, *after = results
        nodes, planned = plan.inline("draw/plan", [*told, *own[-kept:]])
        moved = [f"turn/{s}" for s in self.head_states[:-kept]]
        now = [f"turn/now{i}" for i in range(turns)]
        given = ["turn/past", *now, *planned[turns:-kept], *moved]
        turn, (frame, past, *state) = self.steps.head.inline("turn/head", given)
        body = self._graph(
            "turn",
            turn,
            [*map(_state, ["turn/past", *moved]), *map(_inner, now, ranks)],
            [_inner(n, 2) for n in [past, *state, frame]],
        )
        begin = ["draw/recent", *own[:-kept], *planned[:turns]]
        end = ["draw/last", *after[:-kept], "draw/turns"]
        frame_shape = self._integers([self.model.tiers[-1].frame_size, -1])
        known = zip(planned[-kept:], after[-kept:], strict=True)
        return [
            *nodes,
            self._recent(told[0]),
            _scan(body, begin, end, turns),
            self._node("Transpose", ["draw/turns"], "draw/by_time", perm=[0, 2, 1]),
            self._node("Reshape", ["draw/by_time", frame_shape], values),
            *(self._node("Identity", [a], b) for a, b in known),
        ]

    def _recent(self, history: str) -> onnx.NodeProto:
        ends = [self._integers([n]) for n in (-self.model.head.context, 1 << 30, 1)]
        return self._node("Slice", [history, *ends], "draw/recent")

    # Small helpers

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
