"""Recipes: what ships loads and builds; what is wrong is refused in one line."""

import dataclasses
import json

import keras
import numpy as np
import pytest

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes import Recipe, load_recipe, recipe_from_json, recipe_names
from keras_rawaudio.training.build import build_model

SHIPPED = [
    "categorical",
    "default",
    "demo",
    "frame-gru",
    "frame-mixture",
    "frame-spectrum",
    "noisy-lstm",
    "state-gru",
]


def codec_of(recipe):
    options = {k: v for k, v in recipe.codec.items() if k != "name"}
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1000).astype("float32")
    parts = {part: lambda: iter([noise]) for part in ("train", "validation", "test")}
    return fit_codec(recipe.codec["name"], parts, **options)


def narrow(name):
    """A shipped recipe with little in it, so that it builds at once."""
    overrides = {}
    for i, tier in enumerate(load_recipe(name).tiers):
        overrides[f"tiers.{i}.units"] = (
            [4] * len(tier.units) if isinstance(tier.units, tuple) else 4
        )
    if name == "state-gru":  # its state is a frame
        overrides |= {"tiers.0.frame": 4, "windows.length": 100}
    return load_recipe(name, overrides)


def test_the_named_recipes_ship():
    assert set(SHIPPED) <= set(recipe_names())


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_loads_and_predicts(name):
    recipe = narrow(name)
    assert recipe.name == name
    assert recipe.description
    model = build_model(recipe, codec_of(recipe))
    assert [tier.frame for tier in model.tiers] == [tier.frame for tier in recipe.tiers]
    assert recipe.windows.length % model.frame == 0
    samples = 2 * model.frame
    x = np.zeros((1, model.context + samples), "int32" if model.codec.discrete else "float32")
    prediction, state = model(x, model.zero_state(1))
    loss = model.head.loss(prediction, x[:, :samples])
    assert loss.shape == (1, samples)
    assert np.isfinite(keras.ops.convert_to_numpy(loss)).all()
    assert set(state) == set(model.state_spec())


@pytest.mark.parametrize("name", recipe_names())
def test_json_round_trip(name):
    recipe = load_recipe(name)
    assert recipe_from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


def test_overrides_reach_every_level():
    recipe = load_recipe(
        "categorical",
        {
            "windows.batch": 3,
            "training.learning_rate": 1,
            "tiers.0.units": [8, 16],
            "tiers.1.cell": "lstm",
            "head.width": 20,
            "codec.levels": 64,
            "description": "mine",
        },
    )
    assert recipe.windows.batch == 3
    assert recipe.training.learning_rate == 1.0
    assert isinstance(recipe.training.learning_rate, float)
    assert recipe.tiers[0].units == (8, 16)
    assert recipe.tiers[1].cell == "lstm"
    assert (recipe.head["width"], recipe.codec["levels"]) == (20, 64)
    assert recipe.description == "mine"
    # The shipped file is read anew each time: nothing of an override stays.
    assert load_recipe("categorical").windows.batch != 3


def test_an_override_may_name_a_section_that_the_file_leaves_out(tmp_path):
    path = tmp_path / "bare.yaml"
    path.write_text(
        "description: d\ncodec: {name: mulaw}\ntiers: [{frame: 8}]\nhead: {kind: categorical}\n"
    )
    recipe = load_recipe(str(path), {"training.optimizer": "sgd", "windows.length": 64})
    assert (recipe.name, recipe.training.optimizer, recipe.windows.length) == ("bare", "sgd", 64)


