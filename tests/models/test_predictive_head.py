"""The predictive head: its density, its state, and what it is fitted to."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers.lpc_filter_bank import MIN_RESIDUAL_SCALE
from keras_rawaudio.models import calibration
from keras_rawaudio.models.heads.predictive import PredictiveHead
from keras_rawaudio.models.lpc_codes import NUM_GAINS

from .conftest import (
    CODES,
    FILTERS,
    FRAME,
    LEVELS,
    SMALL,
    WIDTH,
    audio,
    called,
    conditioning_of,
    fresh,
    make,
    mass_of_cells,
    numbers,
    softmax,
)

# The density


@pytest.mark.parametrize("sample", [0, 7, 8, 31, 40])
def test_the_mass_of_all_cells_is_one(sample):
    head = make()
    prediction, _ = called(head, audio(head.context + 2 * FRAME), conditioning_of(2))
    mass = mass_of_cells(head, prediction[0, sample])
    assert mass.sum() == pytest.approx(1.0, abs=1e-4)
    assert mass.min() >= 0.9 * 1e-3 / LEVELS


def errors_by_frame(head, x):
    """Mean sizes of each filter's errors in whole frames from the end of `x` back, without the
    last sample of each: `(B, frames, filters)`."""
    frames = (x.shape[1] - head.lpc_order) // FRAME
    x = x[:, x.shape[1] - head.lpc_order - frames * FRAME :].astype("float64")
    past = np.lib.stride_tricks.sliding_window_view(x[:, :-1], head.lpc_order, axis=1)[..., ::-1]
    error = np.abs(x[:, head.lpc_order :, None] - past @ numbers(head.filter_bank.taps).T)
    return error.reshape(len(x), frames, FRAME, -1)[:, :, :-1].mean(axis=2)


def test_the_samples_of_a_frame_carry_the_nats_of_its_codes():
    """Nats of the envelope code of the frame, of the LPC index that predicts it and the frame
    before best, and of the gain of its residual."""
    head, frames = make(), 12
    x, conditioning = audio(head.context + frames * FRAME), conditioning_of(frames)
    x *= np.geomspace(0.1, 10, x.shape[1]).astype("float32")
    prediction, state = called(head, x, conditioning)
    costs = prediction[0, :, 2].reshape(frames, FRAME)
    np.testing.assert_array_equal(costs, np.repeat(costs[:, :1], FRAME, axis=1))
    first = head.context - FRAME - 1
    envelopes = numbers(head.codes.envelope.encode(head.codes.envelope.features(x[:, first:-1])))[0]
    sizes = np.log(errors_by_frame(head, x)[0, -frames - 1 :] + MIN_RESIDUAL_SCALE)
    best = (sizes[1:] + sizes[:-1]).argmin(axis=1)
    indices = np.eye(FILTERS)[best]
    known = np.linspace(np.log(MIN_RESIDUAL_SCALE), 0, NUM_GAINS)
    gains = np.abs(sizes[1:][np.arange(frames), best, None] - known).argmin(axis=1)
    np.testing.assert_allclose(prediction[0, ::FRAME, 1], np.exp(known[gains]), rtol=1e-5)
    gains = np.eye(NUM_GAINS)[gains]
    for code in (envelopes, indices, gains):
        assert len(np.unique(code.argmax(axis=1))) > 1
    index_and_gain = np.concatenate([indices, gains], axis=1)
    logits = numbers(head.codes.envelope.logits(conditioning))[0] + index_and_gain @ numbers(
        head.codes.lpc.code_bias
    )
    expected = (softmax(logits) * envelopes).sum(axis=1)
    expected *= (softmax(numbers(head.codes.lpc.index_logits(conditioning))[0]) * indices).sum(
        axis=1
    )
    given_index = np.concatenate([conditioning[0], indices], axis=1).astype("float32")
    expected *= (softmax(numbers(head.codes.lpc.gain_logits(given_index))) * gains).sum(axis=1)
    np.testing.assert_allclose(np.exp(-costs.sum(axis=1)), expected, rtol=1e-4)
    np.testing.assert_array_equal(
        state[-1][0], np.concatenate([envelopes, index_and_gain], axis=1)[-1]
    )


def test_given_its_code_a_sample_is_predicted_from_what_was_before_it():
    """A prediction rests on all samples before it, the mixture on those before its 8."""
    head, N = make(sure=True), 2 * FRAME
    for layer in (head.network.entry, *head.network.hidden):
        layer.bias.assign(ops.ones_like(layer.bias))  # nothing asleep
    base = audio(head.context + N)
    x = np.repeat(base, N + 1, axis=0)
    x[np.arange(N), head.context + np.arange(N)] += 0.2
    prediction, _ = called(head, x, np.repeat(conditioning_of(2), N + 1, axis=0))
    changed = np.abs(prediction[:-1] - prediction[-1]) > 2e-6
    t = np.arange(N)
    assert not changed[..., 0][t[:, None] >= t].any()
    assert changed[t[:-1], t[1:], 0].all(), "the sample before is not used"
    step, after = t[:, None] // 8, t // 8
    assert not changed[..., 1:][step >= after].any()
    used = changed[..., 3:].any(axis=-1)
    assert used[step + 1 == after].all(), "the 8 samples before are not used"


def test_no_code_depends_on_the_last_sample_of_its_frame():
    """That sample is not known when a window is read: it counts from the next frame on."""
    head, frames = make(), 4
    base = audio(head.context + frames * FRAME)
    conditioning = np.repeat(conditioning_of(frames), frames, axis=0)
    x = np.repeat(base, frames, axis=0)
    lasts = head.context + FRAME * np.arange(1, frames) - 1
    x[np.arange(frames - 1), lasts] = 0.9
    prediction, _ = called(head, x, conditioning)
    distance = np.abs(prediction[:-1] - prediction[-1]).reshape(frames - 1, frames, -1).max(axis=2)
    frame = np.arange(frames)
    changed, at = distance > 2e-6, np.arange(frames - 1)[:, None]
    assert not changed[frame <= at].any()
    assert changed[frame == at + 1].all()


# The state


def same(left, right):
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_two_halves_are_one_window():
    """Pitfall 21: the codes go on through the state."""
    head, T = make(), 2
    x, conditioning = audio(head.context + 2 * T * FRAME, rows=2), conditioning_of(2 * T, rows=2)
    whole, end = called(head, x, conditioning)
    first, state = called(head, x[:, : head.context + T * FRAME], conditioning[:, :T])
    second, state = called(head, x[:, T * FRAME :], conditioning[:, T:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-5)
    same(state, end)


def test_frames_that_are_read_leave_the_state_of_a_window():
    """Pitfall 17: reading frame by frame is what training does."""
    head, T = make(), 4
    x, conditioning = audio(head.context + T * FRAME, rows=2), conditioning_of(T, rows=2)
    _, expected = called(head, x, conditioning)
    state = fresh(head, 2)
    for t in range(T):
        begin, end = t * FRAME, head.context + t * FRAME
        given = x[:, end : end + FRAME]
        state = head.observe_frame(x[:, begin:end], conditioning[:, t : t + 1], given, state)
    same(state, expected)


def test_previous_codes_are_those_of_the_frames_before():
    head, T = make(), 5
    x = audio(head.context + T * FRAME)
    before = numbers(head.previous_codes(x[:, :-1]))[0]
    assert before.shape == (T, CODES + FILTERS + NUM_GAINS)
    for t in range(T):
        _, state = called(head, x[:, : head.context + (t + 1) * FRAME], conditioning_of(t + 1))
        if t + 1 < T:
            np.testing.assert_array_equal(before[t + 1], state[-1][0])


# Fitting


@pytest.fixture
def few_stretches(monkeypatch):
    """Limits from little audio: as good for audio that is the same throughout."""
    monkeypatch.setattr(calibration, "STRETCHES", 3)
    monkeypatch.setattr(calibration, "STRETCH", 2048)


def autoregressive(samples, scale=0.01, seed=0):
    """x[t] = 1.6 x[t-1] - 0.8 x[t-2] + e[t]."""
    rng = np.random.default_rng(seed)
    x = np.zeros(samples)
    for t in range(2, samples):
        x[t] = 1.6 * x[t - 1] - 0.8 * x[t - 2] + scale * rng.normal()
    return x.astype("float32")


def test_untrained_it_is_a_switched_predictor(few_stretches):
    """Near nothing comes of the fresh network: errors lie as the fitted filters leave them."""
    keras.utils.set_random_seed(0)
    head = PredictiveHead(FRAME, **SMALL)
    head.build((None, None), (None, None, WIDTH))
    x, conditioning = audio(head.context + 4 * FRAME), conditioning_of(4)
    repeated = called(head, x, conditioning)[0][..., 0]
    np.testing.assert_allclose(repeated, x[:, head.context - 1 : -1], atol=1e-4)
    piece = autoregressive(12_000)
    head.fit([piece])
    x = piece[None, 6000 : 6000 + head.context + 4 * FRAME]
    error = x[:, head.context :] - called(head, x, conditioning)[0][..., 0]
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.01, rel=0.2)


def test_the_residual_limit_is_the_train_parts_quantile(few_stretches):
    head = PredictiveHead(FRAME, **SMALL)
    head.build((None, None), (None, None, WIDTH))
    head.fit([(0.01 * np.random.default_rng(0).normal(size=8000)).astype("float32")])
    # White noise is predicted by about nothing: its own sizes are what is left.
    assert float(head.residual_limit.value[0]) == pytest.approx(0.01 * 3.02, rel=0.1)


@pytest.mark.filterwarnings("ignore:One of the clusters is empty", "ignore:invalid value")
def test_silence_fits_too(few_stretches):
    head = PredictiveHead(FRAME, **SMALL)
    head.build((None, None), (None, None, WIDTH))
    head.fit([np.zeros(4000, "float32")])
    assert float(head.residual_limit.value[0]) == pytest.approx(MIN_RESIDUAL_SCALE)
    assert all(np.isfinite(numbers(weight)).all() for weight in head.weights)


def test_audio_that_is_too_short_is_one_clear_error():
    head = PredictiveHead(FRAME, **SMALL)
    head.build((None, None), (None, None, WIDTH))
    for segments in ([autoregressive(100)], [autoregressive(100)] * 40, [autoregressive(1)]):
        with pytest.raises(UserError, match="too short for linear prediction of order 16"):
            head.fit(segments)


def test_dropout_is_for_training_alone():
    """Pitfall 11."""
    head = make(dropout=0.5)
    x, conditioning = audio(head.context + FRAME), conditioning_of(1)
    calm, _ = called(head, x, conditioning)
    np.testing.assert_array_equal(called(head, x, conditioning)[0], calm)
    shaken, again = (
        numbers(head(x[:, :-1], conditioning, fresh(head), training=True)[0]) for _ in range(2)
    )
    assert np.abs(shaken - calm).max() > 1e-4
    assert np.abs(shaken - again).max() > 1e-4


def test_what_was_fitted_is_saved():
    """Pitfall 14: filters, codebook and limit are weights that travel with the model."""
    head = make()
    fitted = [head.filter_bank.taps, head.codes.envelope.codebook, head.residual_limit]
    assert {id(w) for w in fitted} <= {id(w) for w in head.non_trainable_weights}
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    again.set_weights(head.get_weights())
    x, conditioning = audio(head.context + FRAME), conditioning_of(1)
    expected, _ = called(head, x, conditioning)
    np.testing.assert_array_equal(called(again, x, conditioning)[0], expected)


@pytest.mark.parametrize("frame", [20, 24, 33])
def test_frames_that_do_not_fit_are_refused(frame):
    with pytest.raises(ValueError, match=f"multiple of 8 and 32 samples or more, not {frame}"):
        PredictiveHead(frame, **SMALL)


def test_impossible_heads_are_refused():
    for options in ({"layers": 0}, {"num_mixtures": 0}):
        with pytest.raises(ValueError, match=">= 1"):
            PredictiveHead(FRAME, **options)
    with pytest.raises(ValueError, match="multiple of 32 and 64 samples or more, not 32"):
        PredictiveHead(32, bunch=32, lpc_order=64)
    with pytest.raises(ValueError, match="at most 32 samples, not 64"):
        PredictiveHead(128, bunch=64, lpc_order=64)
    with pytest.raises(ValueError, match="33 codes and 32 samples"):
        PredictiveHead(FRAME, **{**SMALL, "codebook_size": 33})
    with pytest.raises(ValueError, match="frame of 32 samples has no more filters"):
        PredictiveHead(FRAME, **{**SMALL, "filters": 33})
