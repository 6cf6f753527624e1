"""Fewer nodes that compute the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
from keras import ops
from onnx import TensorProto, helper, numpy_helper

from keras_rawaudio.exporters.simplify import simplify
from keras_rawaudio.exporters.steps import OPSET, convert

KINDS = {np.dtype("float32"): TensorProto.FLOAT, np.dtype("int64"): TensorProto.INT64}


def graph(nodes, inputs, constants):
    """A model of `(kind, inputs, output)` nodes whose last output is the graph's."""
    made = []
    for kind, given, output in nodes:
        attributes = {"to": TensorProto.FLOAT} if kind == "Cast" else {}
        made.append(helper.make_node(kind, given, [output], **attributes))
    rank = max([2, *(v.ndim for v in inputs.values())])
    model = helper.make_model(
        helper.make_graph(
            made,
            "test",
            [helper.make_tensor_value_info(n, KINDS[v.dtype], v.shape) for n, v in inputs.items()],
            [helper.make_tensor_value_info(nodes[-1][2], TensorProto.FLOAT, [None] * rank)],
            [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    return model


def run(model, inputs):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)[0]


X = np.linspace(-2, 2, 8, dtype="float32").reshape(2, 4)
Y = X[:, ::-1].copy() * 3
ZERO, HIGH = np.float32(0), np.array([1.5], "float32")
KERNEL = np.arange(12, dtype="float32").reshape(4, 3)
LAST = np.iinfo("int32").max

CASES = {
    "slice of all": (
        [("Slice", ["x", "starts", "ends", "axes"], "all"), ("Relu", ["all"], "y")],
        {"x": X},
        {"starts": [0, 0], "ends": [LAST, LAST], "axes": [0, 1]},
        ["Relu"],
    ),
    "slice of all by steps of one": (
        [("Slice", ["x", "starts", "ends", "axes", "steps"], "all"), ("Relu", ["all"], "y")],
        {"x": X},
        {"starts": [0, 0], "ends": [10**9, 10**9], "axes": [0, 1], "steps": [1, 1]},
        ["Relu"],
    ),
    "slice of every second": (
        [("Slice", ["x", "starts", "ends", "axes", "steps"], "some"), ("Relu", ["some"], "y")],
        {"x": X},
        {"starts": [0, 0], "ends": [10**9, 10**9], "axes": [0, 1], "steps": [1, 2]},
        ["Slice", "Relu"],
    ),
    "slice of some": (
        [("Slice", ["x", "starts", "ends", "axes"], "some"), ("Relu", ["some"], "y")],
        {"x": X},
        {"starts": [0, 1], "ends": [LAST, LAST], "axes": [0, 1]},
        ["Slice", "Relu"],
    ),
    "condition in arithmetic": (
        [
            ("Less", ["x", "zero"], "c"),
            ("Not", ["c"], "not"),
            ("Cast", ["c"], "yes"),
            ("Cast", ["not"], "no"),
            ("Mul", ["yes", "x"], "a"),
            ("Mul", ["y", "no"], "b"),
            ("Add", ["b", "a"], "z"),
        ],
        {"x": X, "y": Y},
        {"zero": ZERO},
        ["Less", "Where"],
    ),
    "a sum of other products": (
        [
            ("Less", ["x", "zero"], "c"),
            ("Less", ["y", "zero"], "d"),
            ("Not", ["d"], "not"),
            ("Cast", ["c"], "yes"),
            ("Cast", ["not"], "no"),
            ("Mul", ["yes", "x"], "a"),
            ("Mul", ["y", "no"], "b"),
            ("Add", ["b", "a"], "z"),
        ],
        {"x": X, "y": Y},
        {"zero": ZERO},
        ["Less", "Less", "Not", "Cast", "Cast", "Mul", "Mul", "Add"],
    ),
    "index from the end": (
        [
            ("Less", ["i", "none"], "c"),
            ("Add", ["i", "size"], "below"),
            ("Where", ["c", "below", "i"], "index"),
            ("Gather", ["table", "index"], "z"),
        ],
        {"i": np.array([3, -1, 0, -4])},
        {"none": np.int64(0), "size": np.int64(4), "table": KERNEL},
        ["Gather"],
    ),
    "min of max": (
        [("Max", ["zero", "x"], "a"), ("Min", ["a", "high"], "z")],
        {"x": X},
        {"zero": ZERO, "high": HIGH},
        ["Clip"],
    ),
    "max of min": (
        [("Min", ["x", "high"], "a"), ("Max", ["zero", "a"], "z")],
        {"x": X},
        {"zero": ZERO, "high": HIGH},
        ["Clip"],
    ),
    "max of min with a bound for each": (
        [("Min", ["x", "high"], "a"), ("Max", ["y", "a"], "z")],
        {"x": X, "y": Y},
        {"high": HIGH},
        ["Min", "Max"],
    ),
    "product and sum": (
        [("MatMul", ["x", "kernel"], "a"), ("Add", ["c", "a"], "z")],
        {"x": X, "c": X[:, :3].copy()},
        {"kernel": KERNEL},
        ["Gemm"],
    ),
    "product less a matrix": (
        [("MatMul", ["x", "kernel"], "a"), ("Sub", ["a", "c"], "z")],
        {"x": X, "c": X[:, :3].copy()},
        {"kernel": KERNEL},
        ["Gemm"],
    ),
    "a matrix less a product": (
        [("MatMul", ["x", "kernel"], "a"), ("Sub", ["c", "a"], "z")],
        {"x": X, "c": X[:, :3].copy()},
        {"kernel": KERNEL},
        ["MatMul", "Sub"],
    ),
    "product of a stack and sum": (
        [("MatMul", ["x", "kernel"], "a"), ("Add", ["c", "a"], "z")],
        {"x": X[None], "c": X[None, :, :3].copy()},
        {"kernel": KERNEL},
        ["MatMul", "Add"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_same_in_fewer_nodes(case):
    nodes, inputs, constants, kinds = CASES[case]
    model = graph(nodes, inputs, constants)
    expected = run(model, inputs)
    simplify(model)
    onnx.checker.check_model(model, full_check=True)
    assert [node.op_type for node in model.graph.node] == kinds
    used = {name for node in model.graph.node for name in node.input}
    assert {c.name for c in model.graph.initializer} <= used
    np.testing.assert_allclose(run(model, inputs), expected, rtol=1e-6)


def test_a_lookup_is_one_node():
    """What Keras makes of `take`, on the way through TensorFlow and tf2onnx."""
    table = np.arange(20, dtype="float32").reshape(5, 4)
    step = convert("lookup", lambda i: ops.take(table, ops.cast(i, "int32"), axis=0), [(None,)])
    assert [node.op_type for node in step.nodes] == ["Cast", "Gather"]


@pytest.mark.parametrize(
    ("function", "kinds"),
    [
        (lambda x: x >= ops.max(x, axis=-1, keepdims=True), ["Hardmax"]),
        (
            lambda x: x >= ops.max(x, axis=1, keepdims=True),
            ["ReduceMax", "GreaterOrEqual", "Cast"],
        ),
        (lambda x: ops.matmul(x, KERNEL), ["MatMul"]),
    ],
)
def test_rows_of_a_stack(function, kinds):
    """What Keras makes of one-hot rows and of products with more than two axes."""
    step = convert("rows", lambda x: ops.cast(function(x), "float32"), [(None, None, 3, 4)])
    assert [node.op_type for node in step.nodes] == kinds
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 3, 4)).astype("float32")
    nodes, (y,) = step.inline("test", ["x"])
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [None] * 4) for n in ("x", y)]
    body = helper.make_graph(nodes, "test", ends[:1], ends[1:], step.constants)
    model = helper.make_model(body, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    np.testing.assert_allclose(run(model, {"x": x}), function(x), rtol=1e-5)
