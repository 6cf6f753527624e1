"""Rewrites what tf2onnx expresses in many nodes in one: a node costs time whatever it does."""

from __future__ import annotations

import onnx
from onnx import numpy_helper


def simplify(model: onnx.ModelProto) -> None:
    """Rewrite a converted graph in fewer nodes that compute the same.

    - arithmetic on a condition and its opposite becomes `Where`;
    - a slice from the first element to the last is left out;
    - an index is not counted from the end by hand, for `Gather` does that itself;
    - the largest of a value and one bound, the smallest of that and another, becomes `Clip`;
    - a product of rows that were laid in one matrix, and laid out again, takes them as they are;
    - what is as large as the largest of its row, as a number, becomes `Hardmax`;
    - a product and what is added to it or taken from it, though not constant, becomes `Gemm`.

    Nodes that nothing needs any more are dropped.

    Args:
        model: a graph without subgraphs, changed in place.
    """
    graph = _Graph(onnx.shape_inference.infer_shapes(model).graph)
    for rule in (_slice, _where, _wrapped_index, _clip, _tensordot, _hardmax, _gemm):
        for node in list(graph.nodes):
            rule(graph, node)
        graph.drop_unused()
    del model.graph.node[:]
    model.graph.node.extend(graph.nodes)
    del model.graph.initializer[:]
    model.graph.initializer.extend(graph.constants.values())


class _Graph:
    """Nodes in order, found by what they make."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes = list(graph.node)
        self.constants = {c.name: c for c in graph.initializer}
        self.outputs = {o.name for o in graph.output}
        self.makers = {name: node for node in self.nodes for name in node.output}
        known = [*graph.value_info, *graph.input, *graph.output]
        self.ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in known}
        self.ranks |= {name: len(c.dims) for name, c in self.constants.items()}

    def maker(self, name: str, kind: str) -> onnx.NodeProto | None:
        """The node of this kind that makes a tensor."""
        node = self.makers.get(name)
        return node if node is not None and node.op_type == kind else None

    def uncast(self, name: str) -> str:
        """What a tensor was before it was cast, if it was."""
        cast = self.maker(name, "Cast")
        return cast.input[0] if cast else name

    def numbers(self, name: str) -> list[float]:
        """A constant's elements; of anything else, none."""
        if name not in self.constants:
            return []
        return [float(x) for x in numpy_helper.to_array(self.constants[name]).flat]

    def is_scalar(self, name: str) -> bool:
        """Whether it is a constant of one element."""
        return len(self.numbers(name)) == 1

    def rename(self, old: str, new: str) -> None:
        """Read `new` wherever `old` was read; an output of the graph keeps its name."""
        if old not in self.outputs:
            for node in self.nodes:
                node.input[:] = [new if name == old else name for name in node.input]

    def scalar(self, name: str) -> str:
        """A constant of one element once more, without axes."""
        value = numpy_helper.to_array(self.constants[name]).reshape(())
        self.constants[f"{name}/scalar"] = numpy_helper.from_array(value, f"{name}/scalar")
        return f"{name}/scalar"

    def replace(
        self, node: onnx.NodeProto, kind: str, inputs: list[str], **attributes: float
    ) -> None:
        """Put another node in a node's place."""
        new = onnx.helper.make_node(kind, inputs, node.output, node.name, **attributes)
        self.nodes[next(i for i, n in enumerate(self.nodes) if n is node)] = new
        self.makers[node.output[0]] = new

    def drop_unused(self) -> None:
        needed, kept = set(self.outputs), []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                kept.append(node)
                needed |= set(node.input)
        self.nodes = kept[::-1]
        self.constants = {name: c for name, c in self.constants.items() if name in needed}


def _either_way(node: onnx.NodeProto) -> list[tuple[str, str]]:
    """A node's two inputs, in both orders."""
    a, b = node.input
    return [(a, b), (b, a)]


def _slice(graph: _Graph, node: onnx.NodeProto) -> None:
    """A slice that cuts nothing off."""
    if node.op_type != "Slice":
        return
    starts, ends = (graph.numbers(name) for name in node.input[1:3])
    steps = graph.numbers(node.input[4]) if len(node.input) > 4 else [1]
    if starts and ends and not any(starts) and min(ends) >= 10**9 and set(steps) == {1}:
        graph.rename(node.output[0], node.input[0])


