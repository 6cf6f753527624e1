"""Copies of the train part are found in codes."""

import keras
import numpy as np
import pytest

from keras_rawaudio.metrics.reference import COPY, EXACT_COPY, SIMILARITY_MARGIN
from keras_rawaudio.models import SpectralModel
from keras_rawaudio.models.code_mel import log_mel_of_codes
from keras_rawaudio.training import copy_meter
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.copy_meter import CopyMeter

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
def meter(model, codes, monkeypatch):
    monkeypatch.setattr(copy_meter, "SECONDS", 20.0)
    heldout = np.random.default_rng(2).integers(0, 32, (200, model.frame))
    # The train part is read four times, from each hop of a block; every other one is looked at.
    train = [row(codes), row(heldout), row(codes[::-1]), row(heldout)]
    data = CodeCorpus({"train": train, "validation": [row(heldout)]}, {"train": [0] * 4})
    return CopyMeter(model, data)


def test_draws_of_an_untrained_model_are_no_copies(meter):
    assert meter.draws(np.random.default_rng(0)).shape[1] == copy_meter.STREAMS
    assert not meter.longest(seed=0).any()


def test_a_copy_is_as_long_as_it_is(meter, model, codes):
    draws = np.random.default_rng(3).integers(0, 32, (300, 16, model.frame))
    copied = round(9.0 * RATE / model.block)
    draws[40 : 40 + copied, 5] = codes[100 : 100 + copied]
    meter.draws = lambda rng: draws
    longest = meter.longest(seed=0)
    assert longest[5] == pytest.approx(9.0, abs=2 * copy_meter.EVERY)
    assert not np.delete(longest, 5).any()


def test_a_copy_of_another_reading_is_one_too(meter, model, codes):
    """It is half a block later there; a copy that goes from one to the other goes on."""
    draws = np.random.default_rng(3).integers(0, 32, (300, 16, model.frame))
    copied = round(9.0 * RATE / model.block)
    draws[40 : 40 + copied, 5] = codes[::-1][100 : 100 + copied]
    meter.draws = lambda rng: draws
    longest = meter.longest(seed=0)
    assert longest[5] == pytest.approx(9.0, abs=2 * copy_meter.EVERY)
    assert not np.delete(longest, 5).any()
    first, second = meter.index.starts
    assert second - first == pytest.approx(0.5 * model.block / RATE)


def test_what_held_out_audio_matches_is_no_copy(model, codes):
    """A piece that varies what it repeats: the limit is above what its held-out part matches."""
    rng = np.random.default_rng(4)
    varied = np.where(rng.random(codes.shape) < 0.35, rng.integers(0, 32, codes.shape), codes)
    parts = {"train": [row(codes)] * 4, "validation": [row(varied[:150])]}
    meter = CopyMeter(model, CodeCorpus(parts, {"train": [0] * 4}))
    spectra = log_mel_of_codes(varied[:150], meter.powers)
    (found,) = meter.index.matches_of([spectra], copy_meter.EVERY)
    likeness = found.best()[0]
    assert COPY < likeness + SIMILARITY_MARGIN < EXACT_COPY
    assert meter.limit == likeness + SIMILARITY_MARGIN


def test_copies_of_a_piece_that_repeats_itself_exactly_are_found(model, codes):
    """Its held-out part is a copy, too, but the limit is never above what a copy reaches."""
    parts = {"train": [row(codes)] * 4, "validation": [row(codes[:150])]}
    repeats = CopyMeter(model, CodeCorpus(parts, {"train": [0] * 4}))
    assert repeats.limit == EXACT_COPY
    draws = np.random.default_rng(3).integers(0, 32, (300, 16, model.frame))
    draws[40:240, 5] = codes[100:300]
    repeats.draws = lambda rng: draws
    longest = repeats.longest(seed=0)
    assert longest[5] == pytest.approx(200 * model.block / RATE, abs=2 * copy_meter.EVERY)
    assert not np.delete(longest, 5).any()
