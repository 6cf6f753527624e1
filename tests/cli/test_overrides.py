"""What the flags of `train` lay over a recipe."""

import argparse

import pytest

from keras_rawaudio.cli.train import add_arguments, overrides
from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes import load_recipe


def test_flags_and_set_say_what_they_say_and_nothing_else():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = "--run r --batch 3 --shift 2 --set training.clip_norm=null tiers.0.units=[3,4]"
    values = overrides(parser.parse_args([*words.split(), "training.learning_rate=1e-3"]))
    assert values == {
        "data.batch": 3,
        "data.shift": 2,
        "training.clip_norm": None,  # nothing is a value, too: no clipping
        "tiers.0.units": [3, 4],
        "training.learning_rate": 1e-3,
    }
    recipe = load_recipe("frame-gru", values | {"tiers.0.frame_size": 250})
    assert recipe.training.clip_norm is None
    assert overrides(parser.parse_args(["--run", "r"])) == {}


def test_a_value_that_is_given_twice_is_refused():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    for words, message in (
        ("--set data.batch=2 data.batch=4", "--set data.batch is there twice"),
        ("--set data.batch=2 --set data.batch=4", "--set data.batch is there twice"),
        ("--set data.batch=2 --batch 4", "data.batch is given twice"),
        ("--set data.shift=2 --shift 4", "data.shift is given twice"),
    ):
        with pytest.raises(UserError, match=message):
            overrides(parser.parse_args(["--run", "r", *words.split()]))
    words = "--run r --audio a b --audio c"
    assert parser.parse_args(words.split()).audio == ["a", "b", "c"]
