"""Heads: what they draw has the distribution that they predict; losses by hand."""

import re
import sys
from types import ModuleType

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.models.heads import Head, head_layer
from keras_rawaudio.models.heads.categorical import CategoricalHead
from keras_rawaudio.models.heads.regression import RegressionHead
from keras_rawaudio.recipes.heads import HEADS

LEVELS = 12


def head_and_inputs(rows=1, seed=0, spread=2.0, **options):
    keras.utils.set_random_seed(0)
    head = CategoricalHead(4, LEVELS, **{"hidden_units": 9, "embedded": 2, "linear": 4, **options})
    head.build((None, None), (None, None, 9))
    rng = np.random.default_rng(seed)
    for weight in head.weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.3 * rng.normal(size=weight.shape))
    head.logits.bias.assign(spread * rng.normal(size=LEVELS))
    recent = rng.integers(0, LEVELS, (rows, head.context)).astype("float32")
    conditioning = rng.normal(size=(rows, 9)).astype("float32")
    return head, recent, conditioning


def probabilities(head, recent, conditioning, temperature=1.0):
    """By `call`, which training uses, in double precision."""
    logits = head(recent, ops.expand_dims(conditioning, 1), [])[0][:, 0]
    scaled = ops.convert_to_numpy(logits).astype("float64") / temperature
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def step(head, recent, conditioning, noise, temperature):
    """One draw per row: noise and temperature `(B,)`."""
    noise, temperature = (np.asarray(v, "float32")[:, None] for v in (noise, temperature))
    rows = [np.repeat(x[:, None], 4, axis=1) for x in (conditioning, noise)]
    prepared = head.prepare_noise(rows[1], temperature[:, None])
    frame_inputs, subframe_inputs = head.begin_frame(recent, rows[0], prepared, [])
    now = [x[0] for x in subframe_inputs]
    codes = head.sample_subframe(recent, now, frame_inputs)
    assert codes.shape == (len(recent), 1)
    return ops.convert_to_numpy(codes)[:, 0]


def draw(head, recent, conditioning, noise, temperature=1.0):
    """Codes `(len(noise),)` of one row for many noises."""
    n = len(noise)
    rows = (np.repeat(x, n, axis=0) for x in (recent, conditioning))
    return step(head, *rows, noise, np.full(n, temperature))


@pytest.mark.parametrize("temperature", [1.0, 0.5, 2.0])
@pytest.mark.parametrize("options", [{}, {"embedded": 6}, {"embedded": 0, "layers": 1}])
def test_draws_follow_the_softmax(options, temperature):
    head, recent, conditioning = head_and_inputs(**options)
    p = probabilities(head, recent, conditioning, temperature)[0]
    n = 4096
    codes = draw(head, recent, conditioning, (np.arange(n) + 0.5) / n, temperature)
    assert codes.shape == (n,)
    assert (np.diff(codes) >= 0).all(), "more noise, higher code"
    counts = np.bincount(codes.astype(int), minlength=LEVELS)
    # An even grid of noise meets each code as often as its probability says, to one at each end.
    assert np.abs(counts - p * n).max() <= 1.5


def test_noise_picks_the_code_by_inverse_transform():
    head, recent, conditioning = head_and_inputs()
    cumulative = np.cumsum(probabilities(head, recent, conditioning)[0])
    noise = np.random.default_rng(5).random(500)
    noise = noise[np.abs(noise[:, None] - cumulative).min(axis=1) > 1e-5]
    expected = np.searchsorted(cumulative, noise, side="right")
    np.testing.assert_array_equal(draw(head, recent, conditioning, noise), expected)


def test_codes_without_mass_are_never_drawn():
    """The extremes of the noise give the first and the last code that can be, for every row."""
    rows = 400
    head, recent, conditioning = head_and_inputs(rows=rows, spread=0.5)
    bias = ops.convert_to_numpy(head.logits.bias).copy()
    bias[:3] = bias[-4:] = -1e4
    head.logits.bias.assign(bias)
    ones = np.ones(rows)
    np.testing.assert_array_equal(step(head, recent, conditioning, 0 * ones, ones), 3)
    highest = step(head, recent, conditioning, (1 - 2.0**-24) * ones, ones)
    np.testing.assert_array_equal(highest, LEVELS - 5)


