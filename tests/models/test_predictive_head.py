"""The predictive head: its density, its draws and what it hears agree with each other."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_rawaudio.errors import UserError
from keras_rawaudio.models.filter_bank import FLOOR
from keras_rawaudio.models.heads import PredictiveHead, predictive
from keras_rawaudio.models.voices import GAINS, Voices

LEVELS, WORDS, FRAME, WIDTH = 64, 8, 32, 5
FILTERS = 3
SMALL = {"words": WORDS, "filters": FILTERS, "order": 16, "bunch": 8}
SMALL |= {"width": 8, "mixtures": 2, "levels": LEVELS}


def make(sure=False, **options):
    """A head whose weights are far from their start; `sure`: one word and one voice for all it
    hears and draws, the word louder than any audio, and gains that all mean the same."""
    keras.utils.set_random_seed(0)
    head = PredictiveHead(**{**SMALL, **options})
    head.build_for(WIDTH, FRAME)
    rng = np.random.default_rng(0)
    for weight in head.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.1 * rng.normal(size=weight.shape))
    head.bank.set_filters(rng.normal(size=(head.filters, head.order)) / head.order)
    head.outline.fit([rng.uniform(-0.1, 0.1, 4000).astype("float32")])
    if sure:
        head.outline.vocabulary.assign([[1.0] * 22] + [[100.0] * 22] * (WORDS - 1))
        head.outline.prediction.bias.assign([0.0] + [-1e3] * (WORDS - 1))
        head.voices.voice.bias.assign([0.0] + [-1e3] * (head.filters - 1))
        head.voices.size = lambda gain: 0.03 * ops.sum(gain, axis=-1, keepdims=True)
        good = rng.normal(size=head.order) / head.order
        bad = 30 * rng.normal(size=(head.filters - 1, head.order))
        head.bank.set_filters(np.concatenate([good[None], bad]))
    return head


@pytest.fixture
def unled(monkeypatch):
    """Draws that are not led to the level of their word."""
    monkeypatch.setattr(predictive, "LEAD", 0.0)


def audio(samples, rows=1, seed=1):
    x = np.random.default_rng(seed).uniform(-0.1, 0.1, (rows, samples))
    return x.astype("float32")


def spoken(frames, rows=1, seed=2):
    return np.random.default_rng(seed).normal(size=(rows, frames, WIDTH)).astype("float32")


def fresh(head, rows=1):
    return [ops.zeros((rows, *shape)) for _, shape in head.state_spec()]


def numbers(x):
    return ops.convert_to_numpy(x)


def called(head, x, conditioning, state=None):
    """What is said of all that follows the context in `x`, and the state after it."""
    prediction, state = head(x[:, :-1], conditioning, state or fresh(head, len(x)))
    return numbers(prediction), state


def draw(head, past, conditioning, noise, temperature=1 / predictive.SAMPLES, state=None):
    """A frame `(B, frame)` after `past (B, context)`, and the state. The temperature, unless told
    otherwise, is that at which samples are drawn as the likelihood has them."""
    rows = len(noise)
    chance = head.prepare_noise(noise, np.full((rows, 1, 1), temperature, "float32"))
    frame, state = head.draw(past, conditioning, chance, state or fresh(head, rows))
    return numbers(frame), state


def uniform(head, rows, seed=3):
    return np.random.default_rng(seed).random((rows, FRAME, head.noise_per_sample), "float32")


def cells():
    """The middle of every mu-law cell."""
    companded = 2 * np.arange(LEVELS) / (LEVELS - 1) - 1
    middles = np.sign(companded) * np.expm1(np.abs(companded) * np.log(LEVELS)) / (LEVELS - 1)
    return middles.astype("float32")


def softmax(logits):
    p = np.exp(logits.astype("float64"))
    return p / p.sum(axis=-1, keepdims=True)


def mass_of_cells(head, prediction):
    """Of one sample, `(levels,)`, without what the word costs."""
    repeated = np.repeat(prediction[None, None], LEVELS, axis=1)
    nats = numbers(head.loss(repeated, cells()[None]))[0]
    return np.exp(prediction[2] - nats)


# The density


@pytest.mark.parametrize("sample", [0, 7, 8, 31, 40])
def test_the_mass_of_all_cells_is_one(sample):
    head = make()
    prediction, _ = called(head, audio(head.context + 2 * FRAME), spoken(2))
    mass = mass_of_cells(head, prediction[0, sample])
    assert mass.sum() == pytest.approx(1.0, abs=1e-4)
    assert mass.min() >= 0.9 * 1e-3 / LEVELS


def errors_by_frame(head, x):
    """Mean sizes of each filter's errors in whole frames from the end of `x` back, without the
    last sample of each: `(B, frames, filters)`."""
    frames = (x.shape[1] - head.order) // FRAME
    x = x[:, x.shape[1] - head.order - frames * FRAME :].astype("float64")
    past = np.lib.stride_tricks.sliding_window_view(x[:, :-1], head.order, axis=1)[..., ::-1]
    error = np.abs(x[:, head.order :, None] - past @ numbers(head.bank.taps).T)
    return error.reshape(len(x), frames, FRAME, -1)[:, :, :-1].mean(axis=2)


def test_what_is_said_of_a_frame_is_paid_for_by_its_samples():
    """Word, voice and gain together cost what the softmaxes say of the word that the frame is
    heard as, of the filter that has predicted it and the frame before best, and of its errors."""
    head, frames = make(), 12
    x, conditioning = audio(head.context + frames * FRAME), spoken(frames)
    x *= np.geomspace(0.1, 10, x.shape[1]).astype("float32")
    prediction, state = called(head, x, conditioning)
    costs = prediction[0, :, 2].reshape(frames, FRAME)
    np.testing.assert_array_equal(costs, np.repeat(costs[:, :1], FRAME, axis=1))
    first = head.context - FRAME - 1
    words = numbers(head.outline.word(head.outline.describe(x[:, first:-1])))[0]
    sizes = np.log(errors_by_frame(head, x)[0, -frames - 1 :] + FLOOR)
    best = (sizes[1:] + sizes[:-1]).argmin(axis=1)
    voices = np.eye(FILTERS)[best]
    known = np.linspace(np.log(FLOOR), 0, GAINS)
    gains = np.abs(sizes[1:][np.arange(frames), best, None] - known).argmin(axis=1)
    np.testing.assert_allclose(prediction[0, ::FRAME, 1], np.exp(known[gains]), rtol=1e-5)
    gains = np.eye(GAINS)[gains]
    for said in (words, voices, gains):
        assert len(np.unique(said.argmax(axis=1))) > 1
    heeded = np.concatenate([voices, gains], axis=1)
    logits = numbers(head.outline.prediction(conditioning))[0] + heeded @ numbers(
        head.voices.fitting
    )
    expected = (softmax(logits) * words).sum(axis=1)
    expected *= (softmax(numbers(head.voices.voice(conditioning))[0]) * voices).sum(axis=1)
    of_voice = np.concatenate([conditioning[0], voices], axis=1).astype("float32")
    expected *= (softmax(numbers(head.voices.gain(of_voice))) * gains).sum(axis=1)
    np.testing.assert_allclose(np.exp(-costs.sum(axis=1)), expected, rtol=1e-4)
    np.testing.assert_array_equal(state[-1][0], np.concatenate([words, heeded], axis=1)[-1])


def test_given_its_word_a_sample_is_predicted_from_what_was_before_it():
    """A prediction rests on all samples before it, the mixture on those before its 8."""
    head, N = make(sure=True), 2 * FRAME
    for layer in (head.network.entry, *head.network.hidden):
        layer.bias.assign(ops.ones_like(layer.bias))  # nothing asleep
    base = audio(head.context + N)
    x = np.repeat(base, N + 1, axis=0)
    x[np.arange(N), head.context + np.arange(N)] += 0.2
    prediction, _ = called(head, x, np.repeat(spoken(2), N + 1, axis=0))
    changed = np.abs(prediction[:-1] - prediction[-1]) > 2e-6
    t = np.arange(N)
    assert not changed[..., 0][t[:, None] >= t].any()
    assert changed[t[:-1], t[1:], 0].all(), "the sample before is not used"
    step, after = t[:, None] // 8, t // 8
    assert not changed[..., 1:][step >= after].any()
    used = changed[..., 3:].any(axis=-1)
    assert used[step + 1 == after].all(), "the 8 samples before are not used"


def test_nothing_that_is_said_tells_the_last_sample_of_its_frame():
    """That sample is not known when a window is read: it counts from the next frame on."""
    head, frames = make(), 4
    base = audio(head.context + frames * FRAME)
    conditioning = np.repeat(spoken(frames), frames, axis=0)
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
    """Pitfall 21: what is heard goes on through the state."""
    head, T = make(), 2
    x, conditioning = audio(head.context + 2 * T * FRAME, rows=2), spoken(2 * T, rows=2)
    whole, end = called(head, x, conditioning)
    first, state = called(head, x[:, : head.context + T * FRAME], conditioning[:, :T])
    second, state = called(head, x[:, T * FRAME :], conditioning[:, T:], state)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-5)
    same(state, end)


def test_frames_that_are_heard_leave_the_state_of_a_window():
    """Pitfall 17: reading frame by frame is what training does."""
    head, T = make(), 4
    x, conditioning = audio(head.context + T * FRAME, rows=2), spoken(T, rows=2)
    _, expected = called(head, x, conditioning)
    state = fresh(head, 2)
    for t in range(T):
        begin, end = t * FRAME, head.context + t * FRAME
        given = x[:, end : end + FRAME]
        state = head.listen(x[:, begin:end], conditioning[:, t], given, state)
    same(state, expected)


def test_what_was_said_before_is_that_of_the_frames_before():
    head, T = make(), 5
    x = audio(head.context + T * FRAME)
    before = numbers(head.said_before(x[:, :-1]))[0]
    assert before.shape == (T, WORDS + FILTERS + GAINS)
    for t in range(T):
        _, state = called(head, x[:, : head.context + (t + 1) * FRAME], spoken(t + 1))
        if t + 1 < T:
            np.testing.assert_array_equal(before[t + 1], state[-1][0])


# Draws


def test_draws_fall_into_cells_as_the_loss_says(unled):
    """The first sample of a frame, from many draws."""
    head, n = make(sure=True), 20_000
    x, conditioning = audio(head.context + FRAME), spoken(1)
    prediction, _ = called(head, x, conditioning)
    past = np.repeat(x[:, : head.context], n, axis=0)
    drawn, _ = draw(head, past, np.repeat(conditioning[:, 0], n, axis=0), uniform(head, n))
    # Cells are even in the companded value, so a border lies halfway between two of them there.
    companded = 2 * (np.arange(1, LEVELS) - 0.5) / (LEVELS - 1) - 1
    edges = np.sign(companded) * np.expm1(np.abs(companded) * np.log(LEVELS)) / (LEVELS - 1)
    share = np.bincount(np.searchsorted(edges, drawn[:, 0]), minlength=LEVELS) / n
    assert (share > 0.01).sum() > 3, "spread over too few cells to tell anything"
    np.testing.assert_allclose(share, mass_of_cells(head, prediction[0, 0]), atol=0.012)


@pytest.mark.parametrize("bunch", [8, 16])
def test_every_sample_of_a_frame_is_drawn_from_what_is_predicted_of_it(bunch, unled):
    """The probability of what lies below a draw is uniform, wherever in the frame it stands."""
    head, n = make(sure=True, bunch=bunch), 1000
    head.voices.size = lambda gain: (
        0.01 * ops.sum(gain, axis=-1, keepdims=True)
    )  # far from the rails
    head.bank.taps.assign(np.concatenate([head.bank.taps[:1], 100 * head.bank.taps[1:]]))
    head.network.mixture.kernel.assign(0.3 * head.network.mixture.kernel)
    x, conditioning = audio(head.context + FRAME, rows=n), spoken(1, rows=n)
    before, given, past = x[:, : head.context], x[:, head.context :], x[:, FRAME:]
    state = head.listen(before, conditioning[:, 0], given, fresh(head, n))
    drawn, after = draw(head, past, conditioning[:, 0], uniform(head, n), state=state)
    assert np.abs(drawn).max() < 1
    both = np.concatenate([past, drawn], axis=1)
    prediction, expected = called(head, both, conditioning, state)
    for a, b in zip(after[:-1], expected[:-1], strict=True):  # the word is what was said
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    p, g = prediction[..., :1], prediction[..., 1:2]
    delta, scales, logits = np.split(prediction[..., 3:].astype("float64"), 3, axis=-1)
    weights = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    z = (drawn[..., None] - p - g * delta) / (g * np.exp(np.clip(scales, -5, 4)))
    below = (weights / (1 + np.exp(-z))).sum(axis=-1)
    for step in np.split(below, head.steps, axis=1):
        assert stats.kstest(step.ravel(), "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(below.T) - np.eye(FRAME)).max() < 0.15


def test_what_is_drawn_to_be_said_is_told_and_kept():
    """From the tier's softmaxes: the voice, the gain of that voice, the word of both; the samples
    are drawn to fit."""
    head, n = make(), 8000
    head.voices.fitting.assign(3 * numbers(head.voices.fitting))
    past, conditioning = audio(head.context), spoken(1)[:, 0]
    rows = (np.repeat(v, n, axis=0) for v in (past, conditioning))
    frames, state = draw(head, *rows, uniform(head, n), temperature=1.0)
    word, voice, gain = np.split(numbers(state[-1]), [WORDS, WORDS + FILTERS], axis=1)
    p = softmax(numbers(head.voices.voice(conditioning))[0])
    np.testing.assert_allclose(voice.mean(axis=0), p, atol=0.03)
    for k, one in enumerate(np.eye(FILTERS, dtype="float32")):
        of_voice = np.concatenate([conditioning, one[None]], axis=1)
        share = gain[voice[:, k] == 1].mean(axis=0)
        np.testing.assert_allclose(
            share, softmax(numbers(head.voices.gain(of_voice))[0]), atol=0.05
        )
    heeded = np.concatenate([voice, gain], axis=1)
    logits = numbers(head.outline.prediction(conditioning)) + heeded @ numbers(head.voices.fitting)
    np.testing.assert_allclose(word.mean(axis=0), softmax(logits).mean(axis=0), atol=0.03)
    # The same chance for the samples, another word, voice or gain: another frame.
    wanted = [np.eye(n)[[0, 1, 0, 0]] for n in (WORDS, FILTERS, GAINS)]
    wanted[1], wanted[2] = np.roll(wanted[1], 1, axis=0), np.roll(wanted[2], 2, axis=0)
    noise = np.repeat(uniform(head, 1), 4, axis=0)
    for place, which in zip((-3, -1, -2), (wanted[0], wanted[2], wanted[1]), strict=True):
        noise[:, : which.shape[1], place] = 0.01 + 0.98 * which
    for layer in (head.outline.prediction, head.voices.voice, head.voices.gain):
        layer.bias.assign(ops.zeros_like(layer.bias))
    head.voices.gain.kernel.assign(ops.zeros_like(head.voices.gain.kernel))
    head.voices.fitting.assign(ops.zeros_like(head.voices.fitting))
    rows = (np.repeat(v, 4, axis=0) for v in (past, 0 * conditioning))
    frames, state = draw(head, *rows, noise)
    np.testing.assert_array_equal(state[-1], np.concatenate(wanted, axis=1))
    assert len(np.unique(frames.round(5), axis=0)) == len(
        np.unique(np.concatenate(wanted, 1), axis=0)
    )


def test_a_frame_is_drawn_with_the_filter_of_its_voice_alone(unled):
    """Nothing drawn: the frame is what that filter makes of the past, sample after sample."""
    for k in range(FILTERS):
        head = make()
        head.reach.assign([0.0])
        head.voices.voice.bias.assign(1e3 * np.eye(FILTERS)[k])
        past = audio(head.context)
        drawn, _ = draw(head, past, spoken(1)[:, 0], uniform(head, 1))
        x, taps = past[0].astype("float64"), numbers(head.bank.taps)[k]
        for _ in range(FRAME):
            x = np.append(x, taps @ x[::-1][: head.order])
        np.testing.assert_allclose(drawn[0], x[-FRAME:], atol=1e-6)


def quiet_net(word_level):
    """A head that draws about zero whatever it hears, for one word of this loudness."""
    head = make(sure=True)
    head.bank.set_filters(np.zeros((head.filters, head.order)))
    for layer in (head.network.entry, head.network.mixture):
        layer.kernel.assign(ops.zeros_like(layer.kernel))
    head.outline.vocabulary.assign([[word_level] * 22] * WORDS)
    head.voices.size = lambda gain: 1e-3 * ops.sum(gain, axis=-1, keepdims=True)
    return head


@pytest.mark.parametrize(
    ("wanted", "factor"), [(1.0, 1.0), (4.0, 1.0), (0.5, 0.5), (0.3, 0.3), (0.01, np.exp(-1.5))]
)
def test_what_is_louder_than_its_word_draws_as_much_quieter(wanted, factor, unled):
    """`wanted` times the loudness of the last 64 samples; a level is half a log of amplitude."""
    loud = quiet_net(1.0)
    past = audio(loud.context)
    level = np.log(np.mean(np.square(past[:, -64:]))) / 4
    head = quiet_net(level + np.log(wanted) / 2)
    free, _ = draw(loud, past, spoken(1)[:, 0], uniform(loud, 1))
    drawn, _ = draw(head, past, spoken(1)[:, 0], uniform(head, 1))
    np.testing.assert_allclose(drawn[:, :8], factor * free[:, :8], rtol=2e-3)


@pytest.mark.parametrize(
    ("wanted", "factor"), [(1.0, 1.0), (1.5, 1.5**0.05), (0.8, 0.8**0.05), (50, 1.05), (0.02, 0.95)]
)
def test_what_rings_is_led_to_the_level_of_its_word(wanted, factor, monkeypatch):
    """A twentieth of the way in a turn, at most by a twentieth; here nothing is drawn."""
    past, turn = audio(make().context), 8
    level = np.log(np.mean(np.square(past[:, -64:]))) / 4 + np.log(wanted) / 2
    frames = []
    for lead in (predictive.LEAD, 0.0):
        monkeypatch.setattr(predictive, "LEAD", lead)
        head = quiet_net(level)
        head.bank.set_filters(np.repeat(np.eye(head.order)[turn - 1 : turn], FILTERS, axis=0))
        head.reach.assign([0.0])
        frames.append(draw(head, past, spoken(1)[:, 0], uniform(head, 1))[0][:, :turn])
    if wanted > 0.1:  # else no turn may be as loud as that
        np.testing.assert_allclose(frames[1], past[:, -turn:], atol=1e-6)
    np.testing.assert_allclose(frames[0], factor * frames[1], rtol=1e-4)


def test_where_temperature_one_is_asked_for_there_is_a_little_less_chance():
    """Of each kind its own: what the likelihood has is at one over it."""
    head = make()
    noise = uniform(head, 1)
    whole, given = (
        numbers(head.prepare_noise(noise, np.full((1, 1, 1), t, "float32"))) for t in (1.0, 2.0)
    )
    np.testing.assert_allclose(given, 2 * whole, rtol=1e-6)
    u = noise.astype("float64")
    expected = predictive.SAMPLES * np.log(u[..., -4] / (1 - u[..., -4]))
    np.testing.assert_allclose(whole[..., -4], expected, rtol=1e-3, atol=1e-5)
    for places, own in ((slice(0, -4), predictive.SAMPLES), (slice(-3, None), 1.0)):
        gumbel = -own * np.log(-np.log(u[..., places]))
        np.testing.assert_allclose(whole[..., places], gumbel, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1 - 2.0**-24])
def test_no_draw_goes_out_of_reach(value, unled):
    """Whatever noise and temperature: within `reach` of the prediction, and within the rails."""
    head = make(sure=True)
    past, conditioning = audio(head.context), spoken(1)
    noise = np.full((1, FRAME, head.noise_per_sample), value, "float32")
    for reach in (0.05, 0.02):
        head.reach.assign([reach])
        drawn, _ = draw(head, past, conditioning[:, 0], noise, temperature=20.0)
        prediction, _ = called(head, np.concatenate([past, drawn], axis=1), conditioning)
        offset = drawn - prediction[..., 0]
        assert np.abs(offset).max() == pytest.approx(reach, abs=1e-5)
    head.reach.assign([50.0])
    drawn, _ = draw(head, past, conditioning[:, 0], noise, temperature=1e4)
    assert np.abs(drawn).max() == 1.0


def test_gains_stand_for_even_steps_of_loudness():
    sizes = numbers(Voices.size(np.eye(GAINS, dtype="float32")))[:, 0]
    assert (sizes[0], sizes[-1]) == pytest.approx((FLOOR, 1.0))
    np.testing.assert_allclose(np.diff(20 * np.log10(sizes)), 80 / 31, rtol=1e-4)


def test_a_draw_lies_from_its_prediction_as_far_as_its_gain_says(unled):
    past, conditioning, noise = audio(make().context), spoken(1)[:, 0], uniform(make(), 1)
    distances = []
    for place in (6, 10):
        head = make(sure=True)
        del head.voices.size
        head.voices.gain.bias.assign(1e3 * np.eye(GAINS)[place])
        drawn, _ = draw(head, past, conditioning, noise)
        prediction, _ = called(head, np.concatenate([past, drawn], axis=1), conditioning[:, None])
        distances.append(np.abs(drawn - prediction[..., 0])[:, :8])
    ratio = 10 ** (4 * 80 / 31 / 20)
    assert np.median(distances[1] / distances[0]) == pytest.approx(ratio, rel=0.3)


def test_a_low_temperature_stays_near_the_likeliest_mean():
    head, n = make(sure=True), 50
    past, conditioning = (np.repeat(v, n, axis=0) for v in (audio(head.context), spoken(1)[:, 0]))
    cold, warm = (draw(head, past, conditioning, uniform(head, n), T)[0] for T in (0.01, 1.0))
    assert np.ptp(cold[:, 0]) < 0.1 * np.ptp(warm[:, 0])


@pytest.mark.parametrize("value", [0.0, 1 - 2.0**-24])
def test_extreme_noise_gives_finite_samples(value):
    head = make()
    for place in range(head.noise_per_sample):
        noise = np.full((1, FRAME, head.noise_per_sample), 0.5, "float32")
        noise[..., place] = value
        drawn, state = draw(head, audio(head.context), spoken(1)[:, 0], noise)
        assert np.isfinite(drawn).all()
        assert numbers(state[-1]).sum() >= 1


# Fitting


@pytest.fixture
def few_stretches(monkeypatch):
    """Limits from little audio: as good for audio that is the same throughout."""
    monkeypatch.setattr(predictive, "STRETCHES", 3)
    monkeypatch.setattr(predictive, "STRETCH", 2048)


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
    head = PredictiveHead(**SMALL)
    head.build_for(WIDTH, FRAME)
    x, conditioning = audio(head.context + 4 * FRAME), spoken(4)
    repeated = called(head, x, conditioning)[0][..., 0]
    np.testing.assert_allclose(repeated, x[:, head.context - 1 : -1], atol=1e-4)
    piece = autoregressive(12_000)
    head.fit([piece])
    x = piece[None, 6000 : 6000 + head.context + 4 * FRAME]
    error = x[:, head.context :] - called(head, x, conditioning)[0][..., 0]
    assert np.sqrt(np.mean(error**2)) == pytest.approx(0.01, rel=0.2)


def test_the_reach_is_the_train_parts_quantile(few_stretches):
    head = PredictiveHead(**SMALL)
    head.build_for(WIDTH, FRAME)
    head.fit([(0.01 * np.random.default_rng(0).normal(size=8000)).astype("float32")])
    # White noise is predicted by about nothing: its own sizes are what is left.
    assert float(head.reach.value[0]) == pytest.approx(0.01 * 3.02, rel=0.1)


@pytest.mark.filterwarnings("ignore:One of the clusters is empty", "ignore:invalid value")
def test_silence_fits_too(few_stretches):
    head = PredictiveHead(**SMALL)
    head.build_for(WIDTH, FRAME)
    head.fit([np.zeros(4000, "float32")])
    assert float(head.reach.value[0]) == pytest.approx(FLOOR)
    assert all(np.isfinite(numbers(weight)).all() for weight in head.weights)


def test_audio_that_is_too_short_is_one_clear_error():
    head = PredictiveHead(**SMALL)
    head.build_for(WIDTH, FRAME)
    for segments in ([autoregressive(100)], [autoregressive(100)] * 40, [autoregressive(1)]):
        with pytest.raises(UserError, match="too short for linear prediction of order 16"):
            head.fit(segments)


def test_dropout_is_for_training_alone():
    """Pitfall 11."""
    head = make(dropout=0.5)
    x, conditioning = audio(head.context + FRAME), spoken(1)
    calm, _ = called(head, x, conditioning)
    np.testing.assert_array_equal(called(head, x, conditioning)[0], calm)
    shaken, again = (
        numbers(head(x[:, :-1], conditioning, fresh(head), training=True)[0]) for _ in range(2)
    )
    assert np.abs(shaken - calm).max() > 1e-4
    assert np.abs(shaken - again).max() > 1e-4


def test_what_was_fitted_is_saved():
    """Pitfall 14: filters, words and reach are weights that travel with the model."""
    head = make()
    fitted = [head.bank.taps, head.outline.vocabulary, head.reach]
    assert {id(w) for w in fitted} <= {id(w) for w in head.non_trainable_weights}
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
    again.build_for(WIDTH, FRAME)
    again.set_weights(head.get_weights())
    x, conditioning = audio(head.context + FRAME), spoken(1)
    expected, _ = called(head, x, conditioning)
    np.testing.assert_array_equal(called(again, x, conditioning)[0], expected)


@pytest.mark.parametrize("frame", [20, 24, 33])
def test_frames_that_do_not_fit_are_refused(frame):
    head = PredictiveHead(**SMALL)
    with pytest.raises(ValueError, match=f"multiple of 8 and 32 samples or more, not {frame}"):
        head.build_for(WIDTH, frame)


def test_impossible_heads_are_refused():
    for options in ({"layers": 0}, {"mixtures": 0}):
        with pytest.raises(ValueError, match=">= 1"):
            PredictiveHead(**options)
    with pytest.raises(ValueError, match="33 words and 32 samples"):
        PredictiveHead(**{**SMALL, "words": 33}).build_for(WIDTH, FRAME)
    with pytest.raises(ValueError, match="frame of 32 samples has no more voices"):
        PredictiveHead(**{**SMALL, "filters": 33}).build_for(WIDTH, FRAME)
