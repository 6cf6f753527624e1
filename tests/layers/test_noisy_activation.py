"""The noisy hard units: closed forms, expectations, gradients, saving."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers import NoisyActivation

LINES = {"hard_sigmoid": (0.25, 0.5, 0.0, 1.0), "hard_tanh": (1.0, 0.0, -1.0, 1.0)}


def paper(x, xi, function, noise, alpha, c, p):
    """The paper's formulas, word for word."""
    slope, offset, low, high = LINES[function]
    u = slope * x + offset
    h = np.clip(u, low, high)
    sigma = c * (1 / (1 + np.exp(-p * (h - u))) - 0.5) ** 2
    d = 1.0
    if noise == "half-normal":
        d = -np.sign(x) * np.sign(1 - alpha)
        xi = np.abs(xi)
    return alpha * h + (1 - alpha) * u + d * sigma * xi


def unit(*args, p=1.0, width=9, **kwargs):
    layer = NoisyActivation(*args, **kwargs)
    layer.build((None, width))
    layer.p.assign(np.full(layer.p.shape, p, "float32"))
    return layer


@pytest.mark.parametrize("function", list(LINES))
def test_without_noise_it_is_the_hard_function(function):
    """The control of experiments on noise: the same limits, in training too, and no slope."""
    layer = NoisyActivation(function, noise=None)
    x = np.linspace(-9, 9, 50, dtype="float32")[None]
    slope, offset, low, high = LINES[function]
    expected = np.clip(slope * x + offset, low, high)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x, training=True)), expected, atol=1e-6)
    assert not layer.weights


@settings(max_examples=40)
@given(
    function=st.sampled_from(list(LINES)),
    noise=st.sampled_from(["half-normal", "normal"]),
    alpha=st.floats(0.8, 1.3).filter(lambda a: abs(a - 1) > 1e-3),
    c=st.floats(0, 1),
    p=st.floats(-2, 2),
    seed=st.integers(0, 1000),
)
def test_equals_the_formula(function, noise, alpha, c, p, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 4, (5, 9)).astype("float32")
    xi = rng.normal(size=x.shape).astype("float32")
    layer = unit(function, noise=noise, alpha=alpha, c=c, p=p)
    result = ops.convert_to_numpy(layer(x, training=True, noise=xi))
    expected = paper(x, xi, function, noise, alpha, c, p)
    np.testing.assert_allclose(result, expected, atol=1e-4)


@pytest.mark.parametrize("function", list(LINES))
@pytest.mark.parametrize("noise", ["half-normal", "normal"])
def test_evaluation_is_the_expectation(function, noise):
    """Pitfall 11: no noise in evaluation, and what stands there is the mean of training."""
    layer = unit(function, noise=noise, c=4.0, seed=1)
    x = np.linspace(-12, 12, 9, dtype="float32")[None]
    evaluated = ops.convert_to_numpy(layer(x))
    np.testing.assert_array_equal(evaluated, ops.convert_to_numpy(layer(x, training=False)))
    drawn = ops.convert_to_numpy(layer(np.repeat(x, 50000, axis=0), training=True))
    np.testing.assert_allclose(drawn.mean(axis=0), evaluated[0], atol=0.02)
    assert drawn.std(axis=0).max() > 0.2
    # Not saturated: the line itself, without noise.
    assert drawn[:, 4].std() < 1e-6


def test_half_normal_points_outwards_where_alpha_is_over_one():
    x = np.array([[-6.0, 6.0]], "float32")
    noise = np.array([[1.3, -1.3]], "float32")
    for alpha, sign in [(1.15, 1), (0.85, -1), (1.0, -1)]:
        layer = unit("hard_tanh", alpha=alpha, width=2)
        quiet = ops.convert_to_numpy(layer(x, training=True, noise=0 * noise))
        loud = ops.convert_to_numpy(layer(x, training=True, noise=noise))
        np.testing.assert_array_equal(np.sign(loud - quiet), sign * np.sign(x))


def test_slope_per_unit_or_for_all():
    for per_unit, shape in [(True, (7,)), (False, ())]:
        layer = NoisyActivation(per_unit=per_unit)
        layer(np.zeros((2, 7), "float32"))
        assert tuple(layer.p.shape) == shape
        assert len(layer.trainable_weights) == 1


def test_slope_is_learned_where_units_saturate():
    layer = unit("hard_tanh", width=4, seed=2)
    model = keras.Sequential([keras.Input((4,)), layer])
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.train_on_batch(np.array([[-3.0, -0.5, 0.5, 3.0]], "float32"), np.zeros((1, 4), "float32"))
    moved = np.abs(ops.convert_to_numpy(layer.p) - 1)
    assert (moved[[0, 3]] > 1e-4).all()
    assert (moved[[1, 2]] == 0).all()


def test_bad_settings():
    with pytest.raises(UserError, match="unknown function 'tanh'; take one of hard_sigmoid"):
        NoisyActivation("tanh")
    with pytest.raises(UserError, match="unknown noise 'pink'"):
        NoisyActivation(noise="pink")


@pytest.mark.parametrize("per_unit", [True, False])
def test_save_and_load(tmp_path, per_unit):
    layer = unit("hard_sigmoid", noise="half-normal", p=1.7, per_unit=per_unit, seed=4)
    model = keras.Sequential([keras.Input((9,)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(0, 5, (3, 9)).astype("float32")
    for training in (False, True):
        np.testing.assert_array_equal(
            ops.convert_to_numpy(loaded(x, training=training)),
            ops.convert_to_numpy(model(x, training=training)),
        )
    assert loaded.layers[-1].get_config() == layer.get_config()
