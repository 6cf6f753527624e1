"""Recipes: files and overrides are read, and what is wrong is refused in one line."""

import json

import pytest
from pydantic import ValidationError

from keras_rawaudio.data.corpus import CorpusSettings
from keras_rawaudio.errors import UserError, one_line
from keras_rawaudio.recipes import (
    Recipe,
    RefinerRecipe,
    SpectralRecipe,
    load_recipe,
    parse_overrides,
    recipe_from_json,
)


def test_overrides_reach_every_level():
    recipe = load_recipe(
        "categorical",
        {
            "data.batch": 3,
            "training.learning_rate": 1,
            "tiers.0.units": [8, 16],
            "tiers.1.cell": "lstm",
            "head.hidden_units": 20,
            "codec.levels": 64,
            "description": "mine",
        },
    )
    assert recipe.data.batch == 3
    assert recipe.training.learning_rate == 1.0
    assert isinstance(recipe.training.learning_rate, float)
    assert recipe.tiers[0].units == (8, 16)
    assert recipe.tiers[1].cell == "lstm"
    assert (recipe.head.hidden_units, recipe.codec.levels) == (20, 64)
    assert recipe.description == "mine"
    # The shipped file is read anew each time: nothing of an override stays.
    assert load_recipe("categorical").data.batch != 3


