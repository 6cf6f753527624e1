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
from keras_rawaudio.exporters.steps import OPSET
from keras_rawaudio.generation.advance import CODES, HISTORY, generator_state_spec
from keras_rawaudio.models import AudioModel, Model, SpectralModel

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

    # The bodies of the loops: one for each tier and one for the subframe

    def _body(self, i: int) -> onnx.GraphProto:
        at, tier = f"loop{i}", self.model.tiers[i]
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
            moved = [*self.head_states, HISTORY]
            seen = [states[HISTORY], output, *(states[s] for s in self.head_states)]
            states.update({s: f"{at}/{s}_after" for s in moved})
            nodes.append(
                helper.make_node(
                    "If",
                    ["is_drawn"],
                    [*made, *(states[s] for s in moved)],
                    name=f"If/{made[0]}",
                    then_branch=self._draw_frame(noise, *seen),
                    else_branch=self._read_frame(given, *seen),
                )
            )
        else:
            below = self.model.tiers[i + 1].frame_size
            rate, K = tier.frame_size // below, self.steps.noise_width
            faster = self._states_from(i + 1)
            results = [f"{at}/{s}_after" for s in faster]
            sliced = [output, f"{at}/given_below", f"{at}/noise_below"]
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

    def _read_frame(self, given: str, history: str, condition: str, *state: str) -> onnx.GraphProto:
        """The branch that reads a frame of the fastest tier; `state` is the head's."""
        seen = [history, condition, given, *state]
        results = [f"read/{name}" for name in [*self.made, *self.head_states, HISTORY]]
        nodes = [self._node("Identity", [given], results[0])]
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
        if self.steps.observe_frame:
            after = results[len(self.made) : -1]
            nodes += self.steps.observe_frame.inline("read/head", seen, after)[0]
        nodes += self.steps.remember.inline("read/remember", [history, given], results[-1:])[0]
        return self._graph("read", nodes, [], [_inner(r, 2) for r in results])

    def _draw_frame(self, noise: str, history: str, condition: str, *state: str) -> onnx.GraphProto:
        """The branch that draws one: subframe by subframe, in a loop of its own."""
        results = [f"draw/{name}" for name in [*self.made, *self.head_states, HISTORY]]
        shapes = self.steps.subframe_inputs
        nodes, begun = self.steps.begin_frame.inline(
            "draw/begin", [history, condition, noise, *state]
        )
        sequences, frame_inputs = begun[: len(shapes)], begun[len(shapes) :]
        now = [f"subframe/input{i}" for i in range(len(shapes))]
        subframe, (samples, past) = self.steps.subframe.inline(
            "subframe/head", ["subframe/past", *now, *frame_inputs]
        )
        body = self._graph(
            "subframe",
            subframe,
            [_state("subframe/past"), *map(_inner, now, map(len, shapes))],
            [_inner(past, 2), _inner(samples, 2)],
        )
        ends = [self._integers([n]) for n in (-self.model.head.context, 1 << 30, 1)]
        end, _ = self.steps.end_frame.inline(
            "draw/end",
            [history, "draw/samples", *frame_inputs, *state],
            [results[-1], results[0], *results[len(self.made) : -1]],
        )
        nodes += [
            self._node("Slice", [history, *ends], "draw/recent"),
            _scan(body, ["draw/recent", *sequences], ["draw/last", "draw/samples"], len(shapes)),
            *end,
        ]
        if self.steps.score:
            # Nobody asks for the bits of what is drawn: it can be read.
            nodes.append(self._node("Sub", [results[0], results[0]], results[1]))
        return self._graph("draw", nodes, [], [_inner(r, 2) for r in results])

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
