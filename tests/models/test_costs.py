"""Costs of a predicted signal: closed forms."""

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.costs import COSTS, huber, spectral, squared, weighted

RNG = np.random.default_rng(0)


def numbers(cost, prediction, target):
    return ops.convert_to_numpy(cost(ops.array(prediction), ops.array(target)))


def test_squared_and_huber_by_hand():
    p, y = np.array([[0.0, 0.5, -3.0]], "float32"), np.zeros((1, 3), "float32")
    np.testing.assert_allclose(numbers(squared, p, y), [[0, 0.25, 9]])
    np.testing.assert_allclose(numbers(huber, p, y), [[0, 0.125, 2.5]])


@pytest.mark.parametrize("name", sorted(COSTS))
def test_a_perfect_prediction_costs_nothing_and_a_wrong_one_something(name):
    y = RNG.normal(size=(2, 700)).astype("float32")
    assert numbers(COSTS[name], y, y).shape == (2, 700)
    np.testing.assert_allclose(numbers(COSTS[name], y, y), 0, atol=1e-6)
    assert (numbers(COSTS[name], y[:, ::-1].copy(), y).mean(axis=1) > 0.1).all()


def test_the_spectral_cost_knows_no_phase():
    """A tone a quarter of a turn off: as bad as any for squares, next to nothing for spectra."""
    place = np.arange(4096) / 8.5
    tone, turned, octave = (
        np.sin(2 * np.pi * (factor * place + turn))[None].astype("float32")
        for factor, turn in [(1, 0), (1, 0.25), (2, 0)]
    )
    assert numbers(squared, turned, tone).mean() == pytest.approx(1, abs=0.01)
    same, other = (numbers(spectral, p, tone)[0, 0] for p in (turned, octave))
    assert same < 0.03 * other


def test_the_spectral_cost_of_another_level():
    """Twice as loud: amplitudes differ by themselves, logarithms by ln 2."""
    y = RNG.normal(size=(1, 2048)).astype("float32")
    assert numbers(spectral, 2 * y, y)[0, 0] == pytest.approx(1 + np.log(2), rel=0.03)


def test_each_row_has_a_cost_of_its_own():
    y = RNG.normal(size=(3, 256)).astype("float32")
    p = y.copy()
    p[1] *= 2
    cost = numbers(spectral, p, y)
    np.testing.assert_allclose(cost[[0, 2]], 0, atol=1e-6)
    assert (cost[1] == cost[1, 0]).all()
    assert cost[1, 0] > 0.5


def test_a_row_too_short_for_a_spectrum_is_refused():
    with pytest.raises(ValueError, match="64 samples or more, not 32"):
        spectral(ops.zeros((1, 32)), ops.zeros((1, 32)))


def test_weights():
    p, y = RNG.normal(size=(2, 2, 300)).astype("float32")
    expected = 0.5 * numbers(huber, p, y) + 3 * numbers(spectral, p, y)
    np.testing.assert_allclose(
        numbers(weighted({"huber": 0.5, "spectral": 3}), p, y), expected, rtol=1e-5
    )
    np.testing.assert_array_equal(numbers(weighted("huber"), p, y), numbers(huber, p, y))


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        ("hubert", "no cost 'hubert'"),
        ({"squared": 1, "hubert": 1}, "no cost 'hubert'"),
        ({}, "no cost"),
        ({"huber": 0}, "above 0"),
        ({"huber": "much"}, "above 0"),
    ],
)
def test_impossible_costs_are_refused(cost, words):
    with pytest.raises(ValueError, match=words):
        weighted(cost)
