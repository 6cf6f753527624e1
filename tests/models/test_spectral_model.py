"""The spectral model: what it reads, predicts, draws and plays."""

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.dsp.spectral_codebook import encode
from keras_rawaudio.generation import fresh_state
from keras_rawaudio.models.beats import NO_BEAT
from keras_rawaudio.models.clock import CLOCK
from keras_rawaudio.models.code_sampler import AGE
from keras_rawaudio.models.controls import HOLD
from keras_rawaudio.models.spectral_codec import CODES, SOFTNESS

from ..small_models import compiled, make_spectral, reference_sampler
from ..small_models import spectral_piece as piece


@pytest.fixture(scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)])
def model(request):
    return make_spectral(request.param, clock_harmonics=2)


def codes(model, blocks, rows=2):
    rng = np.random.default_rng(1)
    shape = (rows, model.context + blocks * model.frame)
    return rng.integers(1, 17, shape).astype(np.int32)


def test_a_prediction_depends_on_earlier_codes_alone(model):
    S, x = model.frame, codes(model, 6)
    full, _ = model(x, model.zero_state(2))
    # `x[:, context + j]` comes before target j: changing it may change target j and later ones.
    for block, band in [(3, 0), (3, 1)]:
        j = block * S + band
        changed = x.copy()
        changed[:, model.context + j] = changed[:, model.context + j] % 16 + 1
        other, _ = model(changed, model.zero_state(2))
        flat, flat_other = (np.stack([np.asarray(b) for b in p], axis=2) for p in (full, other))
        flat, flat_other = (f.reshape(2, 6 * S, -1) for f in (flat, flat_other))
        np.testing.assert_allclose(flat[:, :j], flat_other[:, :j], atol=1e-5)
        assert np.abs(flat - flat_other)[:, j].max() > 1e-4


def test_the_codec_reads_blocks_in_the_graph_as_in_the_corpus(model):
    F, C = model.block, model.channels
    audio = piece(C)[: 12 * F].reshape(-1, C)
    expected = encode(audio, model.spectral_codec.spectra, model.spectral_codec.books())
    padded = np.pad(audio, ((F, 0), (0, 0)))
    blocks = np.stack([padded[i * F : (i + 2) * F] for i in range(12)])
    np.testing.assert_array_equal(model.spectral_codec.encode(blocks), expected)


def test_draws_follow_the_distribution(model):
    rows = 4000
    hidden = ops.zeros((rows, 12))
    noise = np.random.default_rng(0).random((rows, model.frame)).astype(np.float32)
    drawn = np.asarray(
        model.sampler.draw(hidden, noise, ops.ones((rows, 1)), model.sampler.entry_keys())
    )
    logits = model.prior.logits(0, hidden[:1], ops.zeros((1, 128)), model.sampler.entry_keys()[0])
    expected = np.asarray(ops.softmax(logits))[0]
    shares = np.bincount(drawn[:, 0], minlength=16) / rows
    assert np.abs(shares - expected).max() < 0.03


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_improbable_codes_are_not_drawn(model, temperature):
    rows = 1000
    hidden, keys = ops.zeros((rows, 12)), model.sampler.entry_keys()
    noise = np.random.default_rng(0).random((rows, model.frame)).astype(np.float32)
    logits = np.asarray(model.prior.logits(0, hidden[:1], ops.zeros((1, 128)), keys[0]))[0]
    shares = np.exp((logits - logits.max()) / temperature)
    least = float(np.sort(shares)[8] - 1e-4)  # eight of sixteen are less
    model.min_p.assign([least] + [0.0] * (model.frame - 1))
    drawn = model.sampler.draw(hidden, noise, ops.full((rows, 1), temperature), keys)
    model.min_p.assign([0.0] * model.frame)
    counts = np.bincount(np.asarray(drawn)[:, 0], minlength=16)
    np.testing.assert_array_equal(counts > 0, shares >= least)
    kept = np.where(shares >= least, shares, 0)
    assert np.abs(counts / rows - kept / kept.sum()).max() < 0.05


def test_the_least_and_the_greatest_noise_draw_an_entry(model):
    noise = np.stack([np.zeros(model.frame), np.full(model.frame, 1 - 2**-24)])
    drawn = model.sampler.draw(
        ops.zeros((2, 12)), noise.astype("float32"), ops.ones((2, 1)), model.sampler.entry_keys()
    )
    assert (np.asarray(drawn) >= 0).all()
    assert (np.asarray(drawn) < 16).all()


def ages(model, noise, drawn=1.0, blocks=60, rows=1000, **controls):
    """How old the state of each row is after each block `(blocks, rows)`."""
    state = {**model.zero_state(rows), CODES: ops.ones((rows, model.frame)), **controls}
    state[AGE] = ops.zeros((rows, 1))
    found = []
    for _ in range(blocks):
        numbers = noise((rows, model.noise_per_draw)).astype("float32")
        _, state = model.step(state, numbers, drawn)
        found.append(np.asarray(state[AGE])[:, 0])
    return np.array(found)


def test_a_memory_ends_in_its_last_quarter_anywhere_alike(model):
    random = np.random.default_rng(0).random
    model.memory.assign(16)
    found = ages(model, random)
    lasted = found[:-1][found[1:] == 1]
    assert set(lasted) == {12, 13, 14, 15}
    counts = np.bincount(lasted.astype(int))[12:]
    assert counts.min() > 0.8 * counts.mean()
    assert ages(model, random, drawn=0.0, blocks=10).max() == 1
    held = {HOLD.name: ops.ones((1000, 1))}
    assert ages(model, random, blocks=10, **held).max() == 0
    model.memory.assign(0)
    assert (ages(model, np.zeros, blocks=20)[-1] == 20).all()


