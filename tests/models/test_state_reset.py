"""State from window to window: rows that reset start anew, their clocks at their place."""

import keras
import numpy as np
import pytest

from keras_rawaudio.models import AudioModel
from keras_rawaudio.models.carried_state import reset_state

PEAK = {"name": "peak", "peak": 0.9}


@pytest.fixture
def model():
    keras.utils.set_random_seed(0)
    tiers = [{"frame_size": 8, "units": 6, "clock_harmonics": 2}, {"frame_size": 4, "units": 5}]
    return AudioModel(tiers, {"kind": "regression"}, PEAK)


def test_reset_rows_start_anew_and_others_go_on(model):
    model.tiers[0].set_period(1000.0)
    rng = np.random.default_rng(0)
    state = {name: rng.random((3, *shape), "float32") for name, shape in model.state_spec().items()}
    begun = reset_state(model, state, np.array([True, False, True]), np.array([250, 250, 12_900]))
    assert begun.keys() == state.keys()
    for name, value in begun.items():
        np.testing.assert_array_equal(value[1], state[name][1])
        if name != "tier0_clock":
            assert not np.asarray(value)[::2].any()
    np.testing.assert_allclose(begun["tier0_clock"][::2, 0], [0.25, 0.9], atol=1e-6)


@pytest.mark.parametrize("period", [1000.0, 57_613.25])
def test_hours_keep_their_exact_phase(model, period):
    """A position of hours in samples is more than 32-bit floats tell apart."""
    model.tiers[0].set_period(period)
    positions = 10 * 3600 * 48_000 + np.array([0, 1, 7, 64, 333])
    assert len(np.unique(positions.astype("float32"))) < 5
    begun = reset_state(model, model.zero_state(5), np.ones(5, bool), positions)
    phase = np.asarray(begun["tier0_clock"])[:, 0].astype("float64")
    assert (phase >= 0).all()
    assert (phase <= 1).all()
    expected = (positions / np.float64(np.float32(period))) % 1
    np.testing.assert_allclose((phase - expected + 0.5) % 1, 0.5, atol=1e-6)


def test_nan_in_a_row_that_resets_is_gone(model):
    state = {n: np.full((2, *s), np.nan, "float32") for n, s in model.state_spec().items()}
    begun = reset_state(model, state, np.array([True, False]), np.zeros(2, np.int64))
    for value in begun.values():
        assert not np.asarray(value)[0].any()
