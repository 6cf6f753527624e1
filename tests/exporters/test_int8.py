"""Products of integers: what they may be off by, and how a graph in them scores."""

import numpy as np
import pytest
from keras import ops
from onnx import helper
from onnx.reference import ReferenceEvaluator

from keras_rawaudio.errors import UserError
from keras_rawaudio.exporters import int8
from keras_rawaudio.exporters.metadata import int8_cost
from keras_rawaudio.exporters.quantization_cost import bits_per_sample
from keras_rawaudio.exporters.steps import OPSET, convert
from keras_rawaudio.models import AudioModel
from keras_rawaudio.training.evaluator import Evaluator

CODEC = {"name": "mulaw", "peak": 0.9, "levels": 32}


def play(step, x):
    """A step's outputs, by the standard's own evaluator."""
    graph = helper.make_graph(
        step.nodes,
        "step",
        [helper.make_tensor_value_info(step.inputs[0], 1, [None, x.shape[1]])],
        [helper.make_tensor_value_info(name, 1, None) for name in step.outputs],
        step.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    return ReferenceEvaluator(model).run(None, {step.inputs[0]: x})[0]


@pytest.mark.parametrize("rows", [1, 3])
def test_a_product_is_off_by_half_a_step_of_each_factor(rows, monkeypatch):
    monkeypatch.setattr(int8, "LEAST_WEIGHTS", 24 * 40)
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(24, 40)).astype("float32") * np.logspace(-3, 3, 40, dtype="float32")
    kernel[:, 7] = 0
    x = rng.normal(size=(rows, 24)).astype("float32")
    step = int8.quantized(convert("wide", lambda v: ops.matmul(v, kernel), [(None, 24)]))
    assert "MatMulInteger" in [node.op_type for node in step.nodes]
    weight = np.abs(kernel).max(axis=0) / int8.LARGEST / 2
    value = (max(x.max(), 0) - min(x.min(), 0)) / 255  # rounding, and that of the zero point
    bound = np.abs(x).sum(axis=1)[:, None] * weight + np.abs(kernel).sum(axis=0) * value
    error = np.abs(play(step, x) - x @ kernel)
    assert (error <= bound + 24 * weight * value + 1e-6).all()
    assert error.max() > 0


def test_small_products_stay_as_they_are():
    step = convert("small", lambda v: ops.matmul(v, np.eye(4, dtype="float32")), [(None, 4)])
    assert int8.quantized(step).nodes == step.nodes


@pytest.mark.slow
@pytest.mark.parametrize(
    "tiers", [[{"frame_size": 8, "units": 6}], [{"frame_size": 8}, {"frame_size": 2}]]
)
def test_the_scoring_graph_scores_as_training_does(tiers):
    head = {"kind": "categorical", "hidden_units": 8, "embedded": 2, "linear": 5}
    model = AudioModel([{"units": 6, **tier} for tier in tiers], head, CODEC)
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.3 * rng.normal(size=weight.shape))
    segments = [rng.integers(-20_000, 20_000, n, dtype=np.int16) for n in (800, 320)]
    expected = Evaluator(model, segments)()["bits_per_sample"]
    assert bits_per_sample(model, segments, int8=False) == pytest.approx(expected, abs=1e-4)


def test_heads_of_few_numbers_keep_their_bits():
    model = AudioModel(
        [{"frame_size": 8, "units": 4}], {"kind": "regression"}, {"name": "peak", "peak": 1}
    )
    with pytest.raises(UserError, match="--int8 is not for a regression head"):
        int8_cost(model, "nowhere")