def test_a_memory_ends_on_a_beat():
    """Where one lies in its last quarter; else with it."""
    model = make_spectral(clock_harmonics=2)
    model.prior.set_period(64.0 * model.frame)  # a turn of 64 blocks, a pulse of 8
    model.prior.set_beat([2.0 / 64])
    random = np.random.default_rng(0).random

    def ends(memory):
        """The blocks with which a state begins anew, in two turns."""
        model.memory.assign(memory)
        found = ages(model, random, blocks=129, rows=1)[:, 0]
        return (1 + np.flatnonzero(np.diff(found) < 0)).tolist()

    assert ends(40) == [34, 66, 98]  # every pulse is a beat: 34 = 2 + 4 x 8, from 30 blocks on
    assert ends(64) == [50, 98]  # every second one is
    assert max(np.diff(ends(8))) == 7  # a memory that is shorter than a pulse ends all the same
    model.prior.set_beat([NO_BEAT])
    assert len({tuple(ends(40)) for _ in range(8)}) > 1


def test_a_state_that_begins_anew_knows_its_clock_alone(model):
    """What comes next is as at the start of a stream, at another time of the clock."""
    rng = np.random.default_rng(1)
    model.memory.assign(1)
    state = {name: rng.random((2, *shape)) for name, shape in model.state_spec().items()}
    state = {name: ops.cast(value, "float32") for name, value in state.items()}
    full = {**state, CODES: ops.ones((2, model.frame)), AGE: ops.ones((2, 1))}
    fresh = {**model.zero_state(2), CODES: -ops.ones((2, model.frame)), AGE: ops.zeros((2, 1))}
    fresh[f"tier0_{CLOCK}"] = state[f"tier0_{CLOCK}"]
    noise = np.zeros((2, model.noise_per_draw), "float32")
    anew, _ = model.step(full, noise)
    model.memory.assign(0)
    expected, _ = model.step(fresh, noise)
    known, _ = model.step(full, noise)
    np.testing.assert_allclose(anew, expected, atol=1e-6)
    assert np.abs(np.asarray(known) - np.asarray(expected)).max() > 1e-3


def test_a_state_that_begins_anew_goes_on_near_the_block_before(model):
    """Probabilities are those of a beginning, by a Gaussian of the median nearest distance."""
    rows, codec = 3000, model.spectral_codec
    hidden, keys = ops.zeros((rows, 12)), model.sampler.entry_keys()
    noise = np.random.default_rng(0).random((rows, model.frame)).astype(np.float32)
    logits = np.asarray(model.prior.logits(0, hidden[:1], ops.zeros((1, 128)), keys[0]))[0]

    def shares(age, code=5.0):
        state = {CODES: ops.full((rows, model.frame), code), AGE: ops.full((rows, 1), age)}
        drawn = model.sampler.draw(hidden, noise, ops.ones((rows, 1)), keys, state)
        return np.bincount(np.asarray(drawn)[:, 0], minlength=16) / rows

    entries = np.asarray(codec.entries[0])
    squares = np.square(entries[:, None] - entries).sum(axis=2)
    nearest = np.median(np.where(np.eye(16), np.inf, squares).min(axis=1))
    scale = 16 * SOFTNESS * nearest
    expected = np.exp(logits - squares[5] / (2 * scale))
    model.nearness.assign(16)
    assert np.abs(shares(1.0) - expected / expected.sum()).max() < 0.03
    expected = np.exp(logits)
    for known in (shares(2.0), shares(1.0, code=-1.0)):  # it goes on, or nothing was before
        assert np.abs(known - expected / expected.sum()).max() < 0.03
    model.nearness.assign(0)
    assert np.abs(shares(1.0) - expected / expected.sum()).max() < 0.03


def test_many_short_calls_play_as_one_long_call(model):
    F, C = model.block, model.channels
    prompt = piece(C)[None, : 3 * F]
    noise = np.random.default_rng(2).random((1, 6 * F, 1)).astype(np.float32)
    one = np.ones(1, "float32")
    whole, _ = compiled(model)(prompt, noise, one, fresh_state(model, 1))
    state = fresh_state(model, 1)
    for i in range(3):
        _, state = compiled(model)(prompt[:, i * F : (i + 1) * F], noise[:, :0], one, state)
    parts = []
    for i in range(6):
        part = noise[:, i * F : (i + 1) * F]
        audio, state = compiled(model)(prompt[:, :0], part, one, state)
        parts.append(np.asarray(audio))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-4)


def test_what_was_read_sounds_to_its_end_and_no_further(model):
    """The sampler leaves out what comes late: the prompt's own end."""
    F, C = model.block, model.channels
    shape = (1, 5 * F) if C == 1 else (1, 5 * F, C)
    sampler = reference_sampler(model)
    made = sampler.generate(5 * F, piece(C)[: 4 * F])
    assert made.shape == shape
    silent = np.zeros((4 * F, C), np.float32)
    quiet = [sampler.generate(F, silent, random_seed=s) for s in range(2)]
    assert not np.array_equal(*quiet)


def test_training_reads_some_of_its_own_draws():
    model = make_spectral(own_draws=0.9, dropout=0.0, input_noise=0.0)
    for weight in model.prior.query:
        weight.kernel.assign(weight.kernel * 50)  # so that it is sure of something
    x = codes(model, 12)
    calm, _ = model(x, model.zero_state(2))
    drawn, _ = model(x, model.zero_state(2), training=True)
    assert np.abs(np.asarray(calm[0]) - np.asarray(drawn[0])).max() > 1e-3
    np.testing.assert_allclose(calm[0][:, 0], drawn[0][:, 0], atol=1e-5)
