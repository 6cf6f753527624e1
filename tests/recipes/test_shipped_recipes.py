"""Recipes that ship: each loads, builds and says what its layers take."""

import inspect
import json
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_rawaudio import recipes
from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import CorpusSettings
from keras_rawaudio.errors import UserError
from keras_rawaudio.layers import Corruption
from keras_rawaudio.models import Refiner
from keras_rawaudio.models import heads as head_files
from keras_rawaudio.models.tier import Tier
from keras_rawaudio.recipes import (
    Recipe,
    RefinerRecipe,
    TierSettings,
    load_recipe,
    recipe_from_json,
    recipe_names,
)
from keras_rawaudio.recipes.heads import HEADS
from keras_rawaudio.recipes.refiner import CorruptionSettings, RefinerSettings
from keras_rawaudio.training.build import build_model, refiner_model

SHIPPED = [
    "categorical",
    "denoising-gan",
    "frame-draw",
    "frame-flow",
    "frame-gan",
    "noise-gan",
    "refiner",
    "raw",
    "demo",
    "frame-gru",
    "frame-mixture",
    "frame-spectrum",
    "noisy-lstm",
    "state-gru",
]


def codec_of(recipe):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1000).astype("float32")
    parts = {part: lambda: iter([noise]) for part in ("train", "validation", "test")}
    return fit_codec(parts=parts, **recipe.codec.model_dump())


def narrow(name):
    """A shipped recipe with little in it, so that it builds at once."""
    overrides = {}
    for i, tier in enumerate(load_recipe(name).tiers):
        overrides[f"tiers.{i}.units"] = (
            [4] * len(tier.units) if isinstance(tier.units, tuple) else 4
        )
    if name == "state-gru":  # its state is a frame
        overrides |= {"tiers.0.frame_size": 4, "data.length": 100}
    return load_recipe(name, overrides)


def test_the_named_recipes_ship():
    assert set(SHIPPED) <= set(recipe_names())


SAMPLE_LEVEL = [name for name in recipe_names() if isinstance(load_recipe(name), Recipe)]


@pytest.mark.parametrize("name", SAMPLE_LEVEL)
def test_every_shipped_recipe_loads_and_predicts(name):
    recipe = narrow(name)
    assert recipe.name == name
    assert recipe.description
    model = build_model(recipe, codec_of(recipe))
    assert [tier.frame_size for tier in model.tiers] == [tier.frame_size for tier in recipe.tiers]
    assert recipe.data.length % model.frame == 0
    samples = 2 * model.frame
    x = np.zeros((1, model.context + samples), "int32" if model.codec.discrete else "float32")
    prediction, state = model(x, model.zero_state(1))
    loss = model.head.loss(prediction, x[:, :samples])
    assert loss.shape == (1, samples)
    assert np.isfinite(keras.ops.convert_to_numpy(loss)).all()
    assert set(state) == set(model.state_spec())


REFINERS = [name for name in recipe_names() if isinstance(load_recipe(name), RefinerRecipe)]


@pytest.mark.parametrize("name", REFINERS)
def test_every_refiner_loads_and_restores(name):
    recipe = load_recipe(name, {"refiner.units": 4})
    model = refiner_model(recipe, codec_of(recipe))
    x = np.zeros((2, recipe.data.length), "float32")
    restored, _ = model(x, {}, training=True)
    loss = keras.ops.convert_to_numpy(model.head.loss(restored, x))
    assert loss.shape == x.shape
    assert np.isfinite(loss).all()


@pytest.mark.parametrize("name", recipe_names())
def test_json_round_trip(name):
    recipe = load_recipe(name)
    assert recipe_from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_heads_and_their_settings_agree():
    """A head's layer takes what its settings have, with the same defaults."""
    files = {path.stem for path in Path(head_files.__file__).parent.glob("[!_]*.py")}
    assert files - {"base", "codes", "restoration"} == HEADS.keys()  # those are of other models
    for kind, settings in HEADS.items():
        layer = head_files.head_layer(kind)
        arguments = {
            name: parameter.default
            for name, parameter in inspect.signature(layer.__init__).parameters.items()
            if name not in ("self", "kwargs", "clock_width")
            and parameter.default is not parameter.empty
        }
        fields = settings.model_fields
        assert arguments == {k: f.default for k, f in fields.items() if k != "kind"}, kind


