"""What the predictive head draws is what it predicts, and keeps to its limits."""

import numpy as np
import pytest
from keras import ops
from scipy import stats

from keras_rawaudio.layers import lpc_filter_bank
from keras_rawaudio.models import level_control
from keras_rawaudio.models.lpc_codes import NUM_GAINS

from .conftest import (
    CODES,
    FILTERS,
    FRAME,
    LEVELS,
    audio,
    called,
    conditioning_of,
    draw,
    fresh,
    make,
    mass_of_cells,
    numbers,
    softmax,
    uniform,
)


def test_draws_fall_into_cells_as_the_loss_says(uncorrected):
    """The first sample of a frame, from many draws."""
    head, n = make(sure=True), 20_000
    x, conditioning = audio(head.context + FRAME), conditioning_of(1)
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
def test_every_sample_of_a_frame_is_drawn_from_what_is_predicted_of_it(bunch, uncorrected):
    """The probability of what lies below a draw is uniform, wherever in the frame it stands."""
    head, n = make(sure=True, bunch=bunch), 1000
    head.codes.lpc.decode = lambda gain: (
        0.01 * ops.sum(gain, axis=-1, keepdims=True)
    )  # far from the rails
    head.filter_bank.taps.assign(
        np.concatenate([head.filter_bank.taps[:1], 100 * head.filter_bank.taps[1:]])
    )
    head.network.mixture.kernel.assign(0.3 * head.network.mixture.kernel)
    x, conditioning = audio(head.context + FRAME, rows=n), conditioning_of(1, rows=n)
    before, given, past = x[:, : head.context], x[:, head.context :], x[:, FRAME:]
    state = head.observe_frame(before, conditioning, given, fresh(head, n))
    drawn, after = draw(head, past, conditioning[:, 0], uniform(head, n), state=state)
    assert np.abs(drawn).max() < 1
    both = np.concatenate([past, drawn], axis=1)
    prediction, expected = called(head, both, conditioning, state)
    for a, b in zip(after[:-1], expected[:-1], strict=True):  # the code is what was drawn
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
    p, g = prediction[..., :1], prediction[..., 1:2]
    delta, scales, logits = np.split(prediction[..., 3:].astype("float64"), 3, axis=-1)
    weights = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    z = (drawn[..., None] - p - g * delta) / (g * np.exp(np.clip(scales, -5, 4)))
    below = (weights / (1 + np.exp(-z))).sum(axis=-1)
    for step in np.split(below, head.subframes, axis=1):
        assert stats.kstest(step.ravel(), "uniform").pvalue > 1e-3
    assert np.abs(np.corrcoef(below.T) - np.eye(FRAME)).max() < 0.15


def test_codes_are_drawn_and_samples_follow_them():
    """From the tier's softmaxes: index, gain given it, envelope code given both; the samples
    are drawn to fit."""
    head, n = make(), 8000
    head.codes.lpc.code_bias.assign(3 * numbers(head.codes.lpc.code_bias))
    past, conditioning = audio(head.context), conditioning_of(1)[:, 0]
    rows = (np.repeat(v, n, axis=0) for v in (past, conditioning))
    frames, state = draw(head, *rows, uniform(head, n), temperature=1.0)
    code, index, gain = np.split(numbers(state[-1]), [CODES, CODES + FILTERS], axis=1)
    p = softmax(numbers(head.codes.lpc.index_logits(conditioning))[0])
    np.testing.assert_allclose(index.mean(axis=0), p, atol=0.03)
    for k, one in enumerate(np.eye(FILTERS, dtype="float32")):
        given_index = np.concatenate([conditioning, one[None]], axis=1)
        these = gain[index[:, k] == 1]
        p = softmax(numbers(head.codes.lpc.gain_logits(given_index))[0])
        # Three standard deviations of a share, at most.
        np.testing.assert_allclose(these.mean(axis=0), p, atol=1.5 / np.sqrt(len(these)))
    index_and_gain = np.concatenate([index, gain], axis=1)
    logits = numbers(head.codes.envelope.logits(conditioning)) + index_and_gain @ numbers(
        head.codes.lpc.code_bias
    )
    np.testing.assert_allclose(code.mean(axis=0), softmax(logits).mean(axis=0), atol=0.03)
    # The same noise for the samples, another code, index or gain: another frame.
    wanted = [np.eye(n)[[0, 1, 0, 0]] for n in (CODES, FILTERS, NUM_GAINS)]
    wanted[1], wanted[2] = np.roll(wanted[1], 1, axis=0), np.roll(wanted[2], 2, axis=0)
    noise = np.repeat(uniform(head, 1), 4, axis=0)
    for place, which in zip((-3, -1, -2), (wanted[0], wanted[2], wanted[1]), strict=True):
        noise[:, : which.shape[1], place] = 0.01 + 0.98 * which
    for layer in (
        head.codes.envelope.logits,
        head.codes.lpc.index_logits,
        head.codes.lpc.gain_logits,
    ):
        layer.bias.assign(ops.zeros_like(layer.bias))
    head.codes.lpc.gain_logits.kernel.assign(ops.zeros_like(head.codes.lpc.gain_logits.kernel))
    head.codes.lpc.code_bias.assign(ops.zeros_like(head.codes.lpc.code_bias))
    rows = (np.repeat(v, 4, axis=0) for v in (past, 0 * conditioning))
    frames, state = draw(head, *rows, noise)
    np.testing.assert_array_equal(state[-1], np.concatenate(wanted, axis=1))
    assert len(np.unique(frames.round(5), axis=0)) == len(
        np.unique(np.concatenate(wanted, 1), axis=0)
    )


