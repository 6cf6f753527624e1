"""Generation: the step path is the model itself, and its state goes on from call to call."""

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.generation import advance, fresh_state
from keras_rawaudio.generation.advance import LEAST_NOISE, draw, read
from keras_rawaudio.layers import lpc_filter_bank
from keras_rawaudio.models import AudioModel, level_control
from keras_rawaudio.models.controls import HISTORY
from keras_rawaudio.models.lpc_codes import NUM_GAINS

from ..small_models import MODELS, compiled, make
from .conftest import audio_of, noise_of, window_of

CATEGORICAL_MODELS = [
    name for name, (_, head, _) in MODELS.items() if head["kind"] == "categorical"
]


def sure(model):
    """The same model with one envelope code, filter and gain for all that it draws and reads; the
    code is louder than any audio."""
    again = AudioModel.from_config(model.get_config())
    again.set_weights(model.get_weights())
    codebook = again.head.codes.envelope
    codebook.codebook.assign([[1.0] * 22] + [[100.0] * 22] * 7)
    codebook.logits.bias.assign([0.0] + [-1e3] * 7)
    taps = ops.convert_to_numpy(again.head.filter_bank.taps)
    again.head.filter_bank.set_filters(taps * [[1.0], [500.0], [500.0]])
    unfiltered(again)
    again.head.codes.lpc.index_logits.bias.assign([0.0, -1e3, -1e3])
    first, encode = np.eye(1, NUM_GAINS, dtype="float32"), again.head.codes.lpc.encode
    again.head.codes.lpc.gain_logits.bias.assign(1e3 * first[0])
    again.head.codes.lpc.encode = lambda x: (encode(x)[0], 0 * encode(x)[1] + first)
    again.head.codes.lpc.decode = lambda gain: 0.03 * ops.sum(gain, axis=-1, keepdims=True)
    return again


def unfiltered(model):
    """The same model, with nothing done to what it draws: the output is what the history holds."""
    width = model.head.postfilter.length
    model.head.postfilter.taps.assign(np.repeat(np.eye(1, width), model.head.filters, axis=0))
    return model


def state_after_silence(model, rows):
    """A fresh state, and the code of silence in it: a fresh generator has no code at all."""
    state, head = fresh_state(model, rows), model.head
    if head.kind == "predictive":
        silence = ops.zeros((rows, head.context - 1 + head.frame_size))
        state["head_codes"] = head.previous_codes(silence)[:, 0]
    return state


def gaussian_draws(prediction, noise, temperature, frame):
    """What a mixture of Gaussians over frames gives for this noise, by hand."""
    means, widths, logits = np.split(prediction, 3, axis=-1)
    u = noise.astype("float64")
    normal = np.sqrt(-2 * np.log(u[..., 0])) * np.cos(2 * np.pi * u[..., 1])
    gumbel = -np.log(-np.log(u[..., 2]))
    drawn = np.zeros(normal.shape)
    for start in range(0, normal.shape[1], frame):
        # The first numbers of a frame choose for all of it.
        perturbation = gumbel[:, start : start + logits.shape[-1]]
        chosen = (logits[:, start] + temperature * perturbation).argmax(axis=-1)[:, None, None]
        here = slice(start, start + frame)
        mean, width = (np.take_along_axis(x[:, here], chosen, -1)[..., 0] for x in (means, widths))
        drawn[:, here] = mean + np.exp(width) * temperature * normal[:, here]
    return np.clip(drawn, -1, 1)


def predicted(model, x):
    """The prediction of a training window, as numbers, and the state after it."""
    prediction, state = model(x, model.zero_state(len(x)))
    if model.head.kind == "spectrum":
        prediction = prediction["signal"]
    return ops.convert_to_numpy(prediction), state


def logistic_draws(prediction, noise, temperature, reach):
    """What a mixture of logistics about a prediction gives for this noise, by hand."""
    p, g = prediction[..., 0], prediction[..., 1]
    delta, log_scale, logits = np.split(prediction[..., 3:], 3, axis=-1)
    u = noise.astype("float64")
    gumbel = -np.log(-np.log(u[..., :-4]))
    chosen = (logits + temperature[..., None] * gumbel).argmax(axis=-1)[..., None]
    delta, log_scale = (np.take_along_axis(x, chosen, -1)[..., 0] for x in (delta, log_scale))
    logistic = np.log(u[..., -4] / (1 - u[..., -4]))
    offset = g * (delta + np.exp(np.clip(log_scale, -5, 4)) * temperature * logistic)
    return np.clip(p + np.clip(offset, -reach, reach), -1, 1)


def same_state(left, right, tolerance=1e-5):
    assert set(left) == set(right)
    for name in left:
        np.testing.assert_allclose(left[name], right[name], rtol=1e-5, atol=tolerance, err_msg=name)


