"""Small models, each exported once, and three ways to play them."""

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from keras import ops

from keras_rawaudio.data.codecs import codec_from_json
from keras_rawaudio.data.corpus import prepare
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.exporters.onnx_model import export_onnx
from keras_rawaudio.exporters.saved_model import export_saved_model
from keras_rawaudio.generation import fresh_state, generator_state_spec
from keras_rawaudio.models import Model
from keras_rawaudio.models.controls import TEMPERATURE
from keras_rawaudio.recipes import load_recipe
from keras_rawaudio.training.build import build_model
from keras_rawaudio.training.run_folder import FORMAT_VERSION, RunFolder

from ..small_models import (
    LATENT_MODELS,
    MODELS,
    PACED_MODELS,
    REPRESENTATIVES,
    SPECTRAL_MODELS,
    compiled,
    each,
    make,
)

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "serving"))


class Generator:
    """An exported model; each player is `(forced, noise, temperature, state) -> audio, state`."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.model = model
        self.path = folder / "generator.onnx"
        spec = generator_state_spec(model)
        self.metadata = {
            "format_version": 1,
            "sample_rate": 8000,
            "frame": model.block,
            "channels": model.channels,
            "delay": model.delay,
            "controls": [c._asdict() for c in (TEMPERATURE, *model.controls)],
            "noise_per_sample": model.head.noise_per_sample,
            "deterministic": model.head.deterministic,
            "states": [{"name": n, "shape": s, "initial": v} for n, (s, v) in spec.items()],
        }
        export_onnx(model, self.metadata, self.path)
        export_saved_model(model, json.dumps(self.metadata), folder / "saved_model")
        self.session = onnxruntime.InferenceSession(self.path, providers=["CPUExecutionProvider"])
        # Keras' own loading does not read it (Pitfall 23).
        self.saved = tf.saved_model.load(str(folder / "saved_model"))
        self._reference = compiled(model)

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
        F, K, C = self.model.block, self.model.head.noise_per_sample, self.model.channels
        shape = (rows, read * F, C) if C > 1 else (rows, read * F)
        forced = rng.uniform(-0.8, 0.8, shape).astype("float32")
        noise = rng.random((rows, drawn * F, K), "float32")
        return forced, noise, np.linspace(0.7, 1.3, rows).astype("float32")


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Callable[[str], Generator]:
    """Each small model by its name; one that several tests ask for is exported once."""
    return functools.cache(lambda name: Generator(make(name), tmp_path_factory.mktemp("exported")))


# Found phases answer to a rounding error with another signal: test_griffin_lim_export.py.
EVERY = [*MODELS, *LATENT_MODELS, *PACED_MODELS, *SPECTRAL_MODELS]
PARITY = [name for name in EVERY if name != "spectrum, amplitude"]


@pytest.fixture(params=each(PARITY))
def any_generator(request, exported) -> Generator:
    """Every small model."""
    return exported(request.param)


@pytest.fixture(params=REPRESENTATIVES)
def generator(request, exported) -> Generator:
    return exported(request.param)


NARROW = {"tiers.0.units": 4, "tiers.1.units": 5, "head.hidden_units": 8}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audio")
    return prepare([write_demo_piece(folder / "piece.wav", 4.0, 2000)], folder / "cache")


@pytest.fixture(scope="session")
def run(tmp_path_factory, corpus):
    """A run folder as training leaves it: best and last checkpoints that differ."""
    run = RunFolder(tmp_path_factory.mktemp("runs") / "song")
    recipe = load_recipe("categorical", NARROW)
    run.write_json(run.recipe, recipe.to_json())
    description = {"format_version": FORMAT_VERSION, "sample_rate": 11025}
    run.write_json(run.description, {**description, "corpus": str(corpus.folder)})
    model = build_model(recipe, codec_from_json({"name": "mulaw", "peak": 0.7, "levels": 256}))
    for path, scale in ((run.last, 0.0), (run.best, 1.0)):
        rng = np.random.default_rng(0)
        for weight in model.trainable_weights:
            value = ops.convert_to_numpy(weight)
            weight.assign(value + scale * rng.normal(size=value.shape))
        model.save(path)
    return run, model, recipe
