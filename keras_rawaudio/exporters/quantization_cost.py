"""Bits per sample that 8-bit arithmetic costs, measured on the exported graph."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.exporters.onnx_graph import SCORE
from keras_rawaudio.exporters.onnx_model import compose
from keras_rawaudio.generation import generator_state_spec
from keras_rawaudio.models import AudioModel

BLOCK = 1 << 14  # samples per run of the graph


def bits_per_sample(model: AudioModel, segments: Sequence[np.ndarray], int8: bool) -> float:
    """Score a model as ONNX Runtime computes it, every sample once.

    Args:
        model: the model, with a head that has bits.
        segments: int16 arrays; each is read as one stream from a fresh state, in whole frames.
        int8: with wide layers in 8 bits.

    Returns:
        Mean bits.

    Raises:
        UserError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise UserError("--int8 needs onnxruntime to measure its cost: pip install it") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # it warns of the input that switches bits on
    session = onnxruntime.InferenceSession(
        compose(model, int8).SerializeToString(), options, ["CPUExecutionProvider"]
    )
    fresh = {
        name: np.full((1, *shape), fill, np.float32)
        for name, (shape, fill) in generator_state_spec(model).items()
    }
    nothing = {
        "noise": np.zeros((1, 0, model.head.noise_per_sample), np.float32),
        "temperature": np.ones(1, np.float32),
        SCORE: np.array(True),
    }
    outputs = ["bits", *(f"{name}_next" for name in fresh)]
    block = math.ceil(BLOCK / model.frame) * model.frame
    bits, count = 0.0, 0
    for segment in segments:
        audio = segment[: len(segment) - len(segment) % model.frame].astype(np.float32) / 32768
        state = fresh
        for start in range(0, len(audio), block):
            part = audio[None, start : start + block]
            scored, *after = session.run(outputs, {"forced": part, **nothing, **state})
            state = dict(zip(state, after, strict=True))
            bits, count = bits + float(scored.sum()), count + part.size
    return bits / count