def test_a_frame_is_drawn_with_the_filter_of_its_index_alone(uncorrected):
    """Nothing drawn: the frame is what that filter makes of the past, sample after sample."""
    for k in range(FILTERS):
        head = make()
        head.residual_limit.assign([0.0])
        head.codes.lpc.index_logits.bias.assign(1e3 * np.eye(FILTERS)[k])
        past = audio(head.context)
        drawn, _ = draw(head, past, conditioning_of(1)[:, 0], uniform(head, 1))
        x, taps = past[0].astype("float64"), numbers(head.filter_bank.taps)[k]
        for _ in range(FRAME):
            x = np.append(x, taps @ x[::-1][: head.lpc_order])
        np.testing.assert_allclose(drawn[0], x[-FRAME:], atol=1e-6)


def quiet_head(code_level):
    """A head that draws about zero whatever it reads, for one code of this loudness."""
    head = make(sure=True)
    head.filter_bank.set_filters(np.zeros((head.filters, head.lpc_order)))
    for layer in (head.network.entry, head.network.mixture):
        layer.kernel.assign(ops.zeros_like(layer.kernel))
    head.codes.envelope.codebook.assign([[code_level] * 22] * CODES)
    head.codes.lpc.decode = lambda gain: 1e-3 * ops.sum(gain, axis=-1, keepdims=True)
    return head


@pytest.mark.parametrize(
    ("wanted", "factor"),
    [(1.0, 1.0), (1.1, 1.1), (4.0, 1.25), (0.5, 0.5), (0.3, 0.3), (0.01, np.exp(-1.5))],
)
def test_draws_are_as_much_louder_or_quieter_as_the_code_is(
    wanted, factor, uncorrected, monkeypatch
):
    """`wanted` times the loudness of the last 64 samples; a level is half a log of amplitude."""
    monkeypatch.setattr(level_control, "MAX_EXCITATION_GAIN", 1.25)
    past = audio(make().context)
    level = np.log(np.mean(np.square(past[:, -64:]))) / 4
    just = quiet_head(level)
    head = quiet_head(level + np.log(wanted) / 2)
    free, _ = draw(just, past, conditioning_of(1)[:, 0], uniform(just, 1))
    drawn, _ = draw(head, past, conditioning_of(1)[:, 0], uniform(head, 1))
    np.testing.assert_allclose(drawn[:, :8], factor * free[:, :8], rtol=2e-3)


@pytest.mark.parametrize("wanted", [1.0, 1.5, 0.8, 50, 0.02])
def test_what_rings_is_moved_to_the_level_of_its_code(wanted, monkeypatch):
    """By the correction rate of the way per bunch, and at most by it; here nothing is drawn."""
    rate = level_control.LEVEL_CORRECTION_RATE
    factor = np.clip(wanted**rate, 1 - rate, 1 + rate)
    monkeypatch.setattr(lpc_filter_bank, "BANDWIDTH_EXPANSION", 0.0)
    past, bunch = audio(make().context), 8
    level = np.log(np.mean(np.square(past[:, -64:]))) / 4 + np.log(wanted) / 2
    frames = []
    for each in (rate, 0.0):
        monkeypatch.setattr(level_control, "LEVEL_CORRECTION_RATE", each)
        head = quiet_head(level)
        head.filter_bank.set_filters(
            np.repeat(np.eye(head.lpc_order)[bunch - 1 : bunch], FILTERS, axis=0)
        )
        head.residual_limit.assign([0.0])
        frames.append(draw(head, past, conditioning_of(1)[:, 0], uniform(head, 1))[0][:, :bunch])
    if wanted > 0.1:  # else no bunch may be as loud as that
        np.testing.assert_allclose(frames[1], past[:, -bunch:], atol=1e-6)
    np.testing.assert_allclose(frames[0], factor * frames[1], rtol=1e-4)


