"""The metadata of an exported file."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from keras_rawaudio.data.corpus import open_corpus
from keras_rawaudio.dsp.spectra import excerpts, mono
from keras_rawaudio.errors import UserError
from keras_rawaudio.exporters.int8 import LEAST_WEIGHTS
from keras_rawaudio.exporters.quantization_cost import bits_per_sample
from keras_rawaudio.generation import generator_state_spec
from keras_rawaudio.metrics.health import health, join, thresholds
from keras_rawaudio.metrics.reference import TRAIN_SECONDS
from keras_rawaudio.models import Model, SpectralModel
from keras_rawaudio.models.controls import TEMPERATURE
from keras_rawaudio.provenance import git_revision, versions

FORMAT_VERSION = 1


def describe(model: Model, origin: dict[str, Any]) -> dict[str, Any]:
    """What the exported file says of itself; the origin as of `describe_origin`."""
    spec = generator_state_spec(model)
    deterministic = model.head.deterministic
    controls = [*model.controls] if deterministic else [TEMPERATURE, *model.controls]
    return {
        "format_version": FORMAT_VERSION,
        "frame": model.block,
        "channels": model.channels,
        "delay": model.delay,
        "tiers": [tier.frame_size for tier in model.tiers],
        "head": model.head.kind,
        "noise_per_sample": model.head.noise_per_sample,
        "controls": [control._asdict() for control in controls],
        **music(model),
        "deterministic": deterministic,
        "codec": model.codec.to_json(),
        "states": [
            {"name": name, "shape": list(shape), "initial": fill}
            for name, (shape, fill) in spec.items()
        ],
        **origin,
    }


def describe_origin(sample_rate: int, recipe: dict[str, Any], checkpoint: str) -> dict[str, Any]:
    """What of it the model does not know: the run's sample rate in Hz, recipe and versions."""
    return {
        "sample_rate": sample_rate,
        "recipe": recipe,
        "checkpoint": checkpoint,
        "git_revision": git_revision(),
        "versions": versions(),
    }


def music(model: Model) -> dict[str, Any]:
    """The names of a model's labels, and their shares of the train part; nothing without labels."""
    if not isinstance(model, SpectralModel) or not model.labels:
        return {}
    shares = [round(float(share), 6) for share in np.asarray(model.label_shares)]
    return {"music": {"names": list(model.labels), "shares": shares}}


def int8_cost(model: Model, address: str) -> dict[str, Any]:
    """What 8 bits cost on the test part of a corpus: bits per sample with them, and without."""
    if not model.head.quantizable:
        raise UserError(f"--int8 is not for a {model.head.kind} head: it would gain no speed")
    segments = open_corpus(address).segments("test")
    exact, rounded = (bits_per_sample(model, segments, int8) for int8 in (False, True))
    return {
        "layers": f"int8 from {LEAST_WEIGHTS} weights",
        "test_bits_per_sample": round(rounded, 4),
        "test_bits_per_sample_float32": round(exact, 4),
    }


def limits(address: str) -> dict[str, float]:
    """What counts as ill in free running: `thresholds` of a corpus' train part, to choose by.

    Returns:
        Nothing, and says so, where the corpus is gone or silent: the generator plays without.
    """
    try:
        corpus = open_corpus(address)
        parts = excerpts(corpus.segments("train"), corpus.sample_rate, TRAIN_SECONDS)
        return thresholds(join([health(mono(part), corpus.sample_rate) for part in parts]))
    except UserError as error:
        print(f"note: --keep will not know what is usual in this piece: {error}", file=sys.stderr)
        return {}
