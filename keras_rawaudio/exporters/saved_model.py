"""The generator as a TensorFlow SavedModel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_rawaudio.generation import advance, generator_state_spec
from keras_rawaudio.models import Model


def export_saved_model(model: Model, metadata: str, path: Path) -> None:
    """Write a SavedModel whose signature `advance` is the generator's step.

    It takes `forced`, `noise`, `temperature` and the state by name, and returns `audio` and the
    state under the same names. `tf.saved_model.load(path)` opens it (Keras 3's `load_model` does
    not read SavedModels); `.metadata()` gives the JSON that the ONNX file carries too.

    Args:
        model: the model.
        metadata: JSON text.
        path: the folder to write.
    """
    spec = generator_state_spec(model)
    K = model.head.noise_per_sample
    audio = (None, None, model.channels) if model.channels > 1 else (None, None)

    def run(forced: Any, noise: Any, temperature: Any, **state: Any) -> dict[str, Any]:
        audio, after = advance(model, forced, noise, temperature, state)
        return {"audio": audio, **after}

    inputs = {"forced": audio, "noise": (None, None, K), "temperature": (None,)}
    states = {name: (None, *shape) for name, (shape, _) in spec.items()}
    write_saved_model(model, run, inputs | states, metadata, path)


def write_saved_model(
    model: keras.Model,
    run: Callable[..., dict[str, Any]],
    shapes: dict[str, tuple[int | None, ...]],
    metadata: str,
    path: Path,
) -> None:
    """Write a model with one function, its signature `advance`, and `metadata()`.

    Args:
        model: whose weights are saved.
        run: takes and gives tensors by name.
        shapes: of what it takes, all of 32-bit floats.
        metadata: JSON text.
        path: the folder to write.
    """
    module = tf.Module()
    module.model = model  # tracked, so that the weights are saved
    module.metadata = tf.function(lambda: tf.constant(metadata), input_signature=[])
    # Not an attribute of the module: `save` would trace it again and write it twice.
    signature = tf.function(run, autograph=False).get_concrete_function(
        **{name: tf.TensorSpec(shape, tf.float32, name) for name, shape in shapes.items()}
    )
    signatures = {"advance": signature, "serving_default": signature}
    tf.saved_model.save(module, str(path), signatures=signatures)
