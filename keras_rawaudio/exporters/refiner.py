"""A refiner's step as an ONNX file and as a SavedModel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

from keras_rawaudio.exporters.onnx_graph import IR_VERSION
from keras_rawaudio.exporters.onnx_model import METADATA_KEY
from keras_rawaudio.exporters.steps import OPSET, convert
from keras_rawaudio.models import Refiner

KIND = "refiner"


def export_refiner_onnx(model: Refiner, metadata: dict[str, Any], path: Path) -> None:
    """Write a refiner as one self-contained ONNX file.

    Its inputs are `audio (batch, hop)`, `past (batch, delay)` and `pending (batch, delay)`; its
    outputs `revised (batch, hop)`, `past_next` and `pending_next`: see `Refiner.advance`.

    Args:
        model: the refiner.
        metadata: goes into the file as JSON.
        path: where to write.
    """
    names = ["audio", *model.generator_state_spec()]
    sizes = [model.hop, *(shape[0] for shape, _ in model.generator_state_spec().values())]
    outputs = ["revised", *(f"{name}_next" for name in names[1:])]

    def advance(audio: Any, *values: Any) -> list[Any]:
        revised, state = model.advance(audio, dict(zip(names[1:], values, strict=True)))
        return [revised, *state.values()]

    step = convert(KIND, advance, [(None, size) for size in sizes])
    nodes, _ = step.inline(KIND, names, outputs)
    given, made = (
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", size])
            for name, size in zip(each, sizes, strict=True)
        ]
        for each in (names, outputs)
    )
    proto = helper.make_model(
        helper.make_graph(nodes, KIND, given, made, step.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="keras_rawaudio",
    )
    proto.ir_version = IR_VERSION
    helper.set_model_props(proto, {METADATA_KEY: json.dumps(metadata)})
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())


def export_refiner_saved_model(model: Refiner, metadata: str, path: Path) -> None:
    """Write a refiner as a SavedModel; its signature `advance` takes and gives what ONNX does.

    Args:
        model: the refiner.
        metadata: JSON text, which `.metadata()` of the loaded model gives.
        path: the folder to write.
    """
    import tensorflow as tf

    module = tf.Module()
    module.model = model  # tracked, so that the weights are saved

    def run(audio: Any, **state: Any) -> dict[str, Any]:
        revised, after = model.advance(audio, state)
        return {"revised": revised, **{f"{name}_next": value for name, value in after.items()}}

    module.advance = tf.function(run)
    module.metadata = tf.function(lambda: tf.constant(metadata), input_signature=[])
    signature = module.advance.get_concrete_function(
        audio=tf.TensorSpec((None, model.hop), tf.float32, "audio"),
        **{
            name: tf.TensorSpec((None, *shape), tf.float32, name)
            for name, (shape, _) in model.generator_state_spec().items()
        },
    )
    signatures = {"advance": signature, "serving_default": signature}
    tf.saved_model.save(module, str(path), signatures=signatures)
