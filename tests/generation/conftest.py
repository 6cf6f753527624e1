"""Small models, what they read and are given to draw with."""

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.generation import generator_state_spec
from keras_rawaudio.models.controls import HISTORY

from ..small_models import MODELS, each, make

# One that gives back the frame just read predicts no sample that it draws; found phases differ.
DRAWING = [
    name
    for name, (_, head, _) in MODELS.items()
    if not head.get("reconstruct") and head.get("form") != "amplitude"
]


@pytest.fixture(params=each(DRAWING), scope="module")
def model(request):
    return make(request.param)


@pytest.fixture(params=DRAWING, scope="module")
def every_model(request):
    """Also in `make test`, those that are no representatives among them."""
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
