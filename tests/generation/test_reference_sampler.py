"""The reference sampler: to the sample what is asked, and the same from the same seed."""

import numpy as np
import pytest

from keras_rawaudio.generation import ReferenceSampler, advance, fresh_state, sampler
from keras_rawaudio.models import AudioModel

from ..small_models import INTERRUPTED, STANDARDIZE, make, spectral_piece
from .conftest import audio_of


@pytest.mark.parametrize("name", ["lstm over lstm, windows", "regression, lstm"])
def test_the_sampler_gives_exactly_what_is_asked(name):
    """Pitfall 15: to the sample, whether or not frames divide it."""
    model = make(name)
    generate = ReferenceSampler(model).generate
    for samples in (1, model.frame, 23, 0):
        audio = generate(samples, streams=3, random_seed=5)
        assert audio.shape == (3, samples)
        assert audio.dtype == np.float32
        assert np.isfinite(audio).all()
        np.testing.assert_array_equal(generate(samples, streams=3, random_seed=5), audio)


def test_the_sampler_primes_with_all_of_an_odd_seed():
    """Pitfall 16: not cut to whole frames but filled up on the left; never in the output."""
    model = make("lstm over lstm, windows")
    generate = ReferenceSampler(model).generate
    seed = audio_of(model, 1, 3 * model.frame + 3)[0]
    padded = np.pad(seed, (model.frame - 3, 0))
    primed = generate(40, seed_audio=seed)
    np.testing.assert_array_equal(primed, generate(40, seed_audio=padded))
    noise = np.random.default_rng(0).random((1, 40, 1), np.float32)
    expected, _ = advance(model, padded[None], noise, np.ones(1, "float32"), fresh_state(model, 1))
    np.testing.assert_allclose(primed, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["gru", "spectral, stereo"])
def test_each_stream_may_have_a_seed_of_its_own(name):
    model = make(name)
    sampler, samples = ReferenceSampler(model), 3 * model.block
    generate, step, read = sampler.generate, sampler._advance, []

    def watched(forced, *rest):
        read.append(np.asarray(forced))
        return step(forced, *rest)

    sampler._advance = watched
    seeds = wide = audio_of(model, 2, samples + 3)
    if model.channels > 1:
        wide = np.stack([seeds, -seeds], axis=-1)
    both = generate(samples, seed_audio=wide, streams=2, random_seed=4)
    given = np.concatenate(read, axis=1)[:, -samples - 3 :]
    mono = given if given.ndim == 2 else given[..., 0]
    np.testing.assert_array_equal(mono, seeds)
    with pytest.raises(ValueError, match="does not fit 3 streams"):
        generate(samples, seed_audio=np.stack([given[0]] * 2), streams=3)
    for stream in range(2):
        alone = generate(samples, seed_audio=wide[stream], streams=2, random_seed=4)
        np.testing.assert_allclose(both[stream], alone[stream], atol=1e-5)
    if name == "gru":  # the spectral model is untrained: all it draws is noise
        assert not np.allclose(both[0], alone[0], atol=1e-3)


def test_the_sampler_goes_on_from_chunk_to_chunk(monkeypatch):
    model = make("gru")
    seed = audio_of(model, 1, 61)[0]
    long = ReferenceSampler(model).generate(150, seed_audio=seed, streams=2)
    monkeypatch.setattr(sampler, "CHUNK", 10)
    np.testing.assert_array_equal(
        ReferenceSampler(model).generate(150, seed_audio=seed, streams=2), long
    )


def test_no_more_frames_are_drawn_than_asked(monkeypatch):
    """And what comes late, which is left out."""
    model = make("spectral, mono")
    generate, drawn = ReferenceSampler(model), []
    step = generate._advance

    def counted(forced, noise, *rest):
        drawn.append(noise.shape[1])
        return step(forced, noise, *rest)

    generate._advance = counted
    generate.generate(2 * model.block + 1)
    assert 0 <= sum(drawn) - (2 * model.block + 1 + model.delay) < model.block


def test_music_is_drawn_for_streams_that_begin_with_nothing_alone(monkeypatch):
    """After a seed it is unknown, and recognised by the codes that are read."""
    model, calls = make("spectral, stereo"), []
    draw = sampler.random_music
    monkeypatch.setattr(sampler, "random_music", lambda *words: calls.append(1) or draw(*words))
    generate = ReferenceSampler(model).generate
    generate(model.block, seed_audio=spectral_piece(2, 0.5))
    assert not calls
    generate(model.block, music={"night": 1.0})
    assert not calls
    generate(model.block)
    assert calls == [1]


def test_the_sampler_follows_a_model_in_training():
    """Pitfall 14: weights are read at every call."""
    model = make("gru")
    reference = ReferenceSampler(model)
    before = reference.generate(40)
    model.head.logits.bias.assign(np.linspace(50, -50, 16))
    after = reference.generate(40)
    np.testing.assert_allclose(after, -model.codec.peak, atol=1e-6)
    assert np.abs(before - after).max() > 0.1


@pytest.mark.parametrize("begins", ["copies are sought", "a penalty acts"])
def test_the_sampler_follows_a_model_that_gets_other_states_in_training(begins):
    model = make(INTERRUPTED)
    weight = model.copies.threshold if begins == "copies are sought" else model.penalty.strengths
    there = 0.1 * np.ones(weight.shape, np.float32)
    weight.assign(0 * there)
    reference, states = ReferenceSampler(model), set(model.generator_state_spec())
    before = reference.generate(12 * model.block)
    weight.assign(there)
    assert set(model.generator_state_spec()) > states
    after = reference.generate(12 * model.block)
    np.testing.assert_array_equal(after, ReferenceSampler(model).generate(12 * model.block))
    weight.assign(0 * there)
    np.testing.assert_array_equal(reference.generate(12 * model.block), before)


def test_streams_differ_and_temperature_calms():
    model = make("gru")
    generate = ReferenceSampler(model).generate
    audio = generate(200, streams=2)
    assert not np.array_equal(audio[0], audio[1])
    assert not np.array_equal(audio, generate(200, streams=2, random_seed=1))
    # Next to no temperature: the likeliest code always, whatever the noise.
    cold = generate(200, streams=2, temperature=1e-6)
    np.testing.assert_array_equal(cold[0], cold[1])


@pytest.mark.parametrize("noise", ["half-normal", "binary"])
def test_generation_is_free_of_the_layers_noise(noise):
    """Pitfall 11: noise in the layers is for training alone."""
    tier = {"frame_size": 4, "units": 6, "activation_noise": noise, "preactivation_noise": 0.5}
    model = AudioModel([{**tier, "cell": "lstm"}], {"kind": "regression"}, STANDARDIZE)
    for weight in model.trainable_weights:
        weight.assign(3.0 * weight)
    generate = ReferenceSampler(model).generate
    np.testing.assert_array_equal(generate(40), generate(40, random_seed=1))
