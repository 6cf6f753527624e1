"""Wide layers in 8 bits: a quarter of the bytes, whose reading limits the speed of one stream."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from keras_rawaudio.exporters.steps import Step

# Kernels of at least so many weights. Of smaller ones the nodes take longer than the weights.
LEAST_WEIGHTS = 1 << 16
# 7 bits and a sign would overflow in the 16-bit sums of processors without VNNI.
LARGEST = 63


def quantized(step: Step) -> Step:
    """A step whose large products are of integers.

    Kernels get one scale for each column, known now; what they meet is quantised as it comes
    (dynamically). These are standard nodes, which ONNX Runtime fuses into one when it opens the
    file.

    Args:
        step: a converted step.

    Returns:
        The step in 8 bits, or the same where it has no large product.
    """
    constants = {c.name: c for c in step.constants}
    nodes: list[onnx.NodeProto] = []
    for node in step.nodes:
        kernel = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if kernel is None or np.prod(kernel.dims) < LEAST_WEIGHTS:
            nodes.append(node)
            continue
        integers, scales = _columns(numpy_helper.to_array(constants.pop(kernel.name)))
        for suffix, value in (("int8", integers), ("scale", scales), ("zero", np.int8(0))):
            name = f"{kernel.name}/{suffix}"
            constants[name] = numpy_helper.from_array(np.asarray(value), name)
        nodes += _integer_product(node, kernel.name)
    return replace(step, nodes=nodes, constants=list(constants.values()))


def _columns(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(rows, columns)` in int8 and the columns' scales."""
    scales = np.maximum(np.abs(kernel).max(axis=0) / LARGEST, np.finfo("float32").tiny)
    return np.rint(kernel / scales).astype(np.int8), scales.astype(np.float32)


def _integer_product(node: onnx.NodeProto, kernel: str) -> Sequence[onnx.NodeProto]:
    x, y = node.input[0], node.output[0]
    quantised = [f"{y}/int8", f"{y}/scale", f"{y}/zero"]
    factors = [quantised[0], f"{kernel}/int8", quantised[2], f"{kernel}/zero"]
    return [
        helper.make_node(kind, inputs, outputs, name=f"{node.name}/{kind}{i}", **attributes)
        for i, (kind, inputs, outputs, attributes) in enumerate(
            [
                ("DynamicQuantizeLinear", [x], quantised, {}),
                ("MatMulInteger", factors, [f"{y}/sum"], {}),
                ("Cast", [f"{y}/sum"], [f"{y}/float"], {"to": TensorProto.FLOAT}),
                ("Mul", [quantised[1], f"{kernel}/scale"], [f"{y}/scales"], {}),
                ("Mul", [f"{y}/float", f"{y}/scales"], [y], {}),
            ]
        )
    ]
