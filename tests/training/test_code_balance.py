"""Code biases: free-running draws get the frequencies of the train part."""

import keras
import numpy as np
import pytest

from keras_rawaudio.models import SpectralModel
from keras_rawaudio.training import code_balance
from keras_rawaudio.training.code_balance import LARGEST_BIAS, CodeBalance
from keras_rawaudio.training.code_corpus import CodeCorpus

RATE = 2000


@pytest.fixture
def balance(monkeypatch):
    monkeypatch.setattr(code_balance, "ROWS", 8)
    monkeypatch.setattr(code_balance, "BLOCKS", 100)
    keras.utils.set_random_seed(0)
    model = SpectralModel(RATE, codebook_size=16, components=4, units=8)
    model.prepare([np.random.default_rng(0).normal(size=20 * RATE).astype(np.float32) / 10])
    # A piece that has the first code of each band half of the time.
    codes = np.random.default_rng(1).integers(0, 16, (4000, model.frame))
    codes[::2] = 0
    rows = (codes + 1).astype(np.int16).ravel()
    return CodeBalance(model, CodeCorpus({"train": [rows]}, {"train": [0]}))


def test_the_wanted_frequencies_are_those_of_the_train_part(balance):
    np.testing.assert_allclose(balance.frequencies.sum(axis=1), 1)
    assert balance.frequencies[:, 0] == pytest.approx(0.5 + 0.5 / 16, abs=0.02)


def test_updates_bring_draws_to_the_wanted_frequencies(balance):
    divergences = balance.fit(10, seed=0)
    assert divergences[0] > 0.5
    assert divergences[-1] < 0.1


def test_biases_are_a_function_of_the_seed(balance):
    first = balance.fit(2, seed=3)
    bias = np.asarray(balance.model.code_bias)
    assert balance.fit(2, seed=3) == first
    np.testing.assert_array_equal(balance.model.code_bias, bias)


def test_biases_are_bounded(balance):
    balance.frequencies = np.eye(16)[np.full(balance.model.frame, 3)]
    balance.fit(12, seed=0)
    assert np.abs(np.asarray(balance.model.code_bias)).max() == LARGEST_BIAS
