"""Tiny models, exported once for each test module, and three ways to play them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from keras import ops

from keras_rawaudio.exporters.onnx_model import export_onnx
from keras_rawaudio.exporters.saved_model import export_saved_model
from keras_rawaudio.generation import ReferenceSampler, fresh_state, generator_state_spec
from keras_rawaudio.models import AudioModel

from ..small_models import far_from_fresh

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "serving"))

MULAW = {"name": "mulaw", "peak": 0.9, "levels": 32}
LINEAR = {"name": "linear", "peak": 0.9, "levels": 32}
PEAK = {"name": "peak", "peak": 0.9}
STANDARDIZE = {"name": "standardize", "mean": 0.1, "std": 0.4}
MINMAX = {"name": "minmax", "low": -0.5, "high": 0.7}
CATEGORICAL = {"kind": "categorical", "hidden_units": 8, "embedded": 2, "linear": 5}
PREDICTIVE = {
    "kind": "predictive",
    "codebook_size": 8,
    "filters": 3,
    "lpc_order": 16,
    "hidden_units": 8,
    "num_mixtures": 2,
}

# Between them: each cell, one and more tiers, several layers, windows wider than a frame, skips or
# not, each head and codec, each noise.
MODELS = {
    "gru": ([{"frame_size": 4, "units": 6, "layers": 2}], CATEGORICAL, MULAW),
    "lstm over lstm": (
        [
            {"frame_size": 8, "window": 11, "cell": "lstm", "units": [6, 5], "layers": 2},
            {"frame_size": 2, "window": 5, "cell": "lstm", "units": 7, "preactivation_noise": 0.3},
        ],
        {**CATEGORICAL, "embedded": 3, "linear": 2, "layers": 1},
        LINEAR,
    ),
    "gru over gru": (
        [
            {"frame_size": 8, "units": 6},
            {"frame_size": 4, "units": 5, "activation_noise": "half-normal"},
        ],
        {**CATEGORICAL, "linear": 13},
        MULAW,
    ),
    "regression, lstm": (
        [{"frame_size": 5, "cell": "lstm", "units": 6, "layers": 3, "activation_noise": "binary"}],
        {"kind": "regression", "hidden_units": 4},
        STANDARDIZE,
    ),
    "regression, memories to an MLP": (
        [{"frame_size": 5, "cell": "lstm", "units": [6, 4, 5], "skips": "memories"}],
        {"kind": "regression", "hidden_units": 7},
        STANDARDIZE,
    ),
    "regression, the top state is the frame": (
        [{"frame_size": 6, "units": [5, 7, 6], "skips": False}],
        {"kind": "regression", "end_layer": False},
        MINMAX,
    ),
    "regression, gates of two layers": (
        [{"frame_size": 5, "cell": "deep-gate-lstm", "layers": 2, "preactivation_noise": 0.1}],
        {"kind": "regression", "reconstruct": True},
        STANDARDIZE,
    ),
    "regression, gru over lstm": (
        [
            {"frame_size": 12, "units": 6, "layers": 2, "skips": False},
            {"frame_size": 4, "cell": "lstm"},
        ],
        {"kind": "regression"},
        MINMAX,
    ),
    "regression, overlaps": (
        [{"frame_size": 4, "window": 10}],
        {"kind": "regression", "span": 12, "cost": {"squared": 1, "huber": 0.5}},
        MINMAX,
    ),
    "regression, states that take turns": (
        [{"frame_size": 4, "window": 12, "cell": "lstm", "layers": 2, "dilation": 3}],
        {"kind": "regression", "span": 12},
        STANDARDIZE,
    ),
    "draw": (
        [{"frame_size": 8}, {"frame_size": 4}],
        {"kind": "draw", "steps": 3, "latent": 2, "hidden_units": 5, "filters": 3},
        PEAK,
    ),
    "flow": (
        [{"frame_size": 8}],
        {"kind": "flow", "couplings": 3, "filters": 3, "kernel_size": 3},
        PEAK,
    ),
    "gan": (
        [{"frame_size": 6}],
        {"kind": "gan", "latent": 3, "hidden_units": 5},
        STANDARDIZE,
    ),
    "mixture": (
        [{"frame_size": 8}, {"frame_size": 4}],
        {"kind": "mixture", "num_mixtures": 3, "hidden_units": 5},
        PEAK,
    ),
    "spectrum, parts": (
        [{"frame_size": 4, "window": 18, "spectrum": {"size": 8, "hop": 4, "form": "parts"}}],
        {"kind": "spectrum"},
        MINMAX,
    ),
    "spectrum, phases as turns, an image": (
        [
            {"frame_size": 8},
            {
                "frame_size": 4,
                "window": 20,
                "spectrum": {"size": 8, "hop": 4, "relative": True, "filters": 3},
            },
        ],
        {"kind": "spectrum", "form": "polar", "relative": True, "span": 8},
        STANDARDIZE,
    ),
    "predictive, gru over gru": (
        [{"frame_size": 64}, {"frame_size": 32, "input": "codes"}],
        PREDICTIVE,
        PEAK,
    ),
    "predictive, a clock, reads samples": (
        [{"frame_size": 32, "cell": "lstm", "clock_harmonics": 3, "dropout": 0.5}],
        PREDICTIVE,
        PEAK,
    ),
}


def make(tiers, head, codec) -> AudioModel:
    """A model whose weights, all biases included, are far from their initial values."""
    keras.utils.set_random_seed(0)
    return far_from_fresh(
        AudioModel([{"units": 6, **tier} for tier in tiers], head, codec), spread=0.3
    )


class Generator:
    """An exported model; each player is `(forced, noise, temperature, state) -> audio, state`."""

    def __init__(self, model: AudioModel, folder: Path) -> None:
        self.model = model
        self.path = folder / "generator.onnx"
        spec = generator_state_spec(model)
        self.metadata = {
            "format_version": 1,
            "sample_rate": 8000,
            "frame": model.frame,
            "noise_per_sample": model.head.noise_per_sample,
            "deterministic": model.head.deterministic,
            "states": [{"name": n, "shape": s, "initial": v} for n, (s, v) in spec.items()],
        }
        export_onnx(model, self.metadata, self.path)
        export_saved_model(model, json.dumps(self.metadata), folder / "saved_model")
        self.session = onnxruntime.InferenceSession(self.path, providers=["CPUExecutionProvider"])
        # Keras' own loading does not read it (Pitfall 23).
        self.saved = tf.saved_model.load(str(folder / "saved_model"))
        self._reference = ReferenceSampler(model)._advance  # compiled for all lengths

    def players(self) -> dict[str, Callable]:
        return {"keras": self.keras, "saved_model": self.saved_model, "onnx": self.onnx}

    def keras(self, forced, noise, temperature, state):
        tensors = [tf.constant(value) for value in (forced, noise, temperature)]
        state = {name: tf.constant(value) for name, value in state.items()}
        audio, after = self._reference(*tensors, state)
        return audio.numpy(), {name: value.numpy() for name, value in after.items()}

    def saved_model(self, forced, noise, temperature, state):
        given = {"forced": forced, "noise": noise, "temperature": temperature, **state}
        given = {name: tf.constant(value) for name, value in given.items()}
        out = {n: v.numpy() for n, v in self.saved.signatures["advance"](**given).items()}
        return out.pop("audio"), out

    def onnx(self, forced, noise, temperature, state):
        names = ["audio", *(f"{name}_next" for name in state)]
        given = {"forced": forced, "noise": noise, "temperature": temperature, **state}
        audio, *after = self.session.run(names, given)
        return audio, dict(zip(state, after, strict=True))

    def fresh_state(self, rows: int) -> dict[str, np.ndarray]:
        state = fresh_state(self.model, rows)
        return {name: ops.convert_to_numpy(value) for name, value in state.items()}

    def inputs(self, rows: int, read: int, drawn: int, seed: int = 0) -> tuple[np.ndarray, ...]:
        """Frames to read, frames to draw: forced, noise and temperature for `rows` streams."""
        rng = np.random.default_rng(seed)
        F, K = self.model.frame, self.model.head.noise_per_sample
        forced = rng.uniform(-0.8, 0.8, (rows, read * F)).astype("float32")
        noise = rng.random((rows, drawn * F, K), "float32")
        return forced, noise, np.linspace(0.7, 1.3, rows).astype("float32")


@pytest.fixture(params=list(MODELS), scope="module")
def generator(request, tmp_path_factory) -> Generator:
    return Generator(make(*MODELS[request.param]), tmp_path_factory.mktemp("exported"))