def test_a_recipe_from_a_json_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(load_recipe("demo").to_json()))
    assert load_recipe(str(path)) == load_recipe("demo")


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("defualt", {}, "did you mean 'default'?"),
        ("nothing-like-it", {}, "choose from binary-lstm, categorical"),
        ("missing.yaml", {}, "no such recipe file"),
        ("categorical", {"windows.bach": 4}, "did you mean 'batch'?"),
        ("categorical", {"training.learning_rat": 4}, "did you mean 'learning_rate'?"),
        ("categorical", {"windws.batch": 4}, "did you mean 'windows'?"),
        ("categorical", {"tiers.0.unit": 4}, "did you mean 'units'?"),
        ("categorical", {"tiers.7.units": 4}, "there are 2"),
        ("categorical", {"tiers.one.units": 4}, "no tier 'one'"),
        ("categorical", {"description.x": 4}, "holds no settings"),
        ("categorical", {"tiers.0": 4}, "tiers"),
        ("categorical", {"name.x.y": 4}, "name"),
        ("categorical", {"tiers.1.frame": 7}, "do not divide"),
        ("categorical", {"tiers.0.frame": 8}, "do not divide"),
        ("categorical", {"windows.length": 100}, "try 128"),
        ("categorical", {"windows.length": 8}, "try 64"),
        ("categorical", {"windows.batch": 0}, "1 or more"),
        ("categorical", {"windows.sequence": 1000}, "multiple of windows.length"),
        ("categorical", {"windows.sequence": 0}, "multiple of windows.length"),
        ("categorical", {"windows.shift": 0}, "1 or more"),
        ("categorical", {"windows.shift": "lane"}, "'lanes'"),
        ("categorical", {"tiers.0.frame": 0}, "1 sample or more"),
        ("categorical", {"tiers.0.layers": 6}, "1 to 5 layers"),
        ("categorical", {"tiers.1.outline": True}, "last tier alone, under a predictive head"),
        ("default", {"tiers.0.outline": 1}, "does not fit"),
        ("categorical", {"tiers.0.layers": 2, "tiers.0.units": [4]}, "as many widths as layers"),
        ("categorical", {"tiers.0.units": 0}, "units"),
        ("categorical", {"tiers.0.units": -3}, "units"),
        ("categorical", {"tiers.0.preactivation_noise": -0.1}, "preactivation_noise"),
        ("categorical", {"tiers.0.input_noise": -0.1}, "input_noise"),
        ("categorical", {"tiers.0.skips": "memory"}, "'memories'"),
        ("categorical", {"tiers.0.layers": 0}, "1 to 5 layers"),
        ("categorical", {"tiers.0.window": 10}, "less than its frame"),
        ("categorical", {"tiers.0.cell": "rnn"}, "'gru' or 'lstm' or 'deep-gate-lstm'"),
        ("categorical", {"tiers.0.units": "many"}, "does not fit"),
        ("categorical", {"tiers.0.units": True}, "does not fit"),
        ("categorical", {"training.warmup_steps": 1.5}, "does not fit"),
        ("categorical", {"training.optimizer": "adm"}, "'adam'"),
        ("categorical", {"training.learning_rate": 0}, "above 0"),
        ("categorical", {"tiers": []}, "at least one"),
        ("categorical", {"head.kind": "categoricl"}, "did you mean 'categorical'?"),
        ("categorical", {"head.kind": "regression"}, "needs the codec"),
        ("frame-mixture", {"codec.name": "standardize"}, "needs the codec peak"),
        ("frame-spectrum", {"codec.name": "mulaw"}, "needs the codec standardize or minmax"),
        ("frame-spectrum", {"tiers.0.spectrum": {"size": 64}}, "'hop' is missing"),
        ("frame-spectrum", {"tiers.0.spectrum.filter": 1}, "no setting 'filter'"),
        ("categorical", {"codec.name": "standardize"}, "needs the codec"),
        ("categorical", {"head": "categorical"}, "head"),
    ],
)
def test_mistakes_are_said_in_one_line(name, overrides, words):
    with pytest.raises(UserError) as error:
        load_recipe(name, overrides)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2\n", "", "just words"])
def test_files_that_are_no_recipe(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"bad\.yaml"):
        load_recipe(str(path))


@pytest.mark.parametrize("missing", ["codec", "tiers", "head"])
def test_a_missing_setting_is_named(missing):
    values = load_recipe("demo").to_json()
    del values[missing]
    with pytest.raises(UserError, match=missing):
        recipe_from_json(values)


def test_a_gru_has_no_forget_bias():
    """Pitfall 9: refused with a clear message, not set on a name that no layer has."""
    with pytest.raises(UserError, match="GRU, which has no forget gate"):
        load_recipe("categorical", {"tiers.1.forget_bias": 1.0})
    assert load_recipe("noisy-lstm", {"tiers.0.forget_bias": 2}).tiers[0].forget_bias == 2.0


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"head.widht": 3}, "did you mean 'width'?"),
        ({"head.levels": 16}, "no 'levels'"),
        ({"head.layers": 0}, "layers >= 1"),
        ({"head.linear": 0}, "linear >= 1"),
        ({"head.width": "wide"}, "recipe categorical"),
    ],
)
def test_head_options_are_checked_where_the_head_is_known(overrides, words):
    recipe = load_recipe("categorical", overrides)
    with pytest.raises(UserError) as error:
        build_model(recipe, codec_of(load_recipe("categorical")))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "overrides", "words"),
    [
        ("frame-gru", {"head.span": 600}, "span of 600 samples is not whole hops of 250"),
        ("frame-gru", {"head.window": "hahn"}, "no window 'hahn'"),
        ("frame-gru", {"head.cost": "hubert"}, "no cost 'hubert'"),
        ("frame-gru", {"head.cost": {"huber": -1}}, "must be above 0"),
        ("frame-mixture", {"head.mixtures": 0}, "mixtures >= 1"),
        ("frame-spectrum", {"head.form": "cartesian"}, "no form 'cartesian'"),
        ("frame-spectrum", {"head.span": 100}, "not whole hops"),
        ("frame-spectrum", {"tiers.0.window": 128}, "tier's window longer"),
    ],
)
def test_frame_heads_are_checked_where_they_are_built(name, overrides, words):
    recipe = load_recipe(name, overrides)
    with pytest.raises(UserError) as error:
        build_model(recipe, codec_of(recipe))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_recipe_cannot_be_changed_by_accident():
    recipe = load_recipe("default")
    assert isinstance(recipe, Recipe)
    with pytest.raises(dataclasses.FrozenInstanceError):
        recipe.name = "other"
