"""Small models of every kind, what they read and are given to draw with."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.generation import generator_state_spec
from keras_rawaudio.generation.advance import HISTORY
from keras_rawaudio.models import AudioModel

from ..small_models import far_from_fresh

MULAW = {"name": "mulaw", "peak": 0.9, "levels": 16}
PEAK = {"name": "peak", "peak": 0.9}
STANDARDIZE = {"name": "standardize", "mean": 0.1, "std": 0.4}
CATEGORICAL = {"kind": "categorical", "hidden_units": 10, "embedded": 3, "linear": 5}
PREDICTIVE = {
    "kind": "predictive",
    "codebook_size": 8,
    "filters": 3,
    "lpc_order": 16,
    "hidden_units": 8,
    "num_mixtures": 2,
}

MODELS = {
    "gru": ([{"frame_size": 4, "units": 6}], CATEGORICAL, MULAW),
    "lstm, two layers, window": (
        [{"frame_size": 4, "window": 9, "cell": "lstm", "units": 5, "layers": 2}],
        {**CATEGORICAL, "embedded": 1, "linear": 2},
        MULAW,
    ),
    "lstm over gru, windows": (
        [
            {
                "frame_size": 8,
                "window": 11,
                "cell": "lstm",
                "units": 6,
                "layers": 2,
                "skips": False,
            },
            {"frame_size": 2, "window": 7, "units": 5},
        ],
        CATEGORICAL,
        MULAW,
    ),
    "three tiers, long linear view": (
        [
            {"frame_size": 8, "units": 4},
            {"frame_size": 4, "units": 5},
            {"frame_size": 1, "units": 6},
        ],
        {**CATEGORICAL, "linear": 13},
        MULAW,
    ),
    "regression, lstm": (
        [{"frame_size": 5, "window": 8, "cell": "lstm", "units": 6, "layers": 3}],
        {"kind": "regression"},
        STANDARDIZE,
    ),
    "regression, two tiers": (
        [{"frame_size": 12, "units": 6}, {"frame_size": 4, "units": 5}],
        {"kind": "regression", "hidden_units": 4},
        STANDARDIZE,
    ),
    "predictive, two tiers": (
        [
            {"frame_size": 64, "units": 6},
            {"frame_size": 32, "cell": "lstm", "units": 5, "input": "codes"},
        ],
        PREDICTIVE,
        PEAK,
    ),
    "regression, overlaps": (
        [{"frame_size": 8, "units": 6}, {"frame_size": 4, "window": 9, "units": 5}],
        {"kind": "regression", "span": 12, "window": "triangle"},
        STANDARDIZE,
    ),
    "regression, states that take turns": (
        [{"frame_size": 4, "window": 12, "units": 5, "dilation": 3}],
        {"kind": "regression", "span": 12},
        STANDARDIZE,
    ),
    "mixture": (
        [{"frame_size": 8, "units": 6}, {"frame_size": 4, "units": 5}],
        {"kind": "mixture", "num_mixtures": 3},
        PEAK,
    ),
    "spectrum": (
        [{"frame_size": 4, "window": 12, "units": 6, "spectrum": {"size": 8, "hop": 4}}],
        {"kind": "spectrum", "form": "polar", "relative": True},
        STANDARDIZE,
    ),
    "predictive, a clock": (
        [{"frame_size": 32, "units": 6, "clock_harmonics": 3, "input": "codes"}],
        PREDICTIVE,
        PEAK,
    ),
    "predictive, reads samples": ([{"frame_size": 32, "units": 6}], PREDICTIVE, PEAK),
}


def make(name):
    keras.utils.set_random_seed(0)
    return far_from_fresh(AudioModel(*MODELS[name]), spread=0.4)


@pytest.fixture(params=list(MODELS), scope="module")
def model(request):
    return make(request.param)


def audio_of(model, rows, samples, seed=0):
    audio = np.random.default_rng(seed).uniform(-0.8, 0.8, (rows, samples))
    return audio.astype("float32")


def noise_of(model, rows, samples, seed=1):
    shape = (rows, samples, model.head.noise_per_sample)
    return np.random.default_rng(seed).random(shape, "float32")


def window_of(model, values):
    """A training window `x` whose first target is the first of `values`, after silence."""
    silence = generator_state_spec(model)[HISTORY][1]
    before = np.full((len(values), model.context + 1), silence)
    x = np.concatenate([before, ops.convert_to_numpy(values)[:, :-1]], axis=1)
    return x.astype("int32" if model.codec.discrete else "float32")