def test_reading_moves_the_state_as_a_training_window_does(model):
    """Pitfall 17: one frame read is one step of each tier, as in training, and no more."""
    values = ops.cast(model.codec.encode(audio_of(model, 2, 4 * model.frame)), "float32")
    state = read(model, values, state_after_silence(model, 2))
    _, expected = model(window_of(model, values), model.zero_state(2))
    history = state.pop(HISTORY)
    same_state(state, expected)
    np.testing.assert_array_equal(
        history, window_of(model, np.pad(values, ((0, 0), (0, 1))))[:, -model.context - 1 :]
    )


def test_drawn_values_are_what_a_training_window_would_predict(every_model, monkeypatch):
    """Pitfall 17: teacher forcing on the generator's own output gives the values it drew."""
    model = every_model
    if model.head.kind == "predictive":
        # A drawn code stays what it was, whatever the samples then sound like: have but one,
        # and correct no sample's level.
        model = sure(model)
        monkeypatch.setattr(level_control, "LEVEL_CORRECTION_RATE", 0.0)
        monkeypatch.setattr(level_control, "MAX_EXCITATION_GAIN", 1.0)
        monkeypatch.setattr(lpc_filter_bank, "BANDWIDTH_EXPANSION", 0.0)
    rows, P, N = 3, 2 * model.frame, 2 * model.frame
    forced = ops.cast(model.codec.encode(audio_of(model, rows, P)), "float32")
    noise = noise_of(model, rows, N)
    temperature = np.array([0.6, 1.0, 1.7], "float32")
    state = read(model, forced, state_after_silence(model, rows))
    drawn, after = draw(model, noise, temperature, state)
    values = np.concatenate([forced, drawn], axis=1)
    prediction, expected = predicted(model, window_of(model, values))
    prediction = prediction[:, P:].astype("float64")
    if model.head.kind == "predictive":
        reach = float(model.head.residual_limit.value[0])
        prediction = logistic_draws(prediction, noise, temperature[:, None], reach)
    elif model.head.kind == "mixture":
        prediction = gaussian_draws(
            prediction, noise, temperature[:, None], model.tiers[-1].frame_size
        )
    elif model.head.kind not in ("categorical", "regression", "spectrum"):
        pytest.skip("draws of this head are not computed by hand here")
    elif model.head.condition_width:
        weights = np.exp(prediction / temperature[:, None, None])
        sums = np.cumsum(weights, axis=-1) / weights.sum(axis=-1, keepdims=True)
        assert np.abs(sums - noise).min() > 1e-6, "noise on an edge: choose another seed"
        prediction = (sums <= noise).sum(axis=-1)
        assert len(np.unique(prediction)) > 4
    np.testing.assert_allclose(drawn, prediction, atol=1e-5)
    after.pop(HISTORY)
    same_state(after, expected)


@pytest.mark.parametrize("name", CATEGORICAL_MODELS)
def test_the_distribution_after_reading_is_the_predicted_one(name):
    """The next sample's probabilities, felt out with a grid of noise, are those of `call`."""
    model, n = make(name), 512
    values = ops.cast(model.codec.encode(audio_of(model, 1, 3 * model.frame)), "float32")
    state = read(model, np.repeat(values, n, axis=0), fresh_state(model, n))
    noise = np.zeros((n, model.frame, 1), "float32")
    noise[:, 0, 0] = (np.arange(n) + 0.5) / n
    drawn, _ = draw(model, noise, np.ones(n, "float32"), state)
    codes = ops.convert_to_numpy(drawn)[:, 0].astype(int)
    counts = np.bincount(codes, minlength=model.codec.levels)
    longer = np.pad(values, ((0, 0), (0, model.frame)))
    prediction, _ = model(window_of(model, longer), model.zero_state(1))
    p = ops.convert_to_numpy(ops.softmax(prediction[0, 3 * model.frame]))
    assert np.abs(counts - n * p).max() <= 1.5


@pytest.mark.slow
def test_many_short_calls_are_one_long_one(model):
    """Pitfall 21: all that goes on from call to call is in the state; of the representatives, also
    in test_exporting.py."""
    F, rows = model.frame, 2
    forced = audio_of(model, rows, 2 * F)
    noise, ones = noise_of(model, rows, 2 * F), np.ones(rows, "float32")
    whole, end = advance(model, forced, noise, ones, fresh_state(model, rows))
    state, parts = fresh_state(model, rows), []
    for t in range(0, forced.shape[1], F):
        silent, state = advance(model, forced[:, t : t + F], noise[:, :0], ones, state)
        assert silent.shape == (rows, 0)
    for t in range(0, noise.shape[1], F):
        audio, state = advance(model, forced[:, :0], noise[:, t : t + F], ones, state)
        parts.append(audio)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)
    same_state(state, end)


