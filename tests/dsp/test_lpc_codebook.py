"""Filters for the several sounds of a piece: who predicts what, and that nothing ever grows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rawaudio.dsp.lpc_codebook import BLOCK, fit_filter_bank
from keras_rawaudio.dsp.weighted_linear_prediction import RADIUS, fit_weighted_prediction
from keras_rawaudio.errors import UserError


def errors(x, a):
    past = np.lib.stride_tricks.sliding_window_view(x[:-1], len(a))[:, ::-1]
    return x[len(a) :] - past @ a


def autoregressive(coefficients, samples, scale, seed):
    noise = scale * np.random.default_rng(seed).normal(size=samples)
    x = np.zeros(samples)
    for t in range(2, samples):
        x[t] = coefficients[0] * x[t - 1] + coefficients[1] * x[t - 2] + noise[t]
    return x


def outermost(a):
    return np.abs(np.roots(np.concatenate([[1.0], -a]))).max()


def test_two_sinusoids_in_turns_get_a_filter_each():
    """x[t] = 2 cos(w) x[t-1] - x[t-2] is each one's own; the piece as a whole obeys neither."""
    t = np.arange(10_000)
    turns = [0.5 * np.sin(w * t) for w in (0.3, 1.1, 0.3, 1.1)]
    common, *own = fit_filter_bank(turns, order=2, filters=3)
    found = sorted(float(a[0]) for a in own)
    np.testing.assert_allclose(found, [2 * np.cos(1.1), 2 * np.cos(0.3)], atol=0.05)
    assert found[0] < common[0] < found[1]


def test_processes_of_different_loudness_get_a_filter_each():
    """A quiet sound is not a small part of a loud one: its spectrum tells it apart."""
    sounds = [np.array([1.5, -0.8]), np.array([0.2, -0.7])]
    parts = [
        autoregressive(a, 12_000, scale, seed)
        for seed, (a, scale) in enumerate(zip(sounds, (0.1, 0.002), strict=True))
    ]
    common, *own = fit_filter_bank(parts, order=2, filters=3)
    for a, x in zip(sounds, parts, strict=True):
        best = min(own, key=lambda f: np.abs(errors(x, f)).sum())
        np.testing.assert_allclose(best, a, atol=0.1)
        assert np.abs(errors(x, best)).mean() < np.abs(errors(x, common)).mean()


@settings(max_examples=10)
@given(st.integers(1, 10), st.integers(1, 5), st.integers(0, 99), st.booleans())
def test_every_filter_is_stable(order, filters, seed, growing):
    rng = np.random.default_rng(seed)
    t = np.arange(5000)
    tones = [np.sin(w * t) for w in rng.uniform(0.05, 3, 2)]
    x = np.where(t // 1000 % 2, *tones)
    x = x * 1.002 ** (t - 5000) if growing else 0.2 * x + rng.normal(size=5000).cumsum() / 100
    bank = fit_filter_bank([x], order, filters)
    assert bank.shape == (filters, order)
    assert max(map(outermost, bank)) <= RADIUS + 1e-6


def test_the_first_filter_is_that_of_the_whole_piece():
    x = autoregressive([1.2, -0.5], 9000, 0.05, seed=0)
    whole = fit_weighted_prediction([x], 4)
    np.testing.assert_array_equal(fit_filter_bank([x], 4, filters=1), whole[None])
    np.testing.assert_array_equal(fit_filter_bank([x], 4, filters=4)[0], whole)


def test_of_few_blocks_the_first_filter_is_repeated():
    rng = np.random.default_rng(0)
    blocks = [0.1 * rng.normal(size=BLOCK + 100) for _ in range(3)]
    bank = fit_filter_bank(blocks, 4, filters=6)
    np.testing.assert_array_equal(bank[4:], np.tile(bank[0], (2, 1)))
    assert (bank[1:4] != bank[0]).any(axis=1).all()
    # Segments shorter than a block have none; blocks are not made across their borders.
    short = [0.1 * rng.normal(size=BLOCK) for _ in range(9)]
    bank = fit_filter_bank(short, 4, filters=3)
    np.testing.assert_array_equal(bank, np.tile(bank[0], (3, 1)))


def test_silence_is_predicted_by_nothing():
    assert not fit_filter_bank([np.zeros(5000)], 4, filters=3).any()


def test_too_short():
    with pytest.raises(UserError, match="too short"):
        fit_filter_bank([np.ones(8), np.ones(3)], 8, filters=3)


def test_the_same_audio_gives_the_same_filters():
    x = np.random.default_rng(0).normal(size=20_000).cumsum() / 300
    first = fit_filter_bank([x], 6, filters=5)
    np.testing.assert_array_equal(first, fit_filter_bank([x.copy()], 6, filters=5))
