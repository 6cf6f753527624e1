"""A model's generator as one self-contained ONNX file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import helper

from keras_rawaudio.exporters import audio_onnx, spectral_onnx
from keras_rawaudio.models import Model, SpectralModel

METADATA_KEY = "keras_rawaudio"


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
        int8: wide layers in 8 bits; not for a spectral model.
    """
    write_onnx(compose(model, int8), metadata, path)


def write_onnx(proto: onnx.ModelProto, metadata: dict[str, Any], path: Path) -> None:
    """Check a model, and write it with its metadata as JSON."""
    helper.set_model_props(proto, {METADATA_KEY: json.dumps(metadata)})
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())


def compose(model: Model, int8: bool = False) -> onnx.ModelProto:
    """The generator's graph, without metadata; arguments as in `export_onnx`."""
    if isinstance(model, SpectralModel):
        return spectral_onnx.compose(model)
    return audio_onnx.compose(model, int8)
