"""Keras functions to small ONNX graphs that can be inlined into a larger one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import onnx

from keras_rawaudio.exporters.simplify import simplify

OPSET = 17


@dataclass(frozen=True)
class Step:
    """A converted function: nodes between named inputs and outputs, constants apart.

    Attributes:
        name: prefix of its constants, unique in the model.
        nodes: in order.
        constants: initializers, already prefixed.
        inputs: names in the nodes, in the order of the function's arguments.
        outputs: names in the nodes, in the order of what the function returns.
    """

    name: str
    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto]
    inputs: list[str]
    outputs: list[str]

    def inline(
        self, prefix: str, inputs: Sequence[str], outputs: Sequence[str] = ()
    ) -> tuple[list[onnx.NodeProto], list[str]]:
        """The nodes once more, wired to other inputs.

        Args:
            prefix: makes the names of this copy unique.
            inputs: what to feed, in order.
            outputs: what to call the outputs; by default as they are, with the prefix.

        Returns:
            The nodes and the names of the outputs.
        """
        constants = {c.name for c in self.constants}
        names = dict(zip(self.inputs, inputs, strict=True))
        names.update(zip(self.outputs, outputs, strict=False))

        def renamed(name: str) -> str:
            return name if not name or name in constants else names.get(name, f"{prefix}/{name}")

        nodes = []
        for node in self.nodes:
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.name = f"{prefix}/{node.name}"
            copy.input[:] = [renamed(n) for n in node.input]
            copy.output[:] = [renamed(n) for n in node.output]
            nodes.append(copy)
        return nodes, [renamed(n) for n in self.outputs]


def convert(
    name: str, function: Callable[..., Any], shapes: Sequence[tuple[int | None, ...]]
) -> Step:
    """Convert a function of float tensors through tf2onnx.

    Args:
        name: unique in the model.
        function: written in `keras.ops`, returns a tensor or a sequence of tensors.
        shapes: of its arguments; `None` where free.

    Returns:
        The step. An output that is merely an input or a constant gets an Identity, so that every
        output is some node's.
    """
    import tensorflow as tf
    import tf2onnx

    # tf2onnx lowers the case of argument names: take neutral ones and go by position.
    signature = [tf.TensorSpec(s, tf.float32, name=f"arg{i}") for i, s in enumerate(shapes)]
    with tf.device("/cpu:0"):  # a GPU would put its own fused operations into the graph
        model, _ = tf2onnx.convert.from_function(
            tf.function(function, autograph=False), input_signature=signature, opset=OPSET
        )
    simplify(model)
    graph = model.graph
    constants, renamed = [], {}
    for constant in graph.initializer:
        renamed[constant.name] = f"{name}/{constant.name}"
        constant.name = renamed[constant.name]
        constants.append(constant)
    for node in graph.node:
        node.input[:] = [renamed.get(n, n) for n in node.input]
    given = [i.name for i in graph.input if i.name not in renamed]
    by_name = {n.split(":")[0]: n for n in given}
    # An argument that the function does not need vanishes from the graph; keep its place.
    inputs = [by_name.get(spec.name, f"unused/{spec.name}") for spec in signature]
    outputs = [renamed.get(o.name, o.name) for o in graph.output]
    return Step(name, list(graph.node), constants, inputs, outputs)
