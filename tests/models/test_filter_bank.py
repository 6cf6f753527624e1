"""Predictions at once against convolutions, a window against its frames, a frame against a loop."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.filter_bank import FLOOR, MEMORIES, TRUST, WORST, FilterBank

ORDER, FILTERS, F = 24, 3, 8


def make(order=ORDER):
    bank = FilterBank(FILTERS, order)
    bank.build_weights()
    coefficients = np.random.default_rng(0).normal(size=(FILTERS, order)) / order
    bank.set_filters(coefficients)
    return bank, coefficients


def audio(samples, rows=2, seed=1):
    x = np.random.default_rng(seed).uniform(-0.5, 0.5, (rows, samples))
    return x.astype("float32")


def numbers(x):
    return ops.convert_to_numpy(x)


@pytest.mark.parametrize("order", [8, 24, 40])
def test_predictions_are_convolutions(order):
    bank, coefficients = make(order)
    x = audio(order + 6 * F)
    predicted = numbers(bank.predict(x))
    assert predicted.shape == (2, 6 * F, FILTERS)
    for k, a in enumerate(coefficients):
        expected = np.stack([np.convolve(row, a, "valid")[:-1] for row in x])
        np.testing.assert_allclose(predicted[..., k], expected, atol=1e-6)


def test_before_it_is_fitted_it_repeats_the_last_sample():
    bank = FilterBank(FILTERS, ORDER)
    bank.build_weights()
    x = audio(ORDER + 2 * F)
    expected = np.repeat(x[:, ORDER - 1 : -1, None], FILTERS, axis=2)
    np.testing.assert_allclose(bank.predict(x), expected, atol=1e-6)


def test_what_a_frame_is_predicted_from_adds_up():
    """From what was before it, and from the samples within it."""
    bank, _ = make()
    x = audio(ORDER + F)
    ahead = numbers(bank.ahead(x[:, :ORDER]))
    within = numbers(ops.matmul(x[:, ORDER:], bank.within))
    whole = numbers(bank.predict(x)).reshape(2, -1)
    np.testing.assert_allclose(ahead + within, whole, atol=1e-6)


def some_state(bank, rows=2):
    rng = np.random.default_rng(5)
    return [rng.uniform(0.1, 1, (rows, *s)).astype("float32") for _, s in bank.state_spec()]


def test_costs_are_those_of_a_laplace_distribution():
    """By hand: each frame's cost by the mean size of the two before, faded in three memories."""
    bank, _ = make()
    T, state = 5, some_state(bank)
    x = audio(ORDER + T * F)
    errors, costs, after = bank.hear(x, state)
    expected = x[:, ORDER:, None] - numbers(bank.predict(x))
    before = state[0].reshape(2, 2 * F, FILTERS)
    expected = np.concatenate([before, expected], axis=1)
    np.testing.assert_allclose(errors, expected, atol=1e-6)
    sizes = np.abs(expected.reshape(2, T + 2, F, FILTERS)).mean(axis=2)
    fading = np.exp(-F / np.array(MEMORIES))[:, None]
    memory = state[1].reshape(2, 3, FILTERS).astype("float64")
    for t in range(T):
        scale = (sizes[:, t] + sizes[:, t + 1]) / 2 + FLOOR
        cost = F * (np.log(scale) + sizes[:, t + 2] / scale)
        memory = fading * memory + cost[:, None]
        expected = memory.reshape(2, -1)
        np.testing.assert_allclose(numbers(costs)[:, t], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(after[0], numbers(errors)[:, -2 * F :].reshape(2, -1))
    np.testing.assert_array_equal(after[1], numbers(costs)[:, -1])


def test_an_onset_after_silence_is_not_all_that_counts():
    """However loud, it costs as if it were so many times the scale; in a window and in a frame."""
    bank, _ = make()
    for loudness in (0.01, 1.0):
        x = np.zeros((1, ORDER + 3 * F), "float32")
        x[:, -F:] = loudness
        _, costs, _ = bank.hear(x, bank.zero_state(1))
        worst = F * (np.log(FLOOR) + WORST)
        before = F * np.log(FLOOR) * (1 + np.exp(-F / MEMORIES[0])) * np.exp(-F / MEMORIES[0])
        np.testing.assert_allclose(costs[0, -1, :FILTERS], worst + before, rtol=1e-5)
        np.testing.assert_allclose(hear_frames(bank, x, bank.zero_state(1))[1], costs, rtol=1e-5)
    trust, _ = bank.judge(costs)
    assert np.ptp(numbers(trust)[0, -1]) < F * WORST / TRUST


def test_memories_fade_in_closed_form():
    """Errors of one size cost the same each time: a geometric series in each memory."""
    bank, T = make()[0], 200
    bank.set_filters(np.zeros((FILTERS, ORDER)))
    size = 0.25
    x = np.tile(np.array([size, -size], "float32"), (1, (ORDER + T * F) // 2))
    state = [np.full((1, 2 * F * FILTERS), size, "float32"), *bank.zero_state(1)[1:]]
    _, costs, _ = bank.hear(x, state)
    one = F * (np.log(size + FLOOR) + size / (size + FLOOR))
    q = np.exp(-F / np.array(MEMORIES))
    for t in (0, 1, 20, T - 1):
        expected = np.repeat(one * (1 - q ** (t + 1)) / (1 - q), FILTERS)
        np.testing.assert_allclose(numbers(costs)[0, t], expected, rtol=1e-4)


def hear_frames(bank, x, state):
    """Frame by frame, each with the predictions that the state brings along."""
    errors, costs = [], []
    for t in range(0, x.shape[1] - ORDER, F):
        state = [*state[:2], bank.ahead(x[:, t : t + ORDER])]
        recent, cost = bank.hear_frame(x[:, t + ORDER : t + ORDER + F], state)
        state = [recent, cost]
        errors.append(numbers(recent).reshape(len(x), 2 * F, -1)[:, -F:])
        costs.append(numbers(cost))
    return np.concatenate(errors, axis=1), np.stack(costs, axis=1), state


def test_a_window_is_its_frames_one_by_one():
    """Pitfall 17: training hears a window at once, generation frame by frame."""
    bank, state = make()[0], some_state(make()[0])
    x = audio(ORDER + 7 * F)
    errors, costs, after = bank.hear(x, state)
    by_frame = hear_frames(bank, x, state)
    np.testing.assert_allclose(numbers(errors)[:, 2 * F :], by_frame[0], atol=1e-6)
    np.testing.assert_allclose(costs, by_frame[1], rtol=1e-4, atol=1e-4)
    for a, b in zip(after, by_frame[2], strict=False):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_two_halves_are_one_window():
    """Pitfall 21: errors and memories go on through the state."""
    bank, _ = make()
    x, N = audio(ORDER + 8 * F), 4 * F
    whole, costs, end = bank.hear(x, some_state(bank))
    _, first, state = bank.hear(x[:, : ORDER + N], some_state(bank))
    errors, second, state = bank.hear(x[:, N:], state)
    np.testing.assert_allclose(numbers(errors), numbers(whole)[:, N:], atol=1e-6)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), costs, rtol=1e-4, atol=1e-4)
    for a, b in zip(state, end, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_the_filter_that_does_best_is_trusted_most():
    bank, _ = make()
    bank.set_filters(np.stack([np.zeros(ORDER), 0.9 * np.eye(1, ORDER)[0], np.eye(1, ORDER)[0]]))
    x = np.sin(0.05 * np.arange(ORDER + 40 * F, dtype="float32"))[None]
    _, costs, _ = bank.hear(x, bank.zero_state(1))
    trust, long = bank.judge(costs)
    trust = numbers(trust)[0, -1]
    assert trust.argmax() == 2
    assert trust.shape == (FILTERS,)
    assert (np.diff(trust) > 0).all()
    # The long memories agree: what cost less than the mean counts as more.
    assert long.shape == (1, 40, 2 * FILTERS)
    assert (np.diff(numbers(long)[0, -1].reshape(2, FILTERS), axis=1) > 0).all()


def test_a_frame_is_mixed_as_a_loop_over_samples_would():
    """Each sample: the weighted filters on all before it, those of the frame included."""
    bank, coefficients = make()
    rng = np.random.default_rng(3)
    past = audio(ORDER)
    weights = rng.dirichlet(np.ones(FILTERS), 2).astype("float32")
    offset = 0.1 * rng.normal(size=(2, F)).astype("float32")
    mixed = bank.mix(bank.ahead(past), weights, offset)
    x = past.astype("float64")
    for t in range(F):
        a = weights @ coefficients
        sample = (a * x[:, ::-1][:, :ORDER]).sum(axis=1) + offset[:, t]
        x = np.concatenate([x, sample[:, None]], axis=1)
    np.testing.assert_allclose(mixed, x[:, ORDER:], atol=1e-5)


def test_what_was_fitted_is_saved():
    """Pitfall 14: the filters are weights that travel with the layer, and are not learned."""
    bank, _ = make()
    assert not bank.trainable_weights
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(bank))
    assert again.get_config() == bank.get_config()
    again.build_weights()
    again.set_weights(bank.get_weights())
    x = audio(ORDER + F)
    np.testing.assert_array_equal(again.predict(x), bank.predict(x))


def test_impossible_banks_are_refused():
    for filters, order in ((0, 16), (3, 12), (3, 0)):
        with pytest.raises(ValueError, match="multiple of 8"):
            FilterBank(filters, order)
