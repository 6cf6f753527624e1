"""The predictive head: its density, its draws and its linear prediction agree with each other."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.heads import PredictiveHead

LEVELS = 64


def make(**options):
    options = {"order": 70, "residuals": 4, "width": 8, "mixtures": 3, "levels": LEVELS, **options}
    keras.utils.set_random_seed(0)
    head = PredictiveHead(**options)
    head.build_for(8, frame=4)
    rng = np.random.default_rng(0)
    for weight in head.trainable_weights:
        value = ops.convert_to_numpy(weight)
        weight.assign(value + 0.1 * rng.normal(size=value.shape))
    head.coefficients.assign(rng.normal(size=head.order) / head.order)
    return head


def inputs(head, rows=1, samples=150):
    rng = np.random.default_rng(1)
    recent = rng.uniform(-0.1, 0.1, (rows, head.context - 1 + samples)).astype("float32")
    return recent, rng.normal(size=(rows, samples, 8)).astype("float32")


def step(head, recent, conditioning, noise, temperature=1.0):
    """One row's draw for each of the noises `(n, noise_per_sample)`."""
    n = len(noise)
    rows = (np.repeat(x, n, axis=0) for x in (recent, conditioning))
    temperatures = np.full((n, 1), temperature, "float32")
    chance = head.prepare_noise(np.asarray(noise, "float32")[:, None], temperatures[:, None])
    return ops.convert_to_numpy(head.step(*rows, chance[:, 0], temperatures))[:, 0]


@pytest.mark.parametrize("order", [1, 9, 64, 70])
def test_the_linear_prediction_by_hand(order):
    """Blocks and bands are one convolution, whatever the order, for targets and residuals."""
    head = make(order=order)
    recent, conditioning = inputs(head, rows=2)
    prediction = ops.convert_to_numpy(head(recent, conditioning))
    coefficients = ops.convert_to_numpy(head.coefficients).astype("float64")
    p = np.stack([np.convolve(row, coefficients[::-1], "valid") for row in recent])
    np.testing.assert_allclose(prediction[..., 0], p[:, head.residuals :], atol=1e-6)
    residual = np.abs(recent[:, head.order :] - p[:, :-1])
    for t in (0, 63, 64, 149):
        g = residual[:, t : t + head.residuals].mean(axis=1)
        np.testing.assert_allclose(prediction[:, t, 1], g, rtol=1e-4)


def test_the_mass_of_all_cells_is_one():
    head = make()
    prediction = head(*inputs(head, samples=1))
    centres = 2 * np.arange(LEVELS) / (LEVELS - 1) - 1
    targets = np.sign(centres) * np.expm1(np.abs(centres) * np.log(LEVELS)) / (LEVELS - 1)
    repeated = np.repeat(ops.convert_to_numpy(prediction), LEVELS, axis=1)
    mass = np.exp(-ops.convert_to_numpy(head.loss(repeated, targets[None].astype("float32"))))
    assert mass.sum() == pytest.approx(1.0, abs=1e-4)
    assert mass.min() >= 0.9 * 1e-3 / LEVELS


def test_draws_fall_into_cells_as_the_loss_says():
    head = make()
    recent, conditioning = inputs(head, samples=1)
    noise = np.random.default_rng(2).random((100_000, head.noise_per_sample), "float32")
    drawn = step(head, recent, conditioning[:, 0], noise)
    assert np.abs(drawn).max() <= 1.0
    scaled = np.sign(drawn) * np.log1p((LEVELS - 1) * np.abs(drawn)) / np.log(LEVELS)
    codes = np.floor((scaled + 1) / 2 * (LEVELS - 1) + 0.5).astype(int)
    share = np.bincount(codes, minlength=LEVELS) / len(codes)
    prediction = np.repeat(ops.convert_to_numpy(head(recent, conditioning)), LEVELS, axis=1)
    centres = 2 * np.arange(LEVELS) / (LEVELS - 1) - 1
    targets = np.sign(centres) * np.expm1(np.abs(centres) * np.log(LEVELS)) / (LEVELS - 1)
    mass = np.exp(-ops.convert_to_numpy(head.loss(prediction, targets[None].astype("float32"))))[0]
    assert (share > 0.01).sum() > 3, "spread over too few cells to tell anything"
    np.testing.assert_allclose(share, mass, atol=5e-3)


def test_a_low_temperature_stays_near_the_likeliest_mean():
    head = make()
    recent, conditioning = inputs(head, samples=1)
    noise = np.random.default_rng(0).uniform(0.01, 0.99, (50, head.noise_per_sample))
    cold = step(head, recent, conditioning[:, 0], noise, 0.01)
    warm = step(head, recent, conditioning[:, 0], noise, 1.0)
    assert np.ptp(cold) < 0.1 * np.ptp(warm)


@pytest.mark.parametrize("value", [0.0, 1 - 2.0**-24])
def test_extreme_noise_gives_finite_samples(value):
    head = make()
    recent, conditioning = inputs(head, samples=1)
    for place in range(head.noise_per_sample):
        noise = np.full((1, head.noise_per_sample), 0.5)
        noise[:, place] = value
        assert np.isfinite(step(head, recent, conditioning[:, 0], noise)).all()


