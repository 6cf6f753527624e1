"""The envelope codebook: codes read off audio, their cost and their draws by one softmax."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.envelope_codebook import EnvelopeCodebook

CODES, FRAME, WIDTH = 6, 32, 5


def make(size=CODES):
    keras.utils.set_random_seed(0)
    envelope = EnvelopeCodebook(size, FRAME)
    envelope.build((None, WIDTH))
    return envelope


def noise(samples, scale=0.3, seed=0):
    return (scale * np.random.default_rng(seed).normal(size=samples)).astype("float32")


def numbers(x):
    return ops.convert_to_numpy(x)


def test_the_centre_of_a_code_is_encoded_as_that_code():
    envelope = make()
    centres = np.random.default_rng(0).normal(size=envelope.codebook.shape).astype("float32")
    envelope.codebook.assign(centres)
    np.testing.assert_array_equal(envelope.encode(centres[None])[0], np.eye(CODES))
    np.testing.assert_allclose(envelope.decode(np.eye(CODES, dtype="float32")), centres, rtol=1e-6)


def test_the_nearest_code_by_hand():
    """All bands together count twice what one of the two levels does."""
    envelope = make()
    rng = np.random.default_rng(1)
    centres = rng.normal(size=envelope.codebook.shape)
    envelope.codebook.assign(centres)
    features = rng.normal(size=(3, 40, 22)).astype("float32")
    weights = np.array([4 / 20] * 20 + [1.0, 1.0])
    distance = ((features[:, :, None] - centres) ** 2 * weights).sum(axis=-1)
    code = numbers(envelope.encode(features))
    assert code.shape == (3, 40, CODES)
    np.testing.assert_array_equal(code.argmax(axis=-1), distance.argmin(axis=-1))
    np.testing.assert_array_equal(code.sum(axis=-1), 1.0)


def test_spectra_of_a_piece_become_its_codes():
    """Silence, a low tone, a high tone, noise: four sounds, four codes."""
    envelope, n = make(size=4), 40 * FRAME
    t = np.arange(n)
    sounds = [np.zeros(n), 0.5 * np.sin(0.3 * t), 0.5 * np.sin(2.0 * t), noise(n)]
    envelope.fit([sound.astype("float32") for sound in sounds])
    codes = [
        numbers(envelope.encode(envelope.features(sound[None].astype("float32"))))[0].argmax(
            axis=-1
        )
        for sound in sounds
    ]
    assert all((code == code[0]).all() for code in codes)
    assert len({int(code[0]) for code in codes}) == 4


def test_fitting_is_deterministic():
    first, second = make(), make()
    for envelope in (first, second):
        envelope.fit([noise(3000)])
    np.testing.assert_array_equal(first.codebook, second.codebook)


def test_a_piece_of_fewer_frames_than_codes():
    """Some centres are there twice; every frame still has a code, whose centre is its features."""
    envelope = make()
    piece = noise(4 * FRAME)
    envelope.fit([piece])
    features = envelope.features(piece[None])
    assert features.shape == (1, 3, 22)
    code = numbers(envelope.encode(features))
    np.testing.assert_allclose(code.sum(axis=-1), 1.0)
    np.testing.assert_allclose(envelope.decode(code), features, atol=1e-4)


def test_features_are_two_frames_each_one_frame_apart():
    envelope = make()
    x = noise(5 * FRAME)
    features = numbers(envelope.features(x[None]))[0]
    assert features.shape == (4, 22)
    for i, found in enumerate(features):
        expected = envelope.extract(x[i * FRAME : (i + 2) * FRAME])
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_code_costs_what_the_softmax_says():
    envelope = make()
    logits_input = np.random.default_rng(2).normal(size=(3, WIDTH)).astype("float32")
    offset = np.random.default_rng(3).normal(size=(3, CODES)).astype("float32")
    logits = numbers(envelope.logits(logits_input)).astype("float64") + offset
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    costs = [
        numbers(envelope.nll(logits_input, np.tile(code, (3, 1)), offset))
        for code in np.eye(CODES, dtype="float32")
    ]
    np.testing.assert_allclose(np.stack(costs, axis=1), -np.log(p), atol=1e-5)
    np.testing.assert_allclose(np.exp(-np.stack(costs)).sum(axis=0), 1.0, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_codes_are_drawn_as_often_as_the_softmax_says(temperature):
    envelope, n = make(), 20_000
    logits_input = np.random.default_rng(3).normal(size=(1, WIDTH)).astype("float32")
    u = np.random.default_rng(4).random((n, CODES), "float32")
    gumbel = -temperature * np.log(-np.log(np.clip(u, 1e-5, 1 - 1e-5)))
    offset = np.random.default_rng(5).normal(size=(1, CODES)).astype("float32")
    code = numbers(envelope.sample(np.repeat(logits_input, n, axis=0), gumbel, offset))
    np.testing.assert_array_equal(code.sum(axis=-1), 1.0)
    logits = (numbers(envelope.logits(logits_input)) + offset)[0].astype("float64") / temperature
    p = np.exp(logits) / np.exp(logits).sum()
    # Chi-square with 5 degrees of freedom: 20.5 is its 99.9 % quantile.
    assert (np.square(code.sum(axis=0) - n * p) / (n * p)).sum() < 20.5


def test_the_codebook_is_saved_and_not_learned():
    """Pitfall 14: it is a weight that travels with the layer."""
    envelope = make()
    envelope.fit([noise(3000)])
    assert [w is envelope.codebook for w in envelope.non_trainable_weights] == [True]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(envelope))
    assert again.get_config() == envelope.get_config()
    again.set_weights(envelope.get_weights())
    np.testing.assert_array_equal(again.codebook, envelope.codebook)


@pytest.mark.parametrize("size", [1, FRAME + 1])
def test_impossible_codebooks_are_refused(size):
    with pytest.raises(ValueError, match="2 codes or more"):
        EnvelopeCodebook(size, FRAME)
