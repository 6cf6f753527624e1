"""Linear prediction for likelihood: known processes, quiet passages, poles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rawaudio.dsp.linear_prediction import fit_linear_prediction
from keras_rawaudio.dsp.weighted_linear_prediction import (
    RADIUS,
    expand_bandwidth,
    fit_weighted_prediction,
    residual_weights,
)
from keras_rawaudio.errors import UserError


def autoregressive(coefficients, scales, seed=0):
    """A process driven by noise of these scales, one per sample."""
    noise = scales * np.random.default_rng(seed).normal(size=len(scales))
    x = np.zeros(len(scales))
    for t in range(len(coefficients), len(x)):
        x[t] = coefficients @ x[t - len(coefficients) : t][::-1] + noise[t]
    return x


def outermost(a):
    return np.abs(np.roots(np.concatenate([[1.0], -a]))).max()


def test_recovers_an_autoregressive_process():
    true = np.array([1.2, -0.5, 0.1])
    x = autoregressive(true, np.full(40000, 0.05))
    np.testing.assert_allclose(fit_weighted_prediction([x], 3), true, atol=0.03)
    np.testing.assert_allclose(
        fit_weighted_prediction([x[:15000], x[15000:15002], x[15002:]], 3), true, atol=0.03
    )


def test_quiet_passages_count():
    """Plain least squares hears the loud half alone; here each error counts by its own scale."""
    loud, quiet = np.array([1.5, -0.8]), np.array([0.3, -0.6])
    halves = [
        autoregressive(loud, np.full(24000, 0.1)),
        autoregressive(quiet, np.full(24000, 0.002), seed=1),
    ]

    def log_size(a):
        """Mean log of the residual's size in each half: what the likelihood is about."""
        residuals = [np.convolve(x, [1, *-a], "valid") for x in halves]
        means = [np.convolve(np.abs(r), np.full(16, 1 / 16), "valid") for r in residuals]
        return [np.log(m).mean() for m in means]

    plain = np.array(log_size(fit_linear_prediction(halves, 2)))
    weighted = np.array(log_size(fit_weighted_prediction(halves, 2)))
    assert weighted.mean() < plain.mean() - 0.03
    assert weighted[1] < plain[1] - 0.08
    assert plain[0] < weighted[0]


@settings(max_examples=20)
@given(st.integers(1, 12), st.integers(0, 99), st.booleans())
def test_no_pole_reaches_beyond_the_radius(order, seed, tone):
    rng = np.random.default_rng(seed)
    t = np.arange(3000)
    x = (
        np.sin(rng.uniform(0.05, 3) * t) * 1.002 ** (t - 3000)  # growing
        if tone
        else rng.normal(size=3000).cumsum() / 100
    )
    for radius in (RADIUS, 0.95):
        a = fit_weighted_prediction([x], order, radius=radius)
        assert outermost(a) <= radius + 1e-6


def test_a_calm_filter_is_left_alone():
    x = autoregressive(np.array([1.2, -0.5]), np.full(9000, 0.05))
    a = fit_weighted_prediction([x], 2)
    assert outermost(a) < 0.9
    np.testing.assert_array_equal(a, fit_weighted_prediction([x], 2, radius=0.9))


def test_silence_is_predicted_by_nothing():
    assert not fit_weighted_prediction([np.zeros(100)], 8).any()


def test_too_short():
    with pytest.raises(UserError, match="too short"):
        fit_weighted_prediction([np.ones(8), np.ones(3)], 8)


def test_bandwidth_expansion_moves_every_pole_inwards_alike():
    a = -np.poly([1.1, 0.5, -0.4])[1:]
    damp = expand_bandwidth(a, 0.99)
    poles = np.sort(np.roots([1.0, *-damp]).real)
    np.testing.assert_allclose(poles, np.array([-0.4, 0.5, 1.1]) * 0.99 / 1.1, atol=1e-9)
    np.testing.assert_array_equal(expand_bandwidth(damp, 0.991), damp)


def test_residuals_are_weighted_by_the_scale_of_those_before():
    errors = np.full(200, 0.02)
    errors[100] = 5.0
    weights = residual_weights(errors)
    assert weights[99] == pytest.approx(1 / 0.0201**2, rel=1e-6)
    assert weights[100] == pytest.approx(1 / 2.5**2)  # not by 0.02: it would drown the others
    scale = (15 * 0.02 + 5.0) / 16 + 1e-4
    np.testing.assert_allclose(weights[101:117], 1 / scale**2)
    assert weights[117] == pytest.approx(weights[99])
    assert np.isfinite(residual_weights(np.zeros(40))).all()
