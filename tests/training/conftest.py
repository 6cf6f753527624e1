"""A few seconds of synthesised audio and models of a few units."""

import keras
import pytest

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import prepare
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.recipes import recipe_from_json
from keras_rawaudio.training.build import build_model
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train
from keras_rawaudio.training.trainer import Trainer

DISCRETE = {
    "name": "tiny",
    "description": "",
    "codec": {"name": "mulaw", "levels": 16},
    "tiers": [{"frame_size": 8, "units": 6}],
    "head": {"kind": "categorical", "hidden_units": 8, "layers": 1, "embedded": 1, "linear": 4},
    "data": {"length": 64, "batch": 4},
    "training": {"sample_seconds": 0.0, "validate_every": 1000.0, "warmup_steps": 3},
}
NOISY = DISCRETE | {
    "codec": {"name": "minmax"},
    "tiers": [
        {
            "frame_size": 8,
            "units": 6,
            "cell": "lstm",
            "activation_noise": "half-normal",
            "preactivation_noise": 0.05,
        }
    ],
    "head": {"kind": "regression"},
    "data": {"length": 16, "batch": 4},
}
# The clock's period, the filters and the codebooks are found on the train part, not learned.
CLOCK = DISCRETE | {
    "codec": {"name": "peak"},
    "tiers": [
        {"frame_size": 32, "input": "codes", "units": 6, "clock_harmonics": 2, "dropout": 0.2}
    ],
    "head": {
        "kind": "predictive",
        "codebook_size": 8,
        "filters": 3,
        "lpc_order": 16,
        "hidden_units": 8,
    },
}


@pytest.fixture(scope="session")
def piece(tmp_path_factory):
    """The path of 4 seconds of audio at 2 kHz."""
    return write_demo_piece(tmp_path_factory.mktemp("piece") / "piece.wav", 4.0, 2000)


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def corpus(piece, cache):
    return prepare([piece], cache)


@pytest.fixture(scope="session")
def tiny():
    """Makes a recipe: `tiny(noisy=False, clock=False, **training settings)`."""

    def make(noisy=False, clock=False, **training):
        values = NOISY if noisy else CLOCK if clock else DISCRETE
        return recipe_from_json(values | {"training": values["training"] | training})

    return make


@pytest.fixture(scope="session")
def build(corpus):
    """Makes a model of a recipe, with the weights of a seed."""

    def make(recipe, seed=0):
        keras.utils.set_random_seed(seed)
        codec = fit_codec(parts=corpus.parts(), **recipe.codec.model_dump())
        return build_model(recipe, codec)

    return make


@pytest.fixture(scope="session")
def trained(piece, cache, tiny, tmp_path_factory):
    """The folder of a finished run; tests that change it copy it."""
    run = tmp_path_factory.mktemp("trained") / "run"
    assert train([piece], run, tiny(), Budget(epochs=1), cache=cache, seed=3)
    return run


@pytest.fixture
def trainer(tmp_path, corpus, tiny, build):
    """Makes a trainer in a folder of its own."""

    def make(recipe=None, budget=None, **options):
        recipe, budget = recipe or tiny(), budget or Budget(epochs=1)
        run = RunFolder(tmp_path / "run")
        return Trainer(run, recipe, corpus, build(recipe), budget, **options)

    return make