def test_noise_is_gumbel_and_logistic_times_the_temperature():
    head = make()
    noise = uniform(head, 1)
    whole, given = (
        numbers(head.prepare_noise(noise, np.full((1, 1, 1), t, "float32"))) for t in (1.0, 2.0)
    )
    np.testing.assert_allclose(given, 2 * whole, rtol=1e-6)
    u = noise.astype("float64")
    logistic = np.log(u[..., -4] / (1 - u[..., -4]))
    np.testing.assert_allclose(whole[..., -4], logistic, rtol=1e-3, atol=1e-5)
    for places in (slice(0, -4), slice(-3, None)):
        gumbel = -np.log(-np.log(u[..., places]))
        np.testing.assert_allclose(whole[..., places], gumbel, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1 - 2.0**-24])
def test_no_draw_exceeds_the_residual_limit(value, uncorrected):
    """Whatever noise and temperature: within `limit` of the prediction, and within the rails."""
    head = make(sure=True)
    past, conditioning = audio(head.context), conditioning_of(1)
    noise = np.full((1, FRAME, head.noise_per_sample), value, "float32")
    for limit in (0.05, 0.02):
        head.residual_limit.assign([limit])
        drawn, _ = draw(head, past, conditioning[:, 0], noise, temperature=20.0)
        prediction, _ = called(head, np.concatenate([past, drawn], axis=1), conditioning)
        offset = drawn - prediction[..., 0]
        assert np.abs(offset).max() == pytest.approx(limit, abs=1e-5)
    head.residual_limit.assign([50.0])
    drawn, _ = draw(head, past, conditioning[:, 0], noise, temperature=1e4)
    assert np.abs(drawn).max() == 1.0


def test_a_filter_that_does_not_match_rings_no_longer(monkeypatch):
    """What another filter has synthesized is a mismatch to it; its own is not, however loud, nor is
    what is as loud as its gain of the frame before."""
    levels = {}
    for gain in (12, 24):
        for damping in (0.0, 0.1):
            monkeypatch.setattr(lpc_filter_bank, "BANDWIDTH_EXPANSION", damping)
            head = make(sure=True)
            del head.codes.lpc.decode
            head.residual_limit.assign([0.0])
            resonance = np.zeros(head.lpc_order)
            resonance[:2] = 2 * 0.999 * np.cos(0.5), -(0.999**2)
            head.filter_bank.set_filters(np.tile(resonance, (FILTERS, 1)))
            head.codes.lpc.gain_logits.bias.assign(1e3 * np.eye(NUM_GAINS)[12])
            codes = np.zeros((1, head.code_width), "float32")
            codes[0, [0, CODES, CODES + FILTERS + gain]] = 1.0
            own = 0.1 * np.sin(0.5 * np.arange(head.context))[None].astype("float32")
            for name, past in (("own", own), ("mismatch", audio(head.context))):
                drawn, _ = draw(
                    head, past, conditioning_of(1)[:, 0], uniform(head, 1), state=[codes]
                )
                levels[name, gain, damping] = np.sqrt(np.mean(np.square(drawn)))
    assert levels["own", 12, 0.1] == pytest.approx(levels["own", 12, 0.0], rel=0.01)
    assert levels["mismatch", 12, 0.1] < 0.5 * levels["mismatch", 12, 0.0]
    assert levels["mismatch", 24, 0.1] == levels["mismatch", 24, 0.0]


def test_a_draw_lies_from_its_prediction_as_far_as_its_gain_says(uncorrected):
    past, conditioning, noise = audio(make().context), conditioning_of(1)[:, 0], uniform(make(), 1)
    distances = []
    for place in (6, 10):
        head = make(sure=True)
        del head.codes.lpc.decode
        head.codes.lpc.gain_logits.bias.assign(1e3 * np.eye(NUM_GAINS)[place])
        drawn, _ = draw(head, past, conditioning, noise)
        prediction, _ = called(head, np.concatenate([past, drawn], axis=1), conditioning[:, None])
        distances.append(np.abs(drawn - prediction[..., 0])[:, :8])
    ratio = 10 ** (4 * 80 / 31 / 20)
    assert np.median(distances[1] / distances[0]) == pytest.approx(ratio, rel=0.3)


def test_a_low_temperature_stays_near_the_likeliest_mean():
    head, n = make(sure=True), 50
    past, conditioning = (
        np.repeat(v, n, axis=0) for v in (audio(head.context), conditioning_of(1)[:, 0])
    )
    cold, warm = (draw(head, past, conditioning, uniform(head, n), T)[0] for T in (0.01, 1.0))
    assert np.ptp(cold[:, 0]) < 0.1 * np.ptp(warm[:, 0])


@pytest.mark.parametrize("value", [0.0, 1 - 2.0**-24])
def test_extreme_noise_gives_finite_samples(value):
    head = make()
    for place in range(head.noise_per_sample):
        noise = np.full((1, FRAME, head.noise_per_sample), 0.5, "float32")
        noise[..., place] = value
        drawn, state = draw(head, audio(head.context), conditioning_of(1)[:, 0], noise)
        assert np.isfinite(drawn).all()
        assert numbers(state[-1]).sum() >= 1
