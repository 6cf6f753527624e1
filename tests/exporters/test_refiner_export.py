"""A refiner's files: Keras, SavedModel and ONNX revise alike, hop by hop and as a whole."""

import json

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from keras import ops

from keras_rawaudio.exporters.refiner import export_refiner_onnx, export_refiner_saved_model
from keras_rawaudio.models import Refiner

CODEC = {"name": "standardize", "mean": 0.05, "std": 0.3}
MODELS = {
    "gru, two windows over each sample": {"frames": 4},
    "lstm, three windows, a discriminator": {
        "cell": "lstm",
        "frames": 6,
        "overlap": 3,
        "adversarial": 0.1,
    },
    "a window longer than an unrolled block": {"frames": 20, "layers": 1},
}


FIRST, *OTHERS = MODELS


@pytest.fixture(
    params=[FIRST, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)],
    scope="module",
)
def exported(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refiner")
    keras.utils.set_random_seed(0)
    model = Refiner(CODEC, frame_size=4, units=5, **MODELS[request.param])
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.2 * rng.normal(size=weight.shape))
    export_refiner_onnx(model, {"kind": "refiner"}, folder / "refiner.onnx")
    export_refiner_saved_model(model, json.dumps({"kind": "refiner"}), folder / "saved_model")
    return model, folder


def audio(rows, hops, model):
    rng = np.random.default_rng(1)
    return rng.uniform(-0.7, 0.7, (rows, hops * model.hop)).astype("float32")


def streamed(step, model, x):
    past, pending = (np.zeros((len(x), model.delay), "float32") for _ in range(2))
    parts = []
    for start in range(0, x.shape[1], model.hop):
        part, past, pending = step(x[:, start : start + model.hop], past, pending)
        parts.append(part)
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("rows", [1, 3])
def test_three_ways_to_revise_are_one(exported, rows):
    model, folder = exported
    session = onnxruntime.InferenceSession(
        folder / "refiner.onnx", providers=["CPUExecutionProvider"]
    )
    saved = tf.saved_model.load(str(folder / "saved_model")).signatures["advance"]
    names = ["revised", "past_next", "pending_next"]

    def by_onnx(x, past, pending):
        return session.run(names, {"audio": x, "past": past, "pending": pending})

    def by_saved_model(x, past, pending):
        made = saved(audio=tf.constant(x), past=tf.constant(past), pending=tf.constant(pending))
        return [made[name].numpy() for name in names]

    x = audio(rows, 12, model)
    whole = model.refine(x)
    for step in (by_onnx, by_saved_model):
        made = streamed(step, model, x)
        np.testing.assert_allclose(
            made[:, model.delay :], whole[:, : x.shape[1] - model.delay], atol=1e-5
        )
    assert np.abs(whole - x).max() > 1e-2


def test_the_file_is_plain_onnx_and_says_what_it_is(exported):
    _, folder = exported
    proto = onnx.load(folder / "refiner.onnx")
    kinds = {node.op_type for node in proto.graph.node}
    assert not [kind for kind in kinds if kind.startswith("Random")]
    assert {node.domain for node in proto.graph.node} <= {"", "ai.onnx"}
    described = {p.key: p.value for p in proto.metadata_props}
    assert json.loads(described["keras_rawaudio"]) == {"kind": "refiner"}
    saved = tf.saved_model.load(str(folder / "saved_model"))
    assert json.loads(saved.metadata().numpy()) == {"kind": "refiner"}