def test_a_low_temperature_takes_the_likeliest():
    head, recent, conditioning = head_and_inputs()
    p = probabilities(head, recent, conditioning)[0]
    codes = draw(head, recent, conditioning, np.linspace(1e-3, 0.999, 50), 0.01)
    np.testing.assert_array_equal(codes, p.argmax())


def test_each_row_has_a_temperature_of_its_own():
    head, recent, conditioning = head_and_inputs(rows=2)
    both = step(head, recent, conditioning, [0.83, 0.83], [0.4, 1.7])
    for row, temperature in enumerate([0.4, 1.7]):
        only = slice(row, row + 1)
        alone = draw(head, recent[only], conditioning[only], [0.83], temperature)
        assert both[row] == alone[0]


def test_categorical_loss_is_bits_by_hand():
    """Pitfall 12: the loss of every sample, in a unit: bits once divided by ln 2."""
    head, *_ = head_and_inputs()
    logits = np.random.default_rng(2).normal(size=(2, 3, LEVELS)).astype("float32")
    target = np.array([[0, 5, 11], [7, 7, 1]], "int32")
    weights = np.exp(logits.astype("float64"))
    p = weights / weights.sum(axis=-1, keepdims=True)
    bits = -np.log2(np.take_along_axis(p, target[..., None], axis=-1)[..., 0])
    loss = ops.convert_to_numpy(head.loss(logits, target))
    assert loss.shape == (2, 3)
    np.testing.assert_allclose(loss / np.log(2), bits, rtol=1e-5)
    uniform = ops.convert_to_numpy(head.loss(np.zeros_like(logits), target))
    np.testing.assert_allclose(uniform / np.log(2), np.log2(LEVELS), rtol=1e-6)


def test_regression_loss_is_the_square_of_every_sample():
    """Pitfall 12: the loss of every sample, not of the last step alone."""
    loss = RegressionHead(1).loss(np.array([[1.0, 2.0, 3.0]]), np.array([[0.0, 2.0, 5.0]]))
    np.testing.assert_allclose(loss, [[1.0, 0.0, 4.0]])


def test_regression_frames_come_in_order():
    head = RegressionHead(5, hidden_units=3)
    head.build((None, None), (None, None, 4))
    conditioning = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    whole, _ = head(None, conditioning, [])
    for t in range(3):
        frame, _ = head.sample_frame(None, conditioning[:, t : t + 1], None, [])
        np.testing.assert_allclose(whole[:, 5 * t : 5 * (t + 1)], frame, atol=1e-6)


@pytest.mark.parametrize("kind", sorted(HEADS))
def test_heads_say_what_they_are(kind):
    head = head_layer(kind)
    assert head.kind == kind
    assert head.measure in ("bits_per_sample", "variance_unexplained")


@pytest.mark.parametrize(
    ("kinds", "found"), [({"A": "laplas"}, "none"), ({"A": "laplace", "B": "laplace"}, "A, B")]
)
def test_a_file_of_a_head_has_one_class_of_its_kind(monkeypatch, kinds, found):
    file = ModuleType("keras_rawaudio.models.heads.laplace")
    vars(file).update({name: type(name, (Head,), {"kind": kind}) for name, kind in kinds.items()})
    monkeypatch.setitem(sys.modules, file.__name__, file)
    message = f"{file.__name__} needs one class with kind = 'laplace', not: {found}"
    with pytest.raises(TypeError, match=re.escape(message)):
        head_layer("laplace")


@pytest.mark.parametrize(
    "head",
    [
        CategoricalHead(4, LEVELS, hidden_units=7, layers=3, embedded=4, linear=3),
        RegressionHead(5, hidden_units=3),
    ],
)
def test_config_round_trip(head):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert type(again) is type(head)
    assert again.get_config() == head.get_config()
    assert again.context == head.context


@pytest.mark.parametrize("options", [{"layers": 0}, {"embedded": -1}, {"linear": 0}])
def test_impossible_heads_are_refused(options):
    with pytest.raises((UserError, ValueError), match="categorical head needs"):
        CategoricalHead(4, LEVELS, **options)
