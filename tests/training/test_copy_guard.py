"""Copies are found in codes, and a model that copies is not kept."""

import keras
import numpy as np
import pytest

from keras_rawaudio.models import SpectralModel
from keras_rawaudio.training import copy_guard
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.copy_guard import CopyGuard, kept_row

RATE = 2000
PIECE = np.random.default_rng(0).normal(size=60 * RATE).astype(np.float32) / 10


def row(codes):
    return (codes + 1).astype(np.int16).ravel()


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = SpectralModel(RATE, codebook_size=32, components=4, units=8)
    model.prepare([PIECE])
    return model


@pytest.fixture(scope="module")
def codes(model):
    return np.random.default_rng(1).integers(0, 32, (500, model.frame))


@pytest.fixture
def guard(model, codes, monkeypatch):
    monkeypatch.setattr(copy_guard, "SECONDS", 20.0)
    heldout = np.random.default_rng(2).integers(0, 32, (200, model.frame))
    # The train part is read four times, from each hop of a block; the first is looked at.
    train = [row(codes), *[row(codes[::-1])] * 3]
    data = CodeCorpus({"train": train, "validation": [row(heldout)]}, {"train": [0] * 4})
    return CopyGuard(model, data)


def test_draws_of_an_untrained_model_are_no_copies(guard):
    assert guard.draws(np.random.default_rng(0)).shape[1] == copy_guard.STREAMS
    assert guard.longest(seed=0) == 0


def test_a_copy_is_as_long_as_it_is(guard, model, codes):
    draws = np.random.default_rng(3).integers(0, 32, (300, 8, model.frame))
    copied = round(9.0 * RATE / model.block)
    draws[40 : 40 + copied, 5] = codes[100 : 100 + copied]
    guard.draws = lambda rng: draws
    assert guard.longest(seed=0) == pytest.approx(9.0, abs=2 * copy_guard.EVERY)


def test_what_held_out_audio_matches_is_no_copy(model, codes):
    """A piece that repeats itself exactly copies itself, so the limit is above 1."""
    data = CodeCorpus({"train": [row(codes)], "validation": [row(codes[:150])]}, {"train": [0]})
    assert CopyGuard(model, data).limit > 1


def test_the_last_that_does_not_copy_is_kept():
    log = [{"step": i, "copied_seconds": c} for i, c in enumerate([5.0, 2.0, 4.0, 9.0])]
    assert kept_row(log)["step"] == 2
    assert kept_row(log[:1])["step"] == 0
