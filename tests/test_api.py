"""The Python API: one call for each thing that the command line does."""

import inspect
import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving import metadata

import keras_rawaudio
from keras_rawaudio import UserError
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.generation import Generator
from keras_rawaudio.models.controls import TEMPERATURE

from .small_models import SPECTRAL_MODELS, SPECTRAL_RATE, make, spectral_piece

TINY = {
    "codec.levels": 16,
    "data.batch": 4,
    "data.length": 128,
    "training.sample_seconds": 0,
}
RECIPE = """
codec: {name: mulaw}
tiers: [{frame_size: 8, units: 6}]
head: {kind: categorical, hidden_units: 8, layers: 1, embedded: 1, linear: 4}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of next to no training, by the API."""
    home = tmp_path_factory.mktemp("api")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        piece = write_demo_piece(home / "piece.wav", 4.0, 2000)
        (home / "tiny.yaml").write_text(RECIPE)
        path = keras_rawaudio.train(
            piece, home / "run", str(home / "tiny.yaml"), minutes=1e-4, seed=3, **TINY
        )
    assert path == home / "run"
    return path


def test_train_takes_overrides_and_a_seed(run):
    recipe = json.loads((run / "recipe.json").read_text())
    assert (recipe["codec"]["levels"], recipe["data"]["length"]) == (16, 128)
    assert json.loads((run / "run.json").read_text())["seed"] == 3


def test_evaluate_is_what_the_command_prints(run):
    scores = keras_rawaudio.evaluate(run)
    assert 0 < scores["bits_per_sample"] < 6
    assert scores["split"] == "test"


def test_load_makes_audio_that_the_seed_decides(run):
    song = keras_rawaudio.load(run)
    assert isinstance(song.model, keras_rawaudio.AudioModel)
    audio, rate = song.generate(0.05, seed=1)
    assert (audio.dtype, audio.shape, rate) == (np.float32, (100,), 2000)
    assert np.abs(audio).max() <= 1
    assert np.array_equal(audio, song.generate(0.05, seed=1)[0])
    assert not np.array_equal(audio, song.generate(0.05, seed=2)[0])
    prompt, _ = soundfile.read(run.parent / "piece.wav", dtype="float32", frames=500)
    assert not np.array_equal(audio, song.generate(0.05, prompt, seed=1)[0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seconds": 0}, "seconds"),
        ({"seconds": float("nan")}, "seconds"),
        ({"seconds": 1e9}, "3600"),
        ({"seconds": 1, "temperature": 0}, "temperature must be from 0.1 to 2, not 0"),
        ({"seconds": 1, "temperature": 3}, "temperature"),
        ({"seconds": 1, "temperature": float("nan")}, "temperature"),
        ({"seconds": 1, "seed": -1}, "seed"),
        ({"seconds": 1, "prompt": np.zeros((2, 3))}, "shape"),
        ({"seconds": 1, "prompt": np.zeros((9, 2, 2))}, "shape"),
        ({"seconds": 1, "prompt": np.full(9, np.nan)}, "finite"),
        (
            {"seconds": 1, "controls": {"pitch": 1}},
            "no control 'pitch': this model has temperature",
        ),
        ({"seconds": 1, "controls": {"temperature": 2.1}}, "temperature must be from 0.1 to 2"),
    ],
)
def test_generate_refuses_what_makes_no_audio(arguments, words):
    model = SimpleNamespace(channels=2, controls=[TEMPERATURE])
    with pytest.raises(UserError, match=words):
        Generator(model, 8000).generate(**arguments)


def test_the_temperature_has_one_range():
    assert tuple(TEMPERATURE) == tuple(metadata.TEMPERATURE)


@pytest.mark.parametrize("name", SPECTRAL_MODELS)
def test_a_prompt_has_the_channels_of_the_model_or_none(name):
    model = make(name)
    generator, piece = Generator(model, SPECTRAL_RATE), spectral_piece(model.channels, 0.5)
    shape = (100, 2) if model.channels == 2 else (100,)
    audio, rate = generator.generate(0.05, piece)
    assert (audio.dtype, audio.shape, rate) == (np.float32, shape, SPECTRAL_RATE)
    mono = piece.mean(axis=1) if piece.ndim == 2 else piece
    both = np.stack([mono] * model.channels, axis=1)
    np.testing.assert_array_equal(
        generator.generate(0.05, mono)[0], generator.generate(0.05, both)[0]
    )


def test_mistakes_are_value_errors(tmp_path):
    assert issubclass(UserError, ValueError)
    with pytest.raises(ValueError, match="did you mean 'batch'"):
        keras_rawaudio.train("x.wav", tmp_path / "run", **{"data.bach": 3})
    with pytest.raises(ValueError, match="minutes"):
        keras_rawaudio.train("x.wav", tmp_path / "run", minutes=float("nan"))
    with pytest.raises(ValueError, match="from 1000 to 384000"):
        keras_rawaudio.train("x.wav", tmp_path / "run", sample_rate=10**9)
    with pytest.raises(ValueError, match="no such run folder"):
        keras_rawaudio.load(tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_every_name_is_there_and_described():
    for name in keras_rawaudio.__all__:
        assert inspect.getdoc(getattr(keras_rawaudio, name)), name
        assert name in dir(keras_rawaudio)
    assert keras_rawaudio.layers.NoisyActivation
    assert "default" in keras_rawaudio.recipes.recipe_names()
    with pytest.raises(AttributeError, match="sampler"):
        _ = keras_rawaudio.sampler