def test_fresh_it_repeats_the_last_sample_and_fit_finds_a_linear_recurrence():
    head = PredictiveHead(order=8, residuals=4, width=8)
    head.build_for(8, frame=4)
    recent, conditioning = inputs(head)
    fresh = ops.convert_to_numpy(head(recent, 0 * conditioning))
    np.testing.assert_allclose(fresh[..., 0], recent[:, head.context - 1 :], atol=1e-6)
    # A decaying sine of noise: x[t] = 1.6 x[t-1] - 0.8 x[t-2] + e[t].
    rng = np.random.default_rng(0)
    signal = np.zeros(20000)
    for t in range(2, len(signal)):
        signal[t] = 1.6 * signal[t - 1] - 0.8 * signal[t - 2] + 0.01 * rng.normal()
    head.fit([signal.astype("float32")])
    found = ops.convert_to_numpy(head.coefficients)[::-1]
    np.testing.assert_allclose(found[:2], [1.6, -0.8], atol=0.05)
    np.testing.assert_allclose(found[2:], 0, atol=0.08)


def test_what_was_fitted_is_saved():
    """Pitfall 14: the fitted prediction is a weight that travels with the model."""
    head = make()
    assert any(w is head.coefficients for w in head.non_trainable_weights)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    again.build_for(8, frame=4)
    again.set_weights(head.get_weights())
    recent, conditioning = inputs(head)
    np.testing.assert_array_equal(head(recent, conditioning), again(recent, conditioning))


@pytest.mark.parametrize("value", [0.0, 1 - 2.0**-24])
def test_no_draw_goes_out_of_reach(value):
    """Whatever noise and temperature: within `reach` of the prediction, and within the rails."""
    head = make()
    head.coefficients.assign(0.1 * head.coefficients)
    recent, conditioning = inputs(head, samples=1)
    p = float(ops.convert_to_numpy(head(recent, conditioning))[0, 0, 0])
    noise = np.full((1, head.noise_per_sample), value)
    free = step(head, recent, conditioning[:, 0], noise, 20.0)[0]
    for reach in (0.3, 0.02):
        head.reach.assign([reach])
        drawn = step(head, recent, conditioning[:, 0], noise, 20.0)[0]
        assert abs(free - p) > reach
        assert drawn == pytest.approx(p + np.copysign(reach, free - p), abs=1e-5)
    head.reach.assign([50.0])
    assert abs(step(head, recent, conditioning[:, 0], noise, 1e4)[0]) == 1.0


def test_the_ceiling_bounds_the_scale():
    head = make()
    recent, conditioning = inputs(head)
    g = ops.convert_to_numpy(head(recent, conditioning))[..., 1]
    ceiling = float(np.median(g))
    noise = np.full((1, head.noise_per_sample), 0.4)
    last, c = recent[:, -head.context :], conditioning[:, -1]
    free = step(head, last, c, noise)
    head.ceiling.assign([ceiling])
    bounded = ops.convert_to_numpy(head(recent, conditioning))[..., 1]
    np.testing.assert_allclose(bounded, np.minimum(g, ceiling), rtol=1e-6)
    # The step path has the same scale: a draw's distance shrinks with it.
    head.ceiling.assign([0.01 * g.min()])
    near = step(head, last, c, noise)
    p = ops.convert_to_numpy(head(recent, conditioning))[0, -1, 0]
    assert abs(near[0] - p) < 0.1 * abs(free[0] - p)


def test_the_limits_are_the_train_parts_quantiles():
    head = PredictiveHead(order=2, residuals=4, width=8)
    head.build_for(8, frame=4)
    rng = np.random.default_rng(0)
    head.fit([(0.01 * rng.normal(size=60000)).astype("float32")])
    # White noise is predicted by about nothing: its own sizes are what is left.
    assert float(head.reach.value[0]) == pytest.approx(0.01 * 3.02, rel=0.05)
    assert 0.01 < float(head.ceiling.value[0]) < float(head.reach.value[0])
    head.fit([np.zeros(500, "float32")])
    assert float(head.ceiling.value[0]) == pytest.approx(head.floor)


def test_jitter_is_for_training_alone():
    """Pitfall 11: what is seen is shaken in training, in proportion to its own residuals."""
    head = make(jitter=0.2)
    recent, conditioning = inputs(head)
    calm = ops.convert_to_numpy(head(recent, conditioning))
    np.testing.assert_array_equal(head(recent, conditioning, training=False), calm)
    without = make()
    for ours, theirs in zip(without.trainable_weights, head.trainable_weights, strict=True):
        ours.assign(theirs)
    np.testing.assert_array_equal(without(recent, conditioning, training=True), calm)
    shaken, again = (
        ops.convert_to_numpy(head(recent, conditioning, training=True)) for _ in range(2)
    )
    assert np.abs(shaken - calm).max() > 1e-4
    assert np.abs(shaken - again).max() > 1e-4
    quiet = ops.convert_to_numpy(head(0 * recent, conditioning, training=True))
    np.testing.assert_array_equal(quiet, head(0 * recent, conditioning))
