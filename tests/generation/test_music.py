"""Weights of labels: drawn by their shares, or chosen."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.generation.music import LARGEST, chosen_music, random_music

MODEL = SimpleNamespace(labels=["night", "day", "sea"], label_shares=[1.0, 3.0, 0.0])


def test_each_stream_draws_one_label_by_its_share():
    drawn = random_music(MODEL, 4000, np.random.default_rng(0))["music"]
    assert (drawn.dtype, drawn.shape) == (np.float32, (4000, 3))
    np.testing.assert_array_equal(np.sort(drawn), np.tile([0, 0, 1], (4000, 1)))
    np.testing.assert_allclose(drawn.mean(axis=0), [0.25, 0.75, 0], atol=0.03)


def test_chosen_weights_add_up_to_one_in_each_stream():
    chosen = chosen_music(MODEL, {"sea": 1.0, "night": 3.0}, 2)["music"]
    assert chosen.dtype == np.float32
    np.testing.assert_array_equal(chosen, [[0.75, 0, 0.25]] * 2)


def test_a_model_without_labels_has_no_music():
    one = SimpleNamespace(labels=[])
    assert random_music(one, 2, np.random.default_rng(0)) == {}
    with pytest.raises(UserError, match="this model has one music alone"):
        chosen_music(one, {"night": 1.0}, 1)


@pytest.mark.parametrize("weight", [-1e-9, 1.01 * LARGEST, float("nan"), float("inf")])
def test_what_is_no_weight_is_refused(weight):
    with pytest.raises(UserError, match="it must be 0 to 1e"):
        chosen_music(MODEL, {"day": weight}, 1)


def test_weights_reach_from_0_to_the_largest():
    chosen = chosen_music(MODEL, {"day": LARGEST, "sea": 0.0}, 1)["music"]
    np.testing.assert_array_equal(chosen, [[0, 1, 0]])
    with pytest.raises(UserError, match="add up to nothing"):
        chosen_music(MODEL, {"day": 0.0}, 1)
