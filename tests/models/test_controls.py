"""Controls: each does what it says, and at their defaults nothing changes."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.generation import fresh_state
from keras_rawaudio.generation.advance import paced_step, prepare_noise
from keras_rawaudio.models import SpectralModel
from keras_rawaudio.models.controls import LEVEL_SLEW_RATE, RAW_RATE, with_level
from keras_rawaudio.models.frame_codes import Codes
from keras_rawaudio.models.lpc_codes import NUM_GAINS

from ..small_models import compiled, make

RATE = 2000


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    model = SpectralModel(RATE, codebook_size=16, components=8, units=12, clock_harmonics=2)
    rng = np.random.default_rng(0)
    bursts = rng.normal(size=60000) * np.repeat(rng.random(600) ** 4, 100) / 3
    model.prepare([bursts.astype(np.float32)])
    return model


def decibels(value):
    return np.full((1, 1), value, np.float32)


def draw(model, state, blocks=4, seed=0):
    shape = (2, blocks * model.block, model.head.noise_per_sample)
    noise = np.random.default_rng(seed).random(shape).astype(np.float32)
    return compiled(model)(np.zeros((2, 0), np.float32), noise, np.ones(2, np.float32), state)


def turned(model, **controls):
    state = fresh_state(model, 2)
    return {**state, **{n: np.full((2, 1), v, np.float32) for n, v in controls.items()}}


def test_the_level_follows_by_a_slope():
    audio, gain = with_level(np.ones((1, 4000), np.float32), decibels(-20), decibels(0), 8000)
    level = 20 * np.log10(np.asarray(audio)[0])
    expected = np.maximum(-20, -LEVEL_SLEW_RATE * np.arange(1, 4001) / 8000)
    np.testing.assert_allclose(level, expected, atol=1e-3)
    assert float(gain[0][0]) == pytest.approx(-20)


@pytest.mark.parametrize("level", [-30.0, 5.0])
def test_the_level_does_not_depend_on_how_audio_is_cut(level):
    audio = np.random.default_rng(0).normal(size=(1, 900, 2)).astype(np.float32)
    whole, _ = with_level(audio, decibels(level), decibels(1), 8000)
    gain, parts = decibels(1), []
    for cut in np.split(audio, [0, 100, 357], axis=1):
        part, gain = with_level(cut, decibels(level), gain, 8000)
        parts.append(np.asarray(part))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_the_level_changes_nothing_but_the_level(model):
    plain, after = draw(model, turned(model))
    quiet, after_quiet = draw(model, turned(model, level=-6.0))
    settled = round(6 / LEVEL_SLEW_RATE * RATE) + 1
    np.testing.assert_allclose(
        quiet[:, settled:], 10 ** (-6 / 20) * plain[:, settled:], rtol=1e-3, atol=1e-6
    )
    np.testing.assert_array_equal(after["codes"], after_quiet["codes"])


@pytest.mark.parametrize("tempo", [0.5, 0.8, 1.0, 1.7, 2.0])
def test_tempo_is_how_fast_codes_are_drawn(model, tempo):
    """After eight blocks of audio the clock has turned as far as that many blocks of codes."""
    _, state = draw(model, turned(model, tempo=tempo), blocks=8)
    blocks = np.ceil(8 * tempo - 1e-3)
    turns = blocks * model.frame / float(model.prior.period)
    assert np.asarray(state["tier0_clock"])[0, 0] == pytest.approx(turns % 1, abs=1e-4)
    assert np.asarray(state["place"])[0, 0] == pytest.approx(3 - 4 * (blocks - 8 * tempo), abs=1e-4)


def test_each_stream_has_a_tempo_of_its_own(model):
    """A faster stream beside it moves no stream on."""
    tempos = [0.5, 2.0]
    state = {**turned(model), "tempo": np.float32([[tempo] for tempo in tempos])}
    _, both = draw(model, state, blocks=8)
    for row, tempo in enumerate(tempos):
        _, same = draw(model, turned(model, tempo=tempo), blocks=8)
        for name in ("codes", "place", "tier0_clock", "tier0_layer0_h"):
            np.testing.assert_allclose(both[name][row], same[name][row], atol=1e-5)


def test_at_half_the_tempo_every_other_frame_is_one_of_the_codes(model):
    decoder, codec = model.decoder, model.spectral_codec
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 16, (1, model.frame)).astype(np.float32)
    before = rng.integers(0, 16, (1, 2, model.frame)).astype(np.float32)
    spec = decoder.state_spec()
    waiting = [np.zeros((1, *spec[name][0]), np.float32) for name in ("magnitudes", "gains")]
    own, _ = codec.decode(codes.astype(np.int32))
    places, draws = decoder.pace(np.full((1, 1), 3.0), np.full((1, 1), 0.5))
    assert (np.asarray(places).tolist(), float(draws[0, 0])) == ([[-0.5, 0.0, 0.5, 1.0]], 1)
    magnitudes = np.asarray(decoder.hop_spectra(places, codes, before, *waiting)[0])[:, 0, -1]
    expected = [own[0, 0], (own[0, 0] + own[0, 1]) / 2, own[0, 1]]
    np.testing.assert_allclose(magnitudes[1:], expected, rtol=1e-6)
    places, _ = decoder.pace(np.full((1, 1), 3.0), np.full((1, 1), 0.5), drawn=0.0)
    np.testing.assert_array_equal(places, [[0, 1, 2, 3]])


def test_hold_keeps_codes_and_the_sound_goes_on(model):
    _, state = draw(model, turned(model))
    held = {**state, "hold": np.ones((2, 1), np.float32)}
    audio, after = draw(model, held, seed=1)
    for name in ("codes", *model.state_spec()):
        np.testing.assert_array_equal(after[name], state[name])
    assert np.std(np.asarray(audio)[:, -model.block :]) > 0
    _, moving = draw(model, state, seed=1)
    assert (np.asarray(moving["codes"]) != np.asarray(state["codes"])).any()


def test_hold_reads_on(model):
    """A prompt is read whole, also while the codes are held."""
    prompt = np.random.default_rng(2).normal(size=(2, 4 * model.block)).astype(np.float32) / 5
    none, one = np.zeros((2, 0, 1), np.float32), np.ones(2, np.float32)
    _, plain = compiled(model)(prompt, none, one, turned(model))
    _, held = compiled(model)(prompt, none, one, turned(model, hold=1.0))
    np.testing.assert_array_equal(plain["codes"], held["codes"])
    np.testing.assert_array_equal(plain["tier0_layer0_h"], held["tier0_layer0_h"])


def test_density_draws_codes_that_rise(model):
    strengths = [np.asarray(s) for s in model.spectral_codec.onset_strengths()]
    for each in strengths:
        assert each.mean() == pytest.approx(0, abs=1e-5)
    rows = 2000
    hidden, keys = ops.zeros((rows, 12)), model.sampler.drawing_keys()
    noise = np.random.default_rng(0).random((rows, model.frame)).astype(np.float32)
    means = []
    for density in (-2.0, 0.0, 2.0):
        state = {
            "codes": -np.ones((rows, model.frame), np.float32),
            "hold": np.zeros((rows, 1), np.float32),
            "density": np.full((rows, 1), density, np.float32),
        }
        codes = np.asarray(model.sampler.draw(hidden, noise, np.ones((rows, 1)), keys, state))
        means.append(np.mean([s[codes[:, band]].mean() for band, s in enumerate(strengths)]))
    assert means[0] < means[1] - 0.2
    assert means[2] > means[1] + 0.2


@pytest.fixture(scope="module")
def coded():
    return make("predictive, a clock, reads codes")


class TestFrameCodes:
    """The controls of a model whose tier reads the codes of frames, such as `raw`."""

    @pytest.mark.parametrize("tempo", [0.5, 0.75, 1.0, 1.75, 2.0])
    def test_tempo_is_how_fast_codes_are_drawn(self, coded, tempo):
        _, state = draw(coded, turned(coded, tempo=tempo), blocks=10)
        turns = np.ceil(10 * tempo) * coded.frame / float(coded.tiers[0].period[0])
        assert np.asarray(state["tier0_clock"])[0, 0] == pytest.approx(turns % 1, abs=1e-4)

    def test_at_tempo_one_the_place_stays(self, coded):
        """Not even rounded: an export takes no step there."""
        _, state = draw(coded, turned(coded, tempo=1.3))
        assert abs(float(np.asarray(state["place"])[0, 0])) > 0.1
        _, after = draw(coded, {**state, "tempo": np.ones((2, 1), np.float32)})
        np.testing.assert_array_equal(after["place"], state["place"])

    def test_hold_keeps_codes_and_the_sound_goes_on(self, coded):
        _, state = draw(coded, turned(coded))
        audio, after = draw(coded, {**state, "hold": np.ones((2, 1), np.float32)}, seed=1)
        for name in ("head_codes", "tier0_layer0_h", "tier0_clock"):
            np.testing.assert_array_equal(after[name], state[name])
        assert np.std(np.asarray(audio)) > 0
        _, moving = draw(coded, state, seed=1)
        assert (np.asarray(moving["head_codes"]) != np.asarray(state["head_codes"])).any()

    def test_density_draws_codes_that_rise(self, coded):
        """More of them than without, and fewer where it is less than 0; 0 changes no noise."""
        codes, rows = coded.head.codes, 2000
        rng = np.random.default_rng(0)
        one_hot = [np.eye(n)[rng.integers(0, n, rows)] for n in (codes.codebook_size, 3, NUM_GAINS)]
        before = Codes(*(each.astype(np.float32) for each in one_hot))
        noise = -np.log(-np.log(rng.random((rows, coded.frame, 3)))).astype(np.float32)
        h = ops.zeros((rows, codes.envelope.logits.kernel.shape[0]))
        rises, means = np.asarray(codes.envelope.rises()), []
        for density in (-2.0, 0.0, 2.0):
            turned = codes.favour_onsets(
                noise, before.joined(), np.full((rows, 1), density, np.float32)
            )
            drawn = codes.sample(h, turned)
            gains = (before.gain @ codes.lpc.rises() * np.asarray(drawn.gain)).sum(axis=1)
            own = (before.envelope @ rises * np.asarray(drawn.envelope)).sum(axis=1)
            means.append([gains.mean(), own.mean()])
        assert np.all(np.diff(means, axis=0) > 0)
        same = codes.favour_onsets(noise, before.joined(), np.zeros((rows, 1), np.float32))
        np.testing.assert_array_equal(same, noise)

    def test_at_the_highest_tempo_every_other_code_is_passed_over(self, coded):
        """The tier reads them all: it moves as far as in twice as many frames."""
        state = turned(coded, tempo=2.0)
        _, fast = draw(coded, state, blocks=1)
        head, tier = coded.head, coded.tiers[0]
        noise = np.random.default_rng(0).random((2, coded.frame, head.noise_per_sample))
        noise = prepare_noise(coded, noise.astype(np.float32), np.ones(2, np.float32))
        silence = head.codes.or_silence(state["head_codes"])
        output, once = tier.step(silence, None, coded.tier_state(0, state))
        _, twice = tier.step(head.draw_codes(output, noise[:, ::-1]), None, once)
        for name, value in coded.named_state(0, twice).items():
            np.testing.assert_allclose(fast[name], value, atol=1e-6)

    def test_each_stream_has_a_tempo_of_its_own(self, coded):
        """A faster stream beside it changes none."""
        state = {**turned(coded), "tempo": np.float32([[1.0], [2.0]])}
        audio, both = draw(coded, state, blocks=8)
        for row, tempo in enumerate((1.0, 2.0)):
            own, same = draw(coded, turned(coded, tempo=tempo), blocks=8)
            np.testing.assert_allclose(audio[row], own[row], atol=1e-5)
            for name in ("head_codes", "place", "tier0_clock", "tier0_layer0_h"):
                np.testing.assert_allclose(both[name][row], same[name][row], atol=1e-5)

    def test_a_second_step_is_for_rows_that_take_one(self, coded):
        """Onsets are favoured beside the codes of the frame before, or those passed over."""
        head, tier = coded.head, coded.tiers[0]
        noise = np.random.default_rng(0).random((2, coded.frame, head.noise_per_sample))
        noise = prepare_noise(coded, noise.astype(np.float32), np.ones(2, np.float32))
        before = coded.tier_state(0, turned(coded))
        codes = head.codes.or_silence(fresh_state(coded, 2)["head_codes"])
        output, after = tier.step(codes, None, before)
        density, twice = np.full((2, 1), 2, np.float32), np.float32([[0], [1]])
        favour = head.codes.favour_onsets
        passed = head.draw_codes(output, favour(noise[:, ::-1], codes, density))
        again, _ = tier.step(passed, None, after)
        chosen, favoured, _ = paced_step(
            coded, twice, np.zeros((2, 1), np.float32), density, output, noise, codes, before, after
        )
        for row, (step, of) in enumerate(((output, codes), (again, passed))):
            np.testing.assert_allclose(chosen[row], step[row], atol=1e-6)
            np.testing.assert_allclose(favoured[row], favour(noise, of, density)[row], atol=1e-6)

    @pytest.mark.slow
    def test_the_level_changes_nothing_but_the_level(self, coded):
        plain, _ = draw(coded, turned(coded), blocks=60)
        quiet, _ = draw(coded, turned(coded, level=-6.0), blocks=60)
        settled = round(6 / LEVEL_SLEW_RATE * RAW_RATE) + 1
        expected = 10 ** (-6 / 20) * np.asarray(plain)[:, settled:]
        np.testing.assert_allclose(quiet[:, settled:], expected, rtol=1e-3, atol=1e-6)
