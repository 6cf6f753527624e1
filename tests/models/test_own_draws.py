"""Own draws: how many there are follows from how sure the model is."""

import keras
import numpy as np
import pytest

from keras_rawaudio.models.own_draws import with_own_draws

CODES = np.zeros((8, 500, 2), "int32")


def share_of_draws(sharpness, most):
    """The share of blocks that are replaced: entry 3 of 16 is the likeliest."""
    logits = np.zeros((8, 500, 16), "float32")
    logits[..., 3] = sharpness
    seeds = keras.random.SeedGenerator(0)
    blocks = np.asarray(with_own_draws(CODES, [logits, logits], most, seeds))
    assert not blocks[:, 0].any()
    return (blocks[:, 1:] > 0).any(axis=-1).mean()


@pytest.mark.parametrize("most", [0.4, 0.9])
def test_a_model_that_is_sure_reads_as_many_as_are_allowed(most):
    assert share_of_draws(100.0, most) == pytest.approx(most, abs=0.03)


def test_a_model_that_knows_nothing_reads_none():
    assert share_of_draws(0.0, 0.9) < 0.001


def test_one_that_knows_something_reads_some():
    assert 0.05 < share_of_draws(3.0, 0.9) < 0.8
