import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_rawaudio.dsp import linear_prediction as lp
from keras_rawaudio.errors import UserError


def autoregressive(coefficients, n, seed=0):
    noise = np.random.default_rng(seed).normal(size=n)
    x = np.zeros(n)
    for t in range(len(coefficients), n):
        x[t] = coefficients @ x[t - len(coefficients) : t][::-1] + noise[t]
    return x, noise


def test_recovers_the_coefficients_of_an_autoregressive_process():
    true = np.array([1.2, -0.5, 0.1])
    x, noise = autoregressive(true, 40000)
    fitted = lp.fit_linear_prediction([x], order=3)
    np.testing.assert_allclose(fitted, true, atol=0.02)
    np.testing.assert_allclose(lp.residuals(x, fitted)[10:], noise[10:], atol=0.3)


@settings(max_examples=25)
@given(st.integers(1, 12), st.integers(13, 60), st.integers(0, 99))
def test_covariance_is_the_sum_of_outer_products(order, n, seed):
    x = np.random.default_rng(seed).normal(size=n)
    rows = np.stack([x[t - order : t + 1][::-1] for t in range(order, n)])
    np.testing.assert_allclose(lp.covariance(x, order), rows.T @ rows, atol=1e-9)


def test_chunks_and_segments_give_the_least_squares_solution(monkeypatch):
    rng = np.random.default_rng(1)
    segments = [rng.normal(size=n).cumsum() for n in (500, 3, 333)]
    rows = [(s[t - 5 : t][::-1], s[t]) for s in segments for t in range(5, len(s))]
    exact = np.linalg.lstsq(
        np.array([r for r, _ in rows]), np.array([y for _, y in rows]), rcond=None
    )[0]
    monkeypatch.setattr(lp.padded_chunks, "__defaults__", (64,))
    np.testing.assert_allclose(lp.fit_linear_prediction(segments, 5, ridge=0), exact, rtol=1e-6)


@pytest.mark.parametrize(("n", "before", "size"), [(10, 3, 4), (10, 0, 3), (2, 5, 4), (0, 2, 4)])
def test_chunks_hold_every_value_once(n, before, size):
    chunks = list(lp.padded_chunks(np.arange(n), before, size))
    fresh = [chunk[start:] for chunk, start in chunks]
    np.testing.assert_array_equal(np.concatenate([*fresh, []]), np.arange(n))
    for chunk, start in chunks:
        assert start == min(before, chunk[start])


def test_a_prediction_sees_only_the_past():
    """Pitfall 3: the target is never visible to what predicts it."""
    x = np.random.default_rng(2).normal(size=100)
    a = np.random.default_rng(3).normal(size=7)
    changed = x.copy()
    changed[50:] += 1
    np.testing.assert_array_equal(lp.predictions(x, a)[:51], lp.predictions(changed, a)[:51])
    by_hand = sum(a[k] * x[40 - 1 - k] for k in range(7))
    assert lp.predictions(x, a)[40] == pytest.approx(by_hand)


def test_silence_and_constants_are_solvable():
    assert not lp.fit_linear_prediction([np.zeros(100)], 8).any()
    a = lp.fit_linear_prediction([np.full(1000, 0.5)], 8)
    assert a.sum() == pytest.approx(1, abs=1e-3)


def test_bad_input_is_refused_by_name():
    with pytest.raises(UserError, match="order of 1 or more"):
        lp.fit_linear_prediction([np.ones(10)], 0)
    with pytest.raises(UserError, match="longer stretch"):
        lp.fit_linear_prediction([np.ones(10)], 10)
    with pytest.raises(UserError, match="not finite"):
        lp.fit_linear_prediction([np.array([0.0, np.nan] * 20)], 4)
