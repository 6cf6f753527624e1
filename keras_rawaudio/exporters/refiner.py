"""A refiner's step as an ONNX file and as a SavedModel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import TensorProto, helper

from keras_rawaudio.exporters.onnx_graph import whole_model
from keras_rawaudio.exporters.onnx_model import write_onnx
from keras_rawaudio.exporters.saved_model import write_saved_model
from keras_rawaudio.exporters.steps import convert
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
    graph = helper.make_graph(nodes, KIND, given, made, step.constants)
    write_onnx(whole_model(graph), metadata, path)


def export_refiner_saved_model(model: Refiner, metadata: str, path: Path) -> None:
    """Write a refiner as a SavedModel; its signature `advance` takes and gives what ONNX does.

    Args:
        model: the refiner.
        metadata: JSON text, which `.metadata()` of the loaded model gives.
        path: the folder to write.
    """

    def run(audio: Any, **state: Any) -> dict[str, Any]:
        revised, after = model.advance(audio, state)
        return {"revised": revised, **{f"{name}_next": value for name, value in after.items()}}

    spec = model.generator_state_spec()
    states = {name: (None, *shape) for name, (shape, _) in spec.items()}
    write_saved_model(model, run, {"audio": (None, model.hop), **states}, metadata, path)
