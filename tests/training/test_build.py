"""Sizes that follow from the corpus and the budget."""

from types import SimpleNamespace

import numpy as np
import pytest

from keras_rawaudio.dsp.block_spectra import BlockSpectra
from keras_rawaudio.recipes import load_recipe
from keras_rawaudio.training.build import spectral_model, with_codebook_size
from keras_rawaudio.training.schedule import Budget

BLOCKS = 3000


@pytest.fixture
def corpus():
    silence = np.zeros(BLOCKS // 2 * BlockSpectra(8000).block, np.int16)
    return SimpleNamespace(sample_rate=8000, channels=1, segments=lambda part: [silence] * 2)


@pytest.mark.parametrize(
    ("budget", "entries"),
    [
        (Budget(minutes=1), 256),  # an eighth of the blocks
        (Budget(minutes=4), 256),
        (Budget(minutes=5), 512),
        (Budget(minutes=10), 1024),
        (Budget(minutes=1000), 1024),
        (Budget(epochs=1), 256),
        (Budget(epochs=100), 512),
    ],
)
def test_codebooks_grow_with_the_budget(corpus, budget, entries):
    recipe = with_codebook_size(load_recipe("default"), corpus, budget)
    assert recipe.spectral.codebook_size == entries


def test_a_size_that_the_recipe_has_is_kept(corpus):
    recipe = load_recipe("default", {"spectral.codebook_size": 32})
    assert with_codebook_size(recipe, corpus, Budget(minutes=60)) == recipe


def test_a_run_without_a_codebook_size_has_an_eighth_of_its_blocks(corpus):
    corpus.labels, corpus.describe = (), lambda: {"sources": ["song.wav"]}
    model = spectral_model(load_recipe("default", {"spectral.units": 8}), corpus)
    assert model.spectral_codec.codebook_size == 256
