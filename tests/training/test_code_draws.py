"""Free-running draws of codes that go on from call to call."""

import keras
import numpy as np
import pytest

from keras_rawaudio.models import SpectralModel
from keras_rawaudio.models.section_chain import SECTION
from keras_rawaudio.training.code_draws import CodeDraws

RATE, ROWS, BLOCKS = 2000, 3, 12


class Repeated:
    """Numbers that are given out in order, as `default_rng(0).random` would give them."""

    def __init__(self, noise):
        self.noise = noise

    def random(self, shape, dtype):
        now, self.noise = self.noise[: shape[0]], self.noise[shape[0] :]
        assert now.shape == shape
        return now.astype(dtype)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = SpectralModel(RATE, codebook_size=16, components=4, units=8)
    model.prepare([np.random.default_rng(0).normal(size=20 * RATE).astype(np.float32) / 10])
    for weight in model.trainable_variables:  # as sure as a trained one
        weight.assign(5 * weight)
    return model


@pytest.fixture
def noise(model):
    shape = (2 * BLOCKS, ROWS, model.noise_per_draw)
    return np.random.default_rng(1).random(shape, np.float32)


def test_streams_go_on_where_the_last_call_left_them(model, noise):
    whole = CodeDraws(model, ROWS, 2 * BLOCKS)(Repeated(noise))
    draws, rng = CodeDraws(model, ROWS, BLOCKS), Repeated(noise)
    parts = [draws(rng), draws(rng, slice(0))]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_the_rows_that_begin_anew_have_read_nothing(model, noise):
    draws, rng = CodeDraws(model, ROWS, BLOCKS), Repeated(noise)
    draws(rng)
    second = draws(rng, slice(1))
    fresh = CodeDraws(model, ROWS, BLOCKS)(Repeated(noise[BLOCKS:]))
    whole = CodeDraws(model, ROWS, 2 * BLOCKS)(Repeated(noise))
    np.testing.assert_array_equal(second[:, :1], fresh[:, :1])
    np.testing.assert_array_equal(second[:, 1:], whole[BLOCKS:, 1:])
    assert (fresh[:, 1:] != whole[BLOCKS:, 1:]).any()


def test_draws_say_which_section_each_block_is_in(noise):
    keras.utils.set_random_seed(0)
    model = SpectralModel(RATE, codebook_size=16, components=4, units=8, sections=3)
    chain = np.random.default_rng(2).dirichlet(np.ones(3), (1, 4))
    model.sections.transitions.assign(np.cumsum(chain, axis=2))
    noise = np.random.default_rng(1).random((2 * BLOCKS, ROWS, model.noise_per_draw), np.float32)
    draws, rng = CodeDraws(model, ROWS, BLOCKS), Repeated(noise)
    parts = []
    for _ in range(2):
        draws(rng, slice(0)) if parts else draws(rng)
        parts.append(draws.sections)
    state, expected = {SECTION: -np.ones((ROWS, 1), np.float32)}, []
    for numbers in noise:
        state = model.sections.step(state, numbers[:, -1:], 1.0)
        expected.append(np.asarray(state[SECTION])[:, 0])
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert set(np.unique(expected)) == {0, 1, 2}


def test_draws_of_a_model_without_sections_are_in_the_first(model, noise):
    draws = CodeDraws(model, ROWS, BLOCKS)
    draws(Repeated(noise))
    assert draws.sections.shape == (BLOCKS, ROWS)
    assert not draws.sections.any()
