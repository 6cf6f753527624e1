"""What every exported graph is built from: nodes, constants, loops, and the generator's frame."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from keras_rawaudio.exporters.int8 import quantized
from keras_rawaudio.exporters.steps import OPSET, Step, convert
from keras_rawaudio.generation import generator_state_spec
from keras_rawaudio.models import Model

SCORE = "score"
# Old enough for runtimes of 2023, new enough for opset 17.
IR_VERSION = 8
TABLE_VALUES = 4096  # of a table that is worth being held once
WIDE = 16  # columns over rows of a matrix that is held once, too: packed it is no faster


class GraphBuilder:
    """Builds the ONNX graph of one model's generator.

    Args:
        model: the model.
        int8: wide layers in 8 bits.

    Attributes:
        spec: shape without the batch, and first value, of each state tensor by name.
        constants: of all nodes, by name.
        tables: those among them that the outermost graph holds.
    """

    def __init__(self, model: Model, int8: bool = False) -> None:
        self.model, self.int8 = model, int8
        self.spec = generator_state_spec(model)
        self.constants: dict[str, onnx.TensorProto] = {}
        self.tables: dict[str, onnx.TensorProto] = {}

    def step(self, name: str, function: Any, shapes: Sequence[tuple[int | None, ...]]) -> Step:
        """A converted function (see `convert`), whose constants graphs of this builder find."""
        step = convert(name, function, shapes)
        step = quantized(step) if self.int8 else step
        self.constants.update({c.name: c for c in step.constants})
        return step

    # Constants, by name

    def integers(self, *values: int) -> str:
        """A list of integers."""
        name = "int/" + "_".join(map(str, values))
        self.constants[name] = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        return name

    def index(self, value: int) -> str:
        """One integer without axes."""
        name = f"index/{value}"
        self.constants[name] = helper.make_tensor(name, TensorProto.INT64, [], [value])
        return name

    def floats(self, name: str, values: Any) -> str:
        """An array of floats."""
        self.constants[name] = numpy_helper.from_array(np.asarray(values, np.float32), name)
        return name

    def doubles(self, name: str, values: Any) -> str:
        """An array of floats of 64 bits."""
        self.constants[name] = numpy_helper.from_array(np.asarray(values, np.float64), name)
        return name

    # Nodes

    def slice(self, source: str, start: int, stop: int, axis: int, output: str) -> onnx.NodeProto:
        """`source[start:stop]` along an axis."""
        return node("Slice", [source, *map(self.integers, (start, stop, axis))], output)

    def all_frames(
        self,
        body: onnx.GraphProto,
        states: Sequence[str],
        sequences: Sequence[str],
        made: dict[str, str],
    ) -> list[onnx.NodeProto]:
        """Nodes that run a loop's body once per frame; without frames states stay as they are.

        Scan refuses a sequence of length zero, so it stands behind an If.

        Args:
            body: takes the states and a frame of each sequence; gives the new states and what
                the frame made.
            states: names of states that move.
            sequences: frames first, the last of rank 1.
            made: what comes out for each frame, by name, and a sequence of the same rank that
                stands for it where there is no frame.
        """
        after, outputs = [f"{name}_next" for name in states], list(made)
        ranks = [1 + len(self.spec[name][0]) for name in states]
        ranks += [1 + len(o.type.tensor_type.shape.dim) for o in body.output[len(states) :]]
        results = [f"frames/{name}" for name in [*states, *outputs]]
        stay = [f"no_frames/{name}" for name in [*states, *outputs]]
        same = zip([*states, *made.values()], stay, strict=True)
        loop = scan(body, [*states, *sequences], results, len(sequences))
        return [
            node("Shape", [sequences[-1]], "frames"),
            node("Greater", ["frames", self.integers(0)], "is_any"),
            choice(
                "is_any",
                [*after, *outputs],
                self.graph("frames", [loop], [], list(map(inner, results, ranks))),
                self.graph(
                    "no_frames",
                    [node("Identity", [a], b) for a, b in same],
                    [],
                    list(map(inner, stay, ranks)),
                ),
            ),
        ]

    # Graphs

    def graph(
        self,
        name: str,
        nodes: list[onnx.NodeProto],
        inputs: list[onnx.ValueInfoProto],
        outputs: list[onnx.ValueInfoProto],
    ) -> onnx.GraphProto:
        """A graph that holds the constants of its nodes: ONNX Runtime packs no others' matrices.

        Large tables and wide matrices are for the outermost graph, for ONNX Runtime keeps a copy of
        each inner graph for every graph around it.
        """
        constants: dict[str, onnx.TensorProto] = {}
        for each in nodes:
            for place, used in enumerate(each.input):
                if used in self.constants and self._is_table(used, each.op_type):
                    self.tables[used] = self.constants[used]
                elif used in self.constants:
                    constants[used] = onnx.TensorProto()
                    constants[used].CopyFrom(self.constants[used])
                    each.input[place] = constants[used].name = f"{name}/{used}"
        return helper.make_graph(nodes, name, inputs, outputs, list(constants.values()))

    def _is_table(self, constant: str, kind: str) -> bool:
        """Whether a constant of a kind of node is held by the outermost graph."""
        dims = self.constants[constant].dims
        wide = kind == "MatMul" and len(dims) == 2 and dims[1] >= WIDE * dims[0]
        return (kind == "Gather" or wide) and math.prod(dims) >= TABLE_VALUES

    def generator(self, nodes: list[onnx.NodeProto], bits: bool = False) -> onnx.ModelProto:
        """The whole generator, from nodes between its named inputs and outputs.

        Args:
            nodes: take `forced`, `noise`, `temperature` and the states; make `audio` and
                `<state>_next`.
            bits: they also take `score` and make `bits`.
        """
        model = self.model
        more: list[int | str] = [model.channels] if model.channels > 1 else []
        states: dict[str, list[int | str]] = {
            name: ["batch", *shape] for name, (shape, _) in self.spec.items()
        }
        inputs = [
            value("forced", ["batch", "forced_samples", *more]),
            value("noise", ["batch", "samples", model.head.noise_per_sample]),
            value("temperature", ["batch"]),
            *(value(name, shape) for name, shape in states.items()),
        ]
        outputs = [
            value("audio", ["batch", "samples", *more]),
            *(value(f"{name}_next", shape) for name, shape in states.items()),
        ]
        if bits:
            outputs.append(value("bits", ["batch", "forced_samples"]))
        graph = self.graph("generator", nodes, inputs, outputs)
        graph.initializer.extend(self.tables.values())
        if bits:
            # An input with a value of its own may be left out.
            graph.input.append(helper.make_tensor_value_info(SCORE, TensorProto.BOOL, []))
            graph.initializer.append(helper.make_tensor(SCORE, TensorProto.BOOL, [], [False]))
        return whole_model(graph)


def whole_model(graph: onnx.GraphProto) -> onnx.ModelProto:
    """A model of the outermost graph, in the versions that the sampler reads."""
    opset = helper.make_opsetid("", OPSET)
    proto = helper.make_model(graph, opset_imports=[opset], producer_name="keras_rawaudio")
    proto.ir_version = IR_VERSION
    return proto


def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
    """A node with one output, named after it."""
    return helper.make_node(kind, inputs, [output], name=f"{kind}/{output}", **attributes)


def choice(
    condition: str, outputs: list[str], yes: onnx.GraphProto, no: onnx.GraphProto
) -> onnx.NodeProto:
    """An If, named after its first output."""
    name = f"If/{outputs[0]}"
    return helper.make_node("If", [condition], outputs, name=name, then_branch=yes, else_branch=no)


def scan(
    body: onnx.GraphProto, inputs: list[str], outputs: list[str], sequences: int
) -> onnx.NodeProto:
    """A loop, named after its first output; the last `sequences` inputs are cut along axis 0."""
    name = f"Scan/{outputs[0]}"
    return helper.make_node(
        "Scan", inputs, outputs, name=name, body=body, num_scan_inputs=sequences
    )


def loop(
    body: onnx.GraphProto, times: str, inputs: list[str], outputs: list[str]
) -> onnx.NodeProto:
    """A loop that runs so many times, perhaps none, named after its first output."""
    return helper.make_node(
        "Loop", [times, "", *inputs], outputs, name=f"Loop/{outputs[0]}", body=body
    )


def value(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    """A tensor of floats that goes into a graph or comes out of it."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def inner(name: str, rank: int) -> onnx.ValueInfoProto:
    """A tensor in a loop: runtimes before 1.24 want a shape, if only of free sizes."""
    return value(name, [f"{name}/{axis}" for axis in range(rank)])
