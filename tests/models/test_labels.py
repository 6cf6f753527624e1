"""Labels of a spectral model: what it is conditioned on, and a clock for each."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.generation import ReferenceSampler, fresh_state
from keras_rawaudio.models import SpectralModel
from keras_rawaudio.models.carried_state import reset_state
from keras_rawaudio.models.clock import clock_seconds
from keras_rawaudio.models.recognised_music import EVIDENCE
from keras_rawaudio.models.spectral_codec import CODES

from ..small_models import compiled

RATE, LABELS = 2000, ["night", "day", "sea"]


def pulses(period, seconds=40):
    rng = np.random.default_rng(0)
    audio = 1e-3 * rng.normal(size=seconds * RATE)
    for start in np.arange(0, seconds - 1, period):
        audio[int(start * RATE) :][:40] += 0.3 * rng.normal(size=40)
    return audio.astype(np.float32)


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = SpectralModel(
        RATE, codebook_size=16, components=8, units=12, clock_harmonics=2, labels=LABELS
    )
    noise = np.random.default_rng(1).normal(size=80 * RATE).astype(np.float32) / 9
    model.prepare([pulses(0.6), pulses(0.7), noise], [0, 1, 2])
    for weight in model.prior.query:
        weight.kernel.assign(weight.kernel * 50)  # so that it is sure of something
    return model


def music(*weights):
    return np.array(weights, np.float32)


def draw(model, weights, blocks=6, **state):
    rows = len(weights)
    noise = np.random.default_rng(0).random((1, blocks * model.block, 1)).astype(np.float32)
    state = {**fresh_state(model, rows), "music": weights, **state}
    noise = np.repeat(noise, rows, axis=0)
    nothing, ones = np.zeros((rows, 0), np.float32), np.ones(rows, np.float32)
    return compiled(model)(nothing, noise, ones, state)


def test_a_model_of_one_music_has_no_labels():
    model = SpectralModel(RATE, codebook_size=16, components=8, units=12, clock_harmonics=2)
    assert "music" not in model.state_spec()
    assert not any("embedding" in weight.path for weight in model.weights)
    assert model.prior.period.shape == ()


def test_labels_are_fitted(model):
    np.testing.assert_allclose(model.label_shares, [0.25, 0.25, 0.5])
    periods = np.asarray(model.prior.period)
    codes = RATE / model.block * model.frame
    for found, pulse in zip(periods[:2], (0.6, 0.7), strict=True):
        ratio = found / (8 * pulse * codes)
        assert min(abs(ratio - n) for n in (0.5, 1, 2)) < 0.01
    assert periods[2] == 0  # noise has no pulse


def test_a_label_of_several_recordings_has_no_clock():
    """Even where one of them alone is in the train part."""
    audio = [pulses(0.6), pulses(0.7)]
    assert all(clock_seconds(audio, [0, 1], 2, RATE))
    found = clock_seconds(audio, [0, 1], 2, RATE, recordings=[1, 3])
    assert found[0] > 0
    assert found[1] == 0


def test_the_state_of_a_row_is_the_label_of_its_place(model):
    state = model.zero_state(4)
    reset, position = np.array([True, True, True, False]), np.full(4, 1000)
    begun = reset_state(model, state, reset, position, np.array([0, 2, -1, 1], np.int32))
    expected = music([1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0])
    np.testing.assert_array_equal(begun["music"], expected)
    turns = 1000 / float(model.prior.period[0])
    np.testing.assert_allclose(begun["tier0_clock"][:, 0], [turns % 1, 0, 0, 0], atol=1e-5)


@pytest.mark.slow
def test_each_label_has_its_own_clock(model):
    weights = music([1, 0, 0], [0, 1, 0], [0, 0, 1], [0.3, 0.7, 0], [0, 0, 0])
    _, state = draw(model, weights, blocks=1)
    turns = model.frame / np.asarray(model.prior.period)[[0, 1, 1]]
    clocks = np.asarray(state["tier0_clock"])[:, 0]
    np.testing.assert_allclose(clocks[[0, 1, 3]], turns % 1, atol=1e-5)
    np.testing.assert_array_equal(state["music"], weights)


@pytest.mark.parametrize("weights", [[0, 0, 1], [0, 0, 0]])
def test_music_without_a_clock_does_not_see_it(model, weights):
    def hidden(label):
        _, state = draw(model, music(label, label), tier0_clock=music([0.1], [0.6]))
        return np.asarray(state["tier0_layer0_h"])

    np.testing.assert_array_equal(*hidden(weights))
    first, second = hidden([1, 0, 0])
    assert np.abs(first - second).max() > 1e-3


def test_what_is_drawn_depends_on_the_label(model):
    _, state = draw(model, music([1, 0, 0], [0, 1, 0], [0.5, 0.5, 0], [0, 0, 0]))
    hidden = np.asarray(state["tier0_layer0_h"])
    for i in range(4):
        for j in range(i):
            assert np.abs(hidden[i] - hidden[j]).max() > 1e-3


def test_what_is_read_is_recognised(model):
    """Codes of one label alone; what is set by hand counts more."""
    codes = np.repeat([[1], [2], [3]], model.frame, axis=1)  # of each label the only ones
    model.count_codes([np.tile(row, 20) for row in codes], [0, 1, 2])
    state = {**fresh_state(model, 3), CODES: ops.cast(codes - 1, "float32")}
    noise = np.zeros((3, model.noise_per_draw), np.float32)

    def hidden(state, drawn=0.0):
        read, after = model.step(state, noise, drawn)
        return np.asarray(read), after

    read, after = hidden(state)
    likely = np.log(np.where(np.eye(3) > 0, 21, 1) / 36)  # 20 blocks, and 1 for each of 16 codes
    np.testing.assert_allclose(after[EVIDENCE], model.frame * likely, rtol=1e-5)
    np.testing.assert_array_equal(after["music"], np.zeros((3, 3)))
    np.testing.assert_allclose(
        read, hidden({**state, "music": np.eye(3, dtype="float32")})[0], atol=1e-3
    )
    other = np.eye(3, dtype="float32")[[1, 2, 0]]
    assert np.abs(read - hidden({**state, "music": other})[0]).max() > 0.01
    unread = {**state, CODES: -ops.ones((3, model.frame))}
    for given, drawn in ((unread, 0.0), (state, 1.0)):  # nothing was read
        np.testing.assert_array_equal(hidden(given, drawn)[1][EVIDENCE], np.zeros((3, 3)))


def test_windows_and_single_blocks_are_one(model):
    """What training reads in one call, the generator reads block by block."""
    rng = np.random.default_rng(0)
    points = [rng.normal(size=(2, 5, 8)).astype(np.float32) for _ in range(model.frame)]
    state = [np.zeros((2, *shape), np.float32) for _, shape in model.prior.state_spec()]
    state[-1] = music([0, 1, 0], [0, 0, 1])
    whole, end = model.prior(points, state)
    for t in range(5):
        hidden, state = model.prior.step([p[:, t] for p in points], state)
        np.testing.assert_allclose(hidden, whole[:, t], atol=1e-5)
    for a, b in zip(end, state, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_some_rows_in_training_do_not_know_their_label(model):
    prior = SpectralModel(
        RATE, codebook_size=16, components=8, units=12, dropout=0.0, input_noise=0.0, labels=LABELS
    ).prior
    rows = 400
    points = [np.zeros((rows, 1, 8), np.float32)] * prior.bands
    state = [np.zeros((rows, *shape), np.float32) for _, shape in prior.state_spec()]
    state[-1] = np.tile(music([0, 1, 0]), (rows, 1))
    hidden, after = prior(points, state, training=True)
    state[-1] = np.zeros_like(state[-1])
    unknown = np.abs(np.asarray(hidden - prior(points, state)[0])).max(axis=(1, 2)) < 1e-6
    assert 0.03 < unknown.mean() < 0.2
    np.testing.assert_array_equal(after[-1][:, 1], 1)  # the state goes on knowing


def test_the_labels_are_saved(model, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert list(loaded.labels) == LABELS
    np.testing.assert_array_equal(loaded.prior.period, model.prior.period)
    codes = np.arange(model.context + 4 * model.frame, dtype=np.int32)[None] % 16 + 1
    state = {**model.zero_state(1), "music": music([0.2, 0.8, 0])}
    for logits, expected in zip(loaded(codes, state)[0], model(codes, state)[0], strict=True):
        np.testing.assert_array_equal(logits, expected)


@pytest.mark.slow
def test_the_sampler_takes_names_and_weights(model):
    sampler = ReferenceSampler(model)
    night = sampler.generate(800, music={"night": 3.0})
    np.testing.assert_array_equal(night, sampler.generate(800, music={"night": 1.0, "day": 0.0}))
    assert np.abs(night - sampler.generate(800, music={"day": 1.0})).max() > 0
    # From nothing each stream is one music, drawn by the seed.
    np.testing.assert_array_equal(*(sampler.generate(800, streams=3) for _ in range(2)))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"nigth": 1.0}, "no music 'nigth': nearest: night"),
        ({"night": -1.0}, "weight of night is -1"),
        ({"night": 0.0}, "add up to nothing"),
        ({"night": 1e300}, "must be 0 to 1e"),
    ],
)
def test_wrong_music_is_one_line(model, given, words):
    with pytest.raises(UserError, match=words):
        ReferenceSampler(model).generate(800, music=given)
