"""An exported generator as a model repository of the Triton inference server."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from keras_rawaudio.models.controls import MUSIC, TEMPERATURE

MODEL = "generator"
MAX_BATCH_SIZE = 64  # streams in one run of the graph
MAX_SEQUENCES = 1024  # streams under way at once
# Triton forgets a stream after one second without a request; a listener may pause for longer.
MAX_IDLE_SECONDS = 60
# What a client has to know of the file.
FOR_CLIENTS = ("sample_rate", "frame", "channels", "delay", "noise_per_sample", "controls", "music")


def write_model_repository(onnx_file: Path, metadata: dict[str, Any], folder: Path) -> None:
    """Write a model repository with one model, `generator`.

    A stream is a sequence of Triton's. Its state lies in the server, as implicit state of the
    sequence batcher, and is fresh at each start of a sequence: the graph needs no control tensors.
    Audio to read, noise, temperature and the controls come with each request.

    Args:
        onnx_file: the exported generator.
        metadata: of the file.
        folder: the repository to make: `generator/config.pbtxt`, `generator/1/model.onnx`, and
            `generator/initial_state/` with first values that are not 0.

    Reference:
        Triton Inference Server, "Model Configuration" and "Stateful Models" (its user guide).
    """
    model = folder / MODEL
    for name in ("1", "initial_state"):
        (model / name).mkdir(parents=True)
    shutil.copyfile(onnx_file, model / "1" / "model.onnx")
    for state in _carried(metadata):
        if state["initial"]:
            values = np.full(state["shape"], state["initial"], "<f4")
            (model / "initial_state" / state["name"]).write_bytes(values.tobytes())
    (model / "config.pbtxt").write_text(model_config(metadata), encoding="utf-8")


def model_config(metadata: dict[str, Any]) -> str:
    """The text of `config.pbtxt`: a `ModelConfig` in protobuf's text format.

    It has no `name`: the model is called as its folder is.

    Args:
        metadata: of an exported generator.

    Example:
        >>> metadata = {"channels": 1, "noise_per_sample": 2, "controls": [], "states": []}
        >>> print(model_config(metadata).split("output")[0])
        backend: "onnxruntime"
        max_batch_size: 64
        input [
          { name: "forced" data_type: TYPE_FP32 dims: [ -1 ] },
          { name: "noise" data_type: TYPE_FP32 dims: [ -1, 2 ] },
          { name: "temperature" data_type: TYPE_FP32 dims: [ 1 ] reshape { shape: [ ] } }
        ]
    """
    last = [metadata["channels"]] if metadata["channels"] > 1 else []
    inputs = [
        _tensor("forced", [-1, *last]),
        _tensor("noise", [-1, metadata["noise_per_sample"]]),
        # The graph takes (batch,), and Triton has no tensors without dimensions of their own.
        f"{_tensor(TEMPERATURE.name, [1])} reshape {{ shape: [ ] }}",
        *(_tensor(state["name"], state["shape"]) for state in _given(metadata)),
    ]
    about = json.dumps({key: metadata[key] for key in FOR_CLIENTS if key in metadata})
    return f"""backend: "onnxruntime"
max_batch_size: {MAX_BATCH_SIZE}
input [
{_list(inputs)}
]
output [
{_list([_tensor("audio", [-1, *last])])}
]
sequence_batching {{
max_sequence_idle_microseconds: {MAX_IDLE_SECONDS * 1_000_000}
oldest {{ max_candidate_sequences: {MAX_SEQUENCES} }}
state [
{_list([_state(state) for state in _carried(metadata)])}
]
}}
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
parameters {{ key: "intra_op_thread_count" value {{ string_value: "1" }} }}
parameters {{ key: "keras_rawaudio" value {{ string_value: {json.dumps(about)} }} }}
"""


def _given(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """The states that a client may set, and so gives with each request."""
    names = {MUSIC, *(control["name"] for control in metadata["controls"])}
    return [state for state in metadata["states"] if state["name"] in names]


def _carried(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """The other states, which the server keeps."""
    given = _given(metadata)
    return [state for state in metadata["states"] if state not in given]


def _tensor(name: str, dims: list[int]) -> str:
    return f'name: "{name}" data_type: TYPE_FP32 dims: {_dims(dims)}'


def _state(state: dict[str, Any]) -> str:
    name, dims = state["name"], _dims(state["shape"])
    values = f'data_file: "{name}"' if state["initial"] else "zero_data: true"
    first = f'initial_state {{ name: "{name}" data_type: TYPE_FP32 dims: {dims} {values} }}'
    names = f'input_name: "{name}" output_name: "{name}_next"'
    return f"{names} data_type: TYPE_FP32 dims: {dims}\n    {first}"


def _dims(dims: list[int]) -> str:
    return f"[ {', '.join(map(str, dims))} ]"


def _list(items: list[str]) -> str:
    return ",\n".join(f"  {{ {item} }}" for item in items)