def test_frames_give_their_number_of_samples_and_decoded_audio(model):
    """Pitfalls 15 and 18: N frames are N * F samples, and the codec's scale is put back."""
    rows, N = 2, 3 * model.frame
    noise, ones = noise_of(model, rows, N), np.ones(rows, "float32")
    values, state = draw(model, noise, ones, fresh_state(model, rows))
    audio, _ = advance(model, np.zeros((rows, 0), "float32"), noise, ones, fresh_state(model, rows))
    assert audio.shape == values.shape == (rows, N)
    expected = model.codec.decode(ops.convert_to_numpy(values))
    np.testing.assert_allclose(audio, expected, atol=1e-6)
    # The history's end is what was drawn last: samples in order, each once.
    if not hasattr(model.head, "postfilter"):
        np.testing.assert_array_equal(state[HISTORY][:, -model.frame :], values[:, -model.frame :])


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("predictive")])
def test_the_output_is_filtered_and_the_history_is_not(name):
    """Frame by frame with the filters of their indices, of which one turns into the next."""
    model = make(name)
    head, rows, frames = model.head, 2, 6
    F, width = head.frame_size, head.postfilter.length
    filters = np.array(ops.convert_to_numpy(head.postfilter.taps))
    N = -(-frames * F // model.frame) * model.frame
    noise, ones = noise_of(model, rows, N), np.ones(rows, "float32")
    output, end = draw(model, noise, ones, fresh_state(model, rows))
    _, same = draw(unfiltered(model), noise, ones, fresh_state(model, rows))
    same_state(end, same)
    if model.frame > F:  # of two frames in a step only the second one's filter is known
        return
    state = fresh_state(model, rows)
    indices, past = [np.zeros((rows, head.filters))], [np.zeros((rows, width - 1))]
    for n in range(0, N, F):
        _, state = draw(model, noise[:, n : n + F], ones, state)
        codes = ops.convert_to_numpy(state["head_codes"])
        indices.append(codes[:, head.codebook_size : head.codebook_size + head.filters])
        past.append(ops.convert_to_numpy(state[HISTORY])[:, -F:])
    past = np.concatenate(past, axis=1)
    share = (np.arange(F) + 0.5) / F
    for row in range(rows):
        for t in range(N // F):
            seen = past[row, t * F : t * F + width - 1 + F]
            before, after = (
                np.convolve(seen, v[row] @ filters, "valid") for v in indices[t : t + 2]
            )
            expected = np.clip((1 - share) * before + share * after, -1, 1)
            np.testing.assert_allclose(output[row, t * F : (t + 1) * F], expected, atol=1e-5)
    assert len({int(v[0].argmax()) for v in indices[1:]}) > 1  # or no filter ever turns


def test_every_sample_of_a_seed_counts(model):
    """Pitfall 16: the seed is read whole, its first sample too.

    A tier that reads codes reads frames: there all samples of one are made quiet together.
    """
    P, several = 4 * model.frame, model.frame if model.tiers[-1].code_width else 1
    forced = audio_of(model, 1, P)
    n = P // several
    rows = np.repeat(forced, n + 1, axis=0)
    rows[:n] *= np.repeat(1 - 0.95 * np.eye(n, dtype="float32"), several, axis=1)
    nothing = noise_of(model, n + 1, 0)
    ones, state = np.ones(n + 1, "float32"), fresh_state(model, n + 1)
    _, state = compiled(model)(rows, nothing, ones, state)
    values = np.concatenate([ops.convert_to_numpy(v) for v in state.values()], axis=1)
    distance = np.abs(values[:-1] - values[-1]).max(axis=1)
    loud = np.abs(forced.reshape(n, several)).max(axis=1) > 0.1
    assert loud.any()
    assert (distance[loud] > 1e-7).all(), np.flatnonzero(distance <= 1e-7)


def test_streams_do_not_affect_each_other(model):
    """Pitfall 8: each row has its own state, noise and temperature."""
    F, rows = model.frame, 3
    forced, noise = audio_of(model, rows, F), noise_of(model, rows, F)
    temperature = np.array([0.5, 1.0, 2.0], "float32")
    advance = compiled(model)
    together, _ = advance(forced, noise, temperature, fresh_state(model, rows))
    for row in (0, 2):
        only = slice(row, row + 1)
        given = (forced[only], noise[only], temperature[only])
        alone, _ = advance(*given, fresh_state(model, 1))
        np.testing.assert_allclose(together[only], alone, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1 - 2.0**-24])
def test_extreme_noise_draws_no_code_that_is_next_to_impossible(value):
    model = make("gru")
    bias = np.zeros(16, "float32")
    bias[:4] = bias[-4:] = -40.0
    model.head.logits.bias.assign(bias)
    noise = np.full((20, model.frame, 1), value, "float32")
    drawn, _ = draw(model, noise, np.ones(20, "float32"), fresh_state(model, 20))
    drawn = ops.convert_to_numpy(drawn)
    assert drawn.min() >= 4
    assert drawn.max() <= 11
    assert 0 < LEAST_NOISE < 2.0**-24
