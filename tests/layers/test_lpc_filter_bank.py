"""Predictions at once against convolutions, the chosen filter against a loop over samples."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.layers.lpc_filter_bank import BANDWIDTH_EXPANSION, MAX_MISMATCH, LPCFilterBank

ORDER, FILTERS, F = 24, 3, 8


def make(order=ORDER, bunch=F):
    bank = LPCFilterBank(FILTERS, order, bunch)
    bank.build((None, None))
    coefficients = np.random.default_rng(0).normal(size=(FILTERS, order)) / order
    bank.set_filters(coefficients)
    return bank, coefficients


def audio(samples, rows=2, seed=1):
    x = np.random.default_rng(seed).uniform(-0.5, 0.5, (rows, samples))
    return x.astype("float32")


def error_filters(taps):
    """As `select` gives them."""
    return np.pad(-taps[:, ::-1], ((0, 0), (0, 1)), constant_values=1.0).astype("float32")


def numbers(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize("order", [8, 24, 40])
def test_predictions_are_convolutions(order):
    bank, coefficients = make(order)
    x = audio(order + 6 * F)
    predicted = numbers(bank(x))
    assert predicted.shape == (2, 6 * F, FILTERS)
    for k, a in enumerate(coefficients):
        expected = np.stack([np.convolve(row, a, "valid")[:-1] for row in x])
        np.testing.assert_allclose(predicted[..., k], expected, atol=1e-6)


def test_before_it_is_fitted_it_repeats_the_last_sample():
    bank = LPCFilterBank(FILTERS, ORDER, F)
    bank.build((None, None))
    x = audio(ORDER + 2 * F)
    expected = np.repeat(x[:, ORDER - 1 : -1, None], FILTERS, axis=2)
    np.testing.assert_allclose(bank(x), expected, atol=1e-6)


def test_a_bunch_is_solved_to_float_accuracy():
    """Powers of these taps are large, and cancel: their series is off by more than the solution."""
    poles = 0.97 * np.exp(1j * np.linspace(0.05, 2.0, 4))
    taps = np.zeros(16, "float32")
    taps[:8] = -np.poly(np.concatenate([poles, poles.conj()])).real[1:]
    within = [[taps[j - i - 1] if j > i else 0.0 for j in range(16)] for i in range(16)]
    exact = np.linalg.inv(np.eye(16) - np.array(within))
    _, solved = LPCFilterBank(1, 16, 16).matrices(error_filters(taps[None]))
    np.testing.assert_allclose(solved[0], exact.T, atol=1e-4)


@pytest.mark.parametrize("bunch", [1, 2, 3, 8, 16])
def test_a_chosen_filter_analyzes_and_synthesizes_as_a_loop_over_samples(bunch):
    """Errors on the last two bunches; then each sample from all before it, those of the bunch
    included. Each row with another filter."""
    bank, coefficients = make(order=48, bunch=bunch)
    past = audio(48 + 2 * bunch, rows=FILTERS)
    offset = 0.1 * np.random.default_rng(3).normal(size=(FILTERS, bunch)).astype("float32")
    known, ringing = bank.matrices(error_filters(coefficients[::-1]))
    errors, analyze = bank.analyze(past, known)
    x = past.astype("float64")
    for k, a in enumerate(coefficients[::-1]):
        expected = x[k, 48:] - np.convolve(x[k, :-1], a, "valid")
        np.testing.assert_allclose(errors[k], expected, atol=1e-6)
        row = x[k]
        for t in range(bunch):
            row = np.append(row, a @ row[::-1][:48] + offset[k, t])
        np.testing.assert_allclose(
            bank.synthesize(analyze + offset, ringing)[k], row[-bunch:], atol=1e-5
        )


def test_filters_that_do_not_match_get_bandwidth_expansion():
    """Each row with another filter, whose errors are 1, 4 and 4 e^2 times what they should be."""
    bank, coefficients = make()
    past = audio(100, rows=FILTERS)
    index = np.eye(FILTERS, dtype="float32")
    windows = np.lib.stride_tricks.sliding_window_view(past[:, :-1], ORDER, axis=1)[:, -2 * F :]
    predicted = np.einsum("bto,bo->bt", windows[..., ::-1], coefficients)
    size = np.abs(past[:, -2 * F :] - predicted).mean(axis=1) / [
        1,
        MAX_MISMATCH,
        MAX_MISMATCH * np.exp(2),
    ]
    selected = numbers(bank.select(index, past, size[:, None].astype("float32")))
    np.testing.assert_array_equal(selected[:, -1], 1.0)
    taps = -selected[:, -2::-1]
    np.testing.assert_allclose(taps[:2], coefficients[:2], atol=1e-6)
    lags = np.arange(1, ORDER + 1)
    expected = coefficients[2] * np.exp(-2 * BANDWIDTH_EXPANSION * lags)
    np.testing.assert_allclose(taps[2], expected, rtol=1e-4, atol=1e-7)
    silent = bank.select(index, np.zeros_like(past), size[:, None].astype("float32"))
    np.testing.assert_allclose(silent, error_filters(coefficients), atol=1e-6)


def test_what_was_fitted_is_saved():
    """Pitfall 14: the filters are weights that travel with the layer, and are not learned."""
    bank, _ = make()
    assert not bank.trainable_weights
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(bank))
    assert again.get_config() == bank.get_config()
    again.set_weights(bank.get_weights())
    x = audio(ORDER + F)
    np.testing.assert_array_equal(again(x), bank(x))


def test_impossible_banks_are_refused():
    for filters, order in ((0, 16), (3, 12), (3, 0)):
        with pytest.raises(ValueError, match="multiple of 8"):
            LPCFilterBank(filters, order, bunch=8)