def _where(graph: _Graph, node: onnx.NodeProto) -> None:
    """`condition * x + (not condition) * y`."""
    if node.op_type != "Add":
        return

    def factors(name: str) -> list[tuple[onnx.NodeProto, str]]:
        """A product's pairs of a cast and another factor."""
        product = graph.maker(name, "Mul")
        pairs = _either_way(product) if product else []
        return [(cast, x) for c, x in pairs if (cast := graph.maker(c, "Cast"))]

    for first, second in _either_way(node):
        for yes, x in factors(first):
            for no, y in factors(second):
                opposite = graph.maker(no.input[0], "Not")
                if opposite and opposite.input[0] == yes.input[0]:
                    graph.replace(node, "Where", [yes.input[0], x, y])
                    return


def _wrapped_index(graph: _Graph, node: onnx.NodeProto) -> None:
    """`index < 0 ? index + size : index`, as an index."""
    if node.op_type != "Gather" or not (where := graph.maker(node.input[1], "Where")):
        return
    condition, below, index = where.input
    less, sum_ = graph.maker(condition, "Less"), graph.maker(below, "Add")
    if not less or not sum_ or index not in sum_.input or any(graph.numbers(less.input[1])):
        return
    cast = graph.maker(less.input[0], "Cast")
    if index in (less.input[0], cast and cast.input[0]):
        node.input[1] = index


def _clip(graph: _Graph, node: onnx.NodeProto) -> None:
    """`min(max(x, low), high)` or `max(min(x, high), low)`, bounds being scalars."""
    inner_kind = {"Min": "Max", "Max": "Min"}.get(node.op_type)
    if inner_kind is None or len(node.input) != 2:
        return
    for a, outer in _either_way(node):
        inner = graph.maker(a, inner_kind)
        if inner is None or len(inner.input) != 2 or not graph.is_scalar(outer):
            continue
        for x, bound in _either_way(inner):
            if graph.is_scalar(bound):
                low, high = (bound, outer) if node.op_type == "Min" else (outer, bound)
                graph.replace(node, "Clip", [x, graph.scalar(low), graph.scalar(high)])
                return


def _tensordot(graph: _Graph, node: onnx.NodeProto) -> None:
    """`x @ constant` of more than two axes, with the shape taken from `x`."""
    product = graph.maker(node.input[0], "MatMul") if node.op_type == "Reshape" else None
    rows = product and graph.maker(product.input[0], "Reshape")
    if not product or not rows or product.input[1] not in graph.constants:
        return
    sizes = graph.maker(graph.uncast(node.input[1]), "Concat")
    taken = sizes and graph.maker(graph.uncast(sizes.input[0]), "Gather")
    shape = taken and graph.maker(graph.uncast(taken.input[0]), "Shape")
    if sizes and taken and shape and shape.input[0] == rows.input[0] and len(sizes.input) == 2:
        first = list(range(graph.ranks.get(rows.input[0], 0) - 1))
        width = graph.constants[product.input[1]].dims[-1]
        if first == graph.numbers(taken.input[1]) and [width] == graph.numbers(sizes.input[1]):
            graph.replace(node, "MatMul", [rows.input[0], product.input[1]])


def _hardmax(graph: _Graph, node: onnx.NodeProto) -> None:
    """`float(x >= max(x))` along the last axis: of equals, `Hardmax` takes the first."""
    compared = graph.maker(node.input[0], "GreaterOrEqual") if node.op_type == "Cast" else None
    largest = compared and graph.maker(compared.input[1], "ReduceMax")
    if not compared or not largest or largest.input[0] != compared.input[0]:
        return
    given = {a.name: onnx.helper.get_attribute_value(a) for a in largest.attribute}
    rank = graph.ranks.get(largest.input[0])
    if given.get("keepdims", 1) and given.get("axes") in ([-1], [rank and rank - 1]):
        graph.replace(node, "Hardmax", [largest.input[0]], axis=-1)


def _gemm(graph: _Graph, node: onnx.NodeProto) -> None:
    """`x @ constant + y` or `- y`, all of them matrices; ONNX Runtime sees to constant `y`."""
    if node.op_type not in ("Add", "Sub"):
        return
    taken = node.op_type == "Sub"
    for a, y in _either_way(node)[: 1 if taken else 2]:
        product = graph.maker(a, "MatMul")
        if product and product.input[1] in graph.constants:
            factors = [*product.input, y]
            if all(graph.ranks.get(name) == 2 for name in factors):
                graph.replace(node, "Gemm", factors, beta=-1.0 if taken else 1.0)
                return
