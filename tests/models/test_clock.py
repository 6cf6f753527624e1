"""A tier's clock and dropout: what a tier reads, what goes on, what is off outside training."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models import AudioModel
from keras_rawaudio.models.tier import Tier

PERIOD = 37.5
PEAK = {"name": "peak", "peak": 0.9}
HEAD = {"kind": "mixture", "num_mixtures": 3}


def make(**options):
    keras.utils.set_random_seed(0)
    tier = Tier(frame_size=4, units=6, clock_harmonics=3, rate=2, width=5, **options)
    tier.build((None, None, 4))
    tier.set_period(PERIOD)
    tier.clock_kernel.assign(np.random.default_rng(0).normal(size=tier.clock_kernel.shape))
    return tier


def at(tier, phases):
    """A fresh state with these phases."""
    state = tier.zero_state(len(phases))
    return [np.asarray(phases, "float32")[:, None], *state[1:]]


def frames(rows, steps, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, steps, 4)).astype("float32")


def test_the_state_has_a_clock_where_the_tier_has_one():
    model = AudioModel([{"frame_size": 8, "clock_harmonics": 2}, {"frame_size": 4}], HEAD, PEAK)
    spec = model.state_spec()
    assert spec["tier0_clock"] == (1,)
    assert "tier1_clock" not in spec
    assert [str(v.path).rsplit("/", 1)[-1] for v in model.tiers[0].non_trainable_weights] == [
        "period"
    ]


def test_the_clock_input_by_hand():
    """Sines, then cosines, of the phase and its multiples at each step."""
    tier = make()
    harmonics, clock, rest = tier._read_clock(at(tier, [0.2, 0.9]), 5)
    phase = np.array([[0.2], [0.9]]) + np.arange(5) * 4 / PERIOD
    angles = 2 * np.pi * phase[..., None] * np.array([1, 2, 3])
    expected = np.concatenate([np.sin(angles), np.cos(angles)], -1) @ np.asarray(tier.clock_kernel)
    np.testing.assert_allclose(harmonics, expected, atol=1e-5)
    np.testing.assert_allclose(clock[0][:, 0], (phase[:, 0] + 20 / PERIOD) % 1, atol=1e-6)
    assert len(rest) == len(tier.state_spec()) - 1


def test_calls_and_steps_are_one():
    """Two short calls, or single steps, hear and leave what one long call does."""
    tier = make()
    x, start = frames(2, 10), at(tier, [0.0, 0.7])
    whole, end = tier(x, None, start)
    first, state = tier(x[:, :5], None, start)
    second, state = tier(x[:, 5:], None, state)
    np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-5)
    single, state_of_steps = [], start
    for t in range(10):
        out, state_of_steps = tier.step(x[:, t], None, state_of_steps)
        single.append(out)
    np.testing.assert_allclose(np.concatenate(single, 1), whole, atol=1e-5)
    for a, b, c in zip(end, state, state_of_steps, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
        np.testing.assert_allclose(a, c, atol=1e-5)


@pytest.mark.slow
def test_the_phase_matters_and_stays_in_its_turn():
    tier = make()
    x = np.repeat(frames(1, 7), 3, axis=0)
    out, state = tier(x, None, at(tier, [0.0, 0.4, 0.999999]))
    out = ops.convert_to_numpy(out)
    assert np.abs(out[0] - out[1]).max() > 1e-2
    np.testing.assert_allclose(out[0], out[2], atol=1e-3)  # a turn on is where it was
    for _ in range(200):
        _, state = tier(x, None, state)
        phase = ops.convert_to_numpy(state[0])
        assert (phase >= 0).all()
        assert (phase < 1).all()
    np.testing.assert_allclose(
        phase[:, 0], (np.array([0, 0.4, 0]) + 201 * 28 / PERIOD) % 1, atol=1e-4
    )


def test_the_period_is_fitted_and_saved(tmp_path):
    """Pitfall 14: the period is a weight that travels with the model."""
    model = AudioModel(
        [{"frame_size": 8, "clock_harmonics": 2}, {"frame_size": 4, "clock_harmonics": 1}],
        HEAD,
        PEAK,
    )
    rate, pulse = 4000, 1500  # samples
    audio = 1e-3 * np.random.default_rng(0).normal(size=40 * rate)
    audio[::pulse] = 0.8
    model.prepare([audio.astype("float32")], rate)
    periods = [float(tier.period.value[0]) for tier in model.tiers]
    assert periods[0] == periods[1]
    turns = periods[0] / (8 * pulse)  # the pulse's period, or a simple multiple or part of it
    assert min(abs(turns - n) for n in (0.5, 1, 2, 4)) < 1e-3
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert [float(tier.period.value[0]) for tier in loaded.tiers] == periods
    assert [tier.clock_harmonics for tier in loaded.tiers] == [2, 1]


def test_without_a_clock_nothing_is_fitted():
    model = AudioModel([{"frame_size": 4}], {"kind": "regression"}, PEAK)
    before = model.get_weights()
    model.prepare([np.zeros(100, "float32")], 8000)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("clock", [0, 2])
def test_dropout_is_for_training_alone(clock):
    """Pitfall 11: off in evaluation (the default of a call), on in training."""
    tiers = [
        {"frame_size": 8, "units": 16, "clock_harmonics": clock, "dropout": 0.5},
        {"frame_size": 4, "units": 6},
    ]
    model = AudioModel(tiers, {"kind": "regression"}, PEAK)
    x = np.random.default_rng(0).uniform(-1, 1, (2, model.context + 32)).astype("float32")
    state = model.zero_state(2)
    calm = ops.convert_to_numpy(model(x, state)[0])
    np.testing.assert_array_equal(model(x, state, training=False)[0], calm)
    noisy, again = (ops.convert_to_numpy(model(x, state, training=True)[0]) for _ in range(2))
    assert np.abs(noisy - calm).max() > 1e-5
    assert np.abs(noisy - again).max() > 1e-5
    # What is left out of the output reaches no state of its own tier; the clock, where it is not
    # read, does, and goes on by itself.
    ends = [model(x, state, training=flag)[1] for flag in (False, True)]
    for name in ends[0]:
        if name == "tier0_clock" or (name.startswith("tier0") and not clock):
            np.testing.assert_allclose(ends[0][name], ends[1][name], atol=1e-6)
    again = AudioModel.from_config(model.get_config())
    assert [tier.get_config()["dropout"] for tier in again.tiers] == [0.5, 0.0]