def test_an_override_may_name_a_section_that_the_file_leaves_out(tmp_path):
    path = tmp_path / "bare.yaml"
    path.write_text(
        "description: d\ncodec: {name: mulaw}\n"
        "tiers: [{frame_size: 8}]\nhead: {kind: categorical}\n"
    )
    recipe = load_recipe(str(path), {"training.optimizer": "sgd", "data.length": 64})
    assert (recipe.name, recipe.training.optimizer, recipe.data.length) == ("bare", "sgd", 64)


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "0.1e-2", ".1e-2", "+1.e-3", "1.0e-3"])
def test_numbers_with_an_exponent_need_no_point(tmp_path, text):
    """YAML 1.1 takes 1e-3 for text; in a file it was refused, and after --set it was not."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "description: d\ncodec: {name: mulaw}\ntiers: [{frame_size: 8}]\n"
        f"head: {{kind: categorical}}\ntraining: {{learning_rate: {text}}}\n"
    )
    assert load_recipe(str(path)).training.learning_rate == 1e-3
    overrides = parse_overrides([f"training.learning_rate={text}"])
    assert load_recipe("demo", overrides).training.learning_rate == 1e-3


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
        ("categorical", {"data.bach": 4}, "data: no setting 'bach'; did you mean 'batch'?"),
        ("categorical", {"training.learning_rat": 4}, "did you mean 'learning_rate'?"),
        ("categorical", {"dta.batch": 4}, "did you mean 'data'?"),
        ("categorical", {"tiers.0.unit": 4}, "tiers.0: no setting 'unit'; did you mean 'units'?"),
        ("categorical", {"tiers.7.units": 4}, "there are 2"),
        ("categorical", {"tiers.one.units": 4}, "no tier 'one'"),
        ("categorical", {"tiers.\u00b2.units": 4}, "no tier"),
        ("categorical", {"tiers." + "9" * 5000 + ".units": 4}, "no tier"),
        ("categorical", {"description.x": 4}, "holds no settings"),
        ("categorical", {"tiers.0": 4}, "tiers"),
        ("categorical", {"name.x.y": 4}, "name"),
        ("categorical", {"tiers.1.frame_size": 7}, "do not divide"),
        ("categorical", {"tiers.0.frame_size": 8}, "do not divide"),
        ("categorical", {"data.length": 100}, "try 128"),
        ("categorical", {"data.length": 8}, "try 64"),
        ("categorical", {"data.sequence": 1000}, "multiple of length"),
        ("categorical", {"data.shift": "lane"}, "data.shift: 'lane' should be"),
        ("categorical", {"tiers.1.input": "codes"}, "last tier alone, under a predictive head"),
        ("raw", {"tiers.0.input": 1}, "tiers.0.input: 1 should be 'samples' or 'codes'"),
        ("categorical", {"tiers.0.layers": 2, "tiers.0.units": [4]}, "as many widths as layers"),
        ("categorical", {"tiers.0.units": [4, 0]}, "tiers.0.units.1: 0 should be greater"),
        ("categorical", {"tiers.0.units": "many"}, "should be a valid integer, or 'many' should"),
        ("categorical", {"tiers.0.units": True}, "tiers.0.units: True should be a valid integer"),
        ("categorical", {"tiers.0.skips": "memory"}, "'memories'"),
        ("categorical", {"tiers.0.skips": "memories"}, "a GRU has no cell states"),
        ("categorical", {"tiers.0.window": 10}, "less than the frame"),
        ("categorical", {"tiers.0.cell": "rnn"}, "'gru', 'lstm' or 'deep-gate-lstm'"),
        ("categorical", {"training.warmup_steps": 1.5}, "1.5 should be a valid integer"),
        ("categorical", {"training.optimizer": "adm"}, "'adam'"),
        ("categorical", {"tiers": []}, "tiers: "),
        ("categorical", {"head.kind": "categoricl"}, "did you mean 'categorical'?"),
        ("categorical", {"head.kind": ["categorical"]}, "head"),
        ("categorical", {"codec.name": "mulow"}, "did you mean 'mulaw'?"),
        ("categorical", {"codec.levles": 16}, "did you mean 'levels'?"),
        (
            "categorical",
            {"head.hiden_units": 3},
            "head: no setting 'hiden_units'; did you mean 'hidden_units'?",
        ),
        ("categorical", {"head.levels": 16}, "no setting 'levels'"),
        (
            "categorical",
            {"head.hidden_units": "wide"},
            "head.hidden_units: 'wide' should be a valid integer",
        ),
        ("raw", {"codec.name": "standardize"}, "needs the codec peak"),
        ("frame-mixture", {"codec.name": "standardize"}, "needs the codec peak"),
        ("frame-spectrum", {"codec.name": "mulaw"}, "needs the codec standardize or minmax or"),
        ("categorical", {"codec": {"name": "standardize"}}, "needs the codec mulaw or linear"),
        ("frame-spectrum", {"tiers.0.spectrum": {"size": 64}}, "'hop' is missing"),
        ("frame-spectrum", {"tiers.0.spectrum.filter": 1}, "no setting 'filter'"),
        ("frame-spectrum", {"tiers.0.spectrum.size": 63}, "multiple of 2"),
        ("frame-spectrum", {"tiers.0.spectrum.form": "parts"}, "need the form 'polar'"),
        ("frame-spectrum", {"tiers.0.window": 128}, "tier's window longer"),
        ("categorical", {"head": "categorical"}, "head: 'categorical' should be settings by name"),
        ("categorical", {"head": {"hidden_units": 3}}, "head: the setting 'kind' is missing"),
        ("categorical", {"x" * 9999: 3}, "no setting 'xxx"),
        ("categorical", {"a\nb": 3}, r"no setting 'a\nb'"),
        ("frame-gru", {"head.span": 600}, "span of 600 samples is not whole hops of 250"),
        ("frame-gru", {"head.span": 500, "head.reconstruct": True}, "no reconstruct"),
        ("frame-gru", {"head.hidden_units": 5, "head.end_layer": False}, "needs the end layer"),
        ("frame-gru", {"head.window": "hahn"}, "'hann'"),
        ("frame-gru", {"head.cost": "hubert"}, "'huber'"),
        ("frame-gru", {"head.cost": {"huber": -1}}, "should be greater than 0"),
        ("frame-gru", {"head.cost": {}}, "names no cost"),
        (
            "frame-mixture",
            {"tiers.0.frame_size": 5, "head.num_mixtures": 6},
            "6 mixtures need a frame",
        ),
        ("frame-spectrum", {"head.form": "cartesian"}, "'amplitude'"),
        ("frame-spectrum", {"head.form": "parts"}, "needs the form 'polar'"),
        ("frame-spectrum", {"head.span": 100}, "not whole hops"),
        ("frame-gan", {"head.latent": 300}, "300 random numbers need a frame as long, not 250"),
        ("frame-gan", {"head.fakes": "real"}, "'generated' or 'noise'"),
        ("frame-draw", {"codec.name": "standardize"}, "needs the codec peak"),
        (
            "frame-flow",
            {"tiers.0.frame_size": 25, "data.length": 1000},
            "of 4 samples or more, even",
        ),
        ("refiner", {"codec.name": "mulaw"}, "a refiner needs the codec"),
        ("refiner", {"data.length": 1000}, "windows of 800; try 800"),
        ("refiner", {"refiner.overlap": 3}, "overlap must divide the 16 frames"),
        ("refiner", {"refiner.corruption.drop": 1}, "did you mean 'dropped'?"),
        ("refiner", {"training.sample_seconds": 4}, "training.sample_seconds"),
        ("raw", {"head.lpc_order": 100}, "lpc_order must be a multiple of bunch"),
        ("raw", {"head.bunch": 24}, "multiple of its bunch of 24"),
        ("raw", {"head.bunch": 64}, "head.bunch: 64 should be less than or equal to 32"),
        (
            "raw",
            {
                **{"head.bunch": 32, "head.lpc_order": 256, "data.length": 1024},
                "tiers.0.frame_size": 32,
            },
            "a frame of 64 samples or more",
        ),
        ("raw", {"tiers.0.window": 1000}, "reads codes has no window"),
        (
            "frame-gru",
            {"head.cost": "spectral", "tiers.0.frame_size": 50, "data.length": 100},
            "data.length of 128 samples or more, not 100",
        ),
        ("frame-gru", {"head.cost": {"spectral": 1, "squared": 1}, "data.length": 10}, "of 128"),
        ("frame-draw", {"tiers.0.frame_size": 1}, "a frame of 2 samples or more, not 1"),
    ],
)
def test_mistakes_are_one_line(name, overrides, words):
    with pytest.raises(UserError) as error:
        load_recipe(name, overrides)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


RANGES = {
    "data.batch": (1, 65536),
    "data.length": (1, 1 << 24),
    "data.sequence": (1, 1 << 40),
    "data.shift": (1, 1 << 40),
    "head.dropout": (0, 1),
    "head.layers": (1, 16),
    "head.hidden_units": (1, 16384),
    "tiers.0.clock_harmonics": (0, 4096),
    "tiers.0.dropout": (0, 1),
    "tiers.0.forget_bias": (-100, 100),
    "tiers.0.frame_size": (1, 65536),
    "tiers.0.input_noise": (0, 100),
    "tiers.0.layers": (1, 5),
    "tiers.0.preactivation_noise": (0, 100),
    "tiers.0.units": (1, 16384),
    "tiers.0.window": (1, 1 << 20),
    "training.average": (0, 1),
    "training.clip_norm": (0, 1e9),
    "training.early_stopping": (1, 10**9),
    "training.learning_rate": (0, 10),
    "training.sample_seconds": (0, 3600),
    "training.validate_every": (0, 1e5),
    "training.warmup_steps": (0, 10**9),
    "training.weight_decay": (0, 1),
    "training.weight_noise": (0, 100),
}


@pytest.mark.parametrize("key", RANGES)
def test_every_number_has_a_range(key):
    low, high = RANGES[key]
    for wrong in (low - 1, high + 1, float("nan"), float("inf"), -float("inf"), 10**400):
        with pytest.raises(UserError) as error:
            load_recipe("raw", {key: wrong})
        assert key in str(error.value)
        assert len(str(error.value)) < 300


@pytest.mark.parametrize(
    ("schema_of", "least"), [(Recipe, 40), (SpectralRecipe, 20), (RefinerRecipe, 20)]
)
def test_no_number_is_left_without_a_range(schema_of, least):
    def numbers(schema, where):
        """Numeric schemas of a property, those of its alternatives and items too."""
        if schema.get("type") in ("integer", "number") and "const" not in schema:
            yield where, schema
        inner = [schema[key] for key in ("items", "additionalProperties") if schema.get(key)]
        for part in [*schema.get("anyOf", []), *inner]:
            yield from numbers(part, where)

    schema = schema_of.model_json_schema()
    found = [
        (where, rule)
        for name, part in [("Recipe", schema), *schema["$defs"].items()]
        for key, value in part.get("properties", {}).items()
        for where, rule in numbers(value, f"{name}.{key}")
    ]
    assert len(found) > least
    for where, rule in found:
        assert {"minimum", "exclusiveMinimum"} & rule.keys(), where
        assert {"maximum", "exclusiveMaximum"} & rule.keys(), where


BAD_FILES = {
    "cut": b"a: [1",
    "list": b"- 1\n- 2\n",
    "empty": b"",
    "words": b"just words",
    "latin-1": "description: caf\xe9\n".encode("latin-1"),
    "utf-16": "description: d\n".encode("utf-16"),
    "nulls": b"description: a\0b\n",
    "deep": b"a: " + b"[" * 100_000,
    "deep flow": b"{a: " * 5000 + b"}" * 5000,
    "large": b"# " + b"x" * (1 << 20),
    "long number": b"codec: " + b"9" * 5000,
    "date": b"codec: 2020-13-45",
    "code": b"codec: !!python/object/apply:os.system [exit]",
    "tag": b"codec: !x 1",
    "key": b"? [1, 2]\n: 3\n",
    "null key": b"~: 3\n",
    "aliases": b"a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\ncodec: [*a, *b]\n",
    "itself": b"codec: &a [*a]\n",
    "empty number": b"codec: !!int ''\n",
    "no truth": b"codec: !!bool x\n",
    "no time": b"codec: !!timestamp x\n",
    "no set": b"codec: !!set [a]\n",
    "hexadecimal": b"codec: 0x" + b"f" * 9000,
    "base of sixty": b"codec: !!float 1" + b":59" * 400 + b".5",
    "no float": b'{"codec": 1' + b"0" * 400 + b"}",
}


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
@pytest.mark.parametrize("case", BAD_FILES)
def test_files_that_are_no_recipe(tmp_path, case, suffix):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(BAD_FILES[case])
    with pytest.raises(UserError, match="bad") as error:
        load_recipe(str(path))
    assert one_line(str(error.value)) == str(error.value)
    assert len(str(error.value)) < 500


def test_places_that_are_no_recipe(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    for name in ("folder.yaml", "missing.yaml", "a\0b.yaml", "x" * 5000 + ".yaml"):
        with pytest.raises(UserError):
            load_recipe(str(tmp_path / name))


@pytest.mark.parametrize("missing", ["codec", "tiers", "head"])
def test_a_missing_setting_is_named(missing):
    values = load_recipe("demo").to_json()
    del values[missing]
    with pytest.raises(UserError, match=missing):
        recipe_from_json(values)


def test_a_forget_bias_is_kept():
    assert load_recipe("categorical", {"tiers.1.forget_bias": 1.0}).tiers[1].forget_bias == 1.0
    assert load_recipe("noisy-lstm", {"tiers.0.forget_bias": 2}).tiers[0].forget_bias == 2.0


def test_a_recipe_cannot_be_changed_by_accident():
    recipe = load_recipe("raw")
    assert isinstance(recipe, Recipe)
    with pytest.raises(ValidationError):
        recipe.name = "other"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("twice.yaml", "data: {batch: 2}\ndata: {batch: 4}\n"),
        ("twice-inside.yaml", "data: {batch: 2, batch: 4}\n"),
        ("twice.json", '{"data": {"batch": 2}, "data": {"batch": 4}}'),
    ],
)
def test_a_name_that_is_there_twice_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match="is there twice; keep one"):
        load_recipe(str(tmp_path / name))


def test_text_that_no_page_can_hold_is_refused(tmp_path):
    (tmp_path / "half.json").write_text('{"description": "\\ud800"}')
    with pytest.raises(UserError, match="surrogates not allowed"):
        load_recipe(str(tmp_path / "half.json"))


@pytest.mark.parametrize("channels", [2, None])
def test_a_mono_model_takes_one_channel(channels):
    with pytest.raises(UserError, match=r"data\.channels"):
        load_recipe("raw", {"data.channels": channels})
    assert load_recipe("default", {"data.channels": channels}).data.channels == channels


def test_a_recipe_may_ask_for_any_rate_that_a_corpus_can_have():
    data = load_recipe("default", {"data.max_sample_rate": 96_000}).data
    assert data.corpus(CorpusSettings()).max_sample_rate == 96_000
    assert data.corpus(CorpusSettings(max_sample_rate=8000)).max_sample_rate == 8000


def test_a_key_that_is_no_text_is_one_line(tmp_path):
    (tmp_path / "odd.yaml").write_text("{1: 2, data: {}}")
    with pytest.raises(UserError, match="nothing called 'foo'"):
        load_recipe(str(tmp_path / "odd.yaml"), {"foo.bar": 3})