def test_refiners_and_their_settings_agree():
    parameters = inspect.signature(Refiner.__init__).parameters
    for name, field in RefinerSettings.model_fields.items():
        if name != "corruption":
            assert parameters[name].default == field.default, name
    parameters = inspect.signature(Corruption.__init__).parameters
    for name, field in CorruptionSettings.model_fields.items():
        assert parameters[name].default == field.default, name


def test_tiers_and_their_settings_agree():
    parameters = inspect.signature(Tier.__init__).parameters
    for name, field in TierSettings.model_fields.items():
        if name not in ("frame_size", "input"):
            assert parameters[name].default == field.default, name


@pytest.mark.parametrize("name", SAMPLE_LEVEL)
def test_sample_level_recipes_take_mono_at_16_khz(name):
    """Pitfall 27: their settings are in samples, so audio comes at the rate they are meant for."""
    data = load_recipe(name).data
    settings = data.corpus(CorpusSettings())
    assert (settings.channels, settings.max_sample_rate) == (1, 16_000)
    assert data.corpus(CorpusSettings(sample_rate=44_100)).sample_rate == 44_100
    with pytest.raises(UserError, match="takes 1 channel"):
        data.corpus(CorpusSettings(channels=2))


def test_a_full_band_recipe_takes_what_the_audio_has():
    data = load_recipe("default").data
    settings = data.corpus(CorpusSettings())
    assert (settings.channels, settings.max_sample_rate) == (None, 48_000)
    assert data.corpus(CorpusSettings(channels=1)).channels == 1


OF_2016 = sorted(path.stem for path in Path(recipes.__file__).parent.glob("2016/*.yaml"))
TODAY = "frame-gru-today"


@pytest.mark.parametrize("name", [name for name in OF_2016 if name != TODAY])
def test_recipes_of_2016_train_as_was_done_then(name):
    training = load_recipe(name).training
    assert (training.optimizer, training.learning_rate) == ("rmsprop", 2e-3)
    assert (training.schedule, training.warmup_steps) == ("constant", 0)
    assert (training.clip_norm, training.average, training.weight_noise) == (None, None, 0)


def test_the_frame_gru_of_today_differs_in_its_training_alone():
    then, now = load_recipe("frame-gru").model_dump(), load_recipe(TODAY).model_dump()
    differing = {key for key in then if then[key] != now[key]}
    assert differing - {"name", "description"} == {"training"}
    differing = {key for key in then["training"] if then["training"][key] != now["training"][key]}
    assert differing == {"schedule", "warmup_steps", "clip_norm", "average"}


@pytest.mark.parametrize(
    ("name", "plain"), [("noisy-gru", {}), ("noisy-tanh-lstm", {"cell": "lstm"})]
)
def test_noise_and_hardness_have_a_control_each(name, plain):
    """One value leads from noisy units to hard ones, and from there to smooth ones."""
    noisy = load_recipe(name)
    smooth = load_recipe("frame-gru", {f"tiers.0.{key}": value for key, value in plain.items()})
    for control, other in (
        ("hard", load_recipe(name, {"tiers.0.activation_noise": "hard"})),
        (None, smooth),
    ):
        dumped = noisy.model_dump() | {"name": other.name, "description": other.description}
        dumped["tiers"][0]["activation_noise"] = control
        assert dumped == other.model_dump()


def test_a_spectral_recipe_takes_the_rate_and_channels_of_the_files():
    settings = load_recipe("default").data.corpus(CorpusSettings())
    assert (settings.channels, settings.max_sample_rate) == (None, 48_000)
