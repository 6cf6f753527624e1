"""The outline's words: read off audio, paid for and drawn as one softmax says."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.models.envelope_codebook import Outline

WORDS, FRAME, WIDTH = 6, 32, 5


def make(words=WORDS):
    keras.utils.set_random_seed(0)
    outline = Outline(words, FRAME)
    outline.build_for(WIDTH)
    return outline


def noise(samples, scale=0.3, seed=0):
    return (scale * np.random.default_rng(seed).normal(size=samples)).astype("float32")


def numbers(x):
    return ops.convert_to_numpy(x)


def test_what_a_word_stands_for_is_that_word():
    outline = make()
    centres = np.random.default_rng(0).normal(size=outline.vocabulary.shape).astype("float32")
    outline.vocabulary.assign(centres)
    np.testing.assert_array_equal(outline.word(centres[None])[0], np.eye(WORDS))
    np.testing.assert_allclose(outline.sound(np.eye(WORDS, dtype="float32")), centres, rtol=1e-6)


def test_the_nearest_word_by_hand():
    """All bands together count twice what one of the two levels does."""
    outline = make()
    rng = np.random.default_rng(1)
    centres = rng.normal(size=outline.vocabulary.shape)
    outline.vocabulary.assign(centres)
    moments = rng.normal(size=(3, 40, 22)).astype("float32")
    weights = np.array([4 / 20] * 20 + [1.0, 1.0])
    distance = ((moments[:, :, None] - centres) ** 2 * weights).sum(axis=-1)
    word = numbers(outline.word(moments))
    assert word.shape == (3, 40, WORDS)
    np.testing.assert_array_equal(word.argmax(axis=-1), distance.argmin(axis=-1))
    np.testing.assert_array_equal(word.sum(axis=-1), 1.0)


def test_sounds_of_a_piece_become_its_words():
    """Silence, a low tone, a high tone, noise: four sounds, four words."""
    outline, n = make(words=4), 40 * FRAME
    t = np.arange(n)
    sounds = [np.zeros(n), 0.5 * np.sin(0.3 * t), 0.5 * np.sin(2.0 * t), noise(n)]
    outline.fit([sound.astype("float32") for sound in sounds])
    words = [
        numbers(outline.word(outline.describe(sound[None].astype("float32"))))[0].argmax(axis=-1)
        for sound in sounds
    ]
    assert all((word == word[0]).all() for word in words)
    assert len({int(word[0]) for word in words}) == 4


def test_fitting_is_deterministic():
    first, second = make(), make()
    for outline in (first, second):
        outline.fit([noise(3000)])
    np.testing.assert_array_equal(first.vocabulary, second.vocabulary)


def test_a_vocabulary_of_fewer_moments_than_words():
    """Some words are there twice; every moment still has a word, and that word is the moment."""
    outline = make()
    piece = noise(4 * FRAME)
    outline.fit([piece])
    moments = outline.describe(piece[None])
    assert moments.shape == (1, 3, 22)
    word = numbers(outline.word(moments))
    np.testing.assert_allclose(word.sum(axis=-1), 1.0)
    np.testing.assert_allclose(outline.sound(word), moments, atol=1e-4)


def test_moments_are_two_frames_each_one_frame_apart():
    outline = make()
    x = noise(5 * FRAME)
    moments = numbers(outline.describe(x[None]))[0]
    assert moments.shape == (4, 22)
    for i, moment in enumerate(moments):
        expected = outline.bands(x[i * FRAME : (i + 2) * FRAME])
        np.testing.assert_allclose(moment, expected, atol=1e-5)


def test_a_word_costs_what_the_softmax_says():
    outline = make()
    spoken = np.random.default_rng(2).normal(size=(3, WIDTH)).astype("float32")
    fitting = np.random.default_rng(3).normal(size=(3, WORDS)).astype("float32")
    logits = numbers(outline.prediction(spoken)).astype("float64") + fitting
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    costs = [
        numbers(outline.cost(spoken, np.tile(np.eye(WORDS, dtype="float32")[w], (3, 1)), fitting))
        for w in range(WORDS)
    ]
    np.testing.assert_allclose(np.stack(costs, axis=1), -np.log(p), atol=1e-5)
    np.testing.assert_allclose(np.exp(-np.stack(costs)).sum(axis=0), 1.0, atol=1e-5)


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_words_are_drawn_as_often_as_the_softmax_says(temperature):
    outline, n = make(), 20_000
    spoken = np.random.default_rng(3).normal(size=(1, WIDTH)).astype("float32")
    u = np.random.default_rng(4).random((n, WORDS), "float32")
    gumbel = -temperature * np.log(-np.log(np.clip(u, 1e-5, 1 - 1e-5)))
    fitting = np.random.default_rng(5).normal(size=(1, WORDS)).astype("float32")
    word = numbers(outline.draw(np.repeat(spoken, n, axis=0), gumbel, fitting))
    np.testing.assert_array_equal(word.sum(axis=-1), 1.0)
    logits = (numbers(outline.prediction(spoken)) + fitting)[0].astype("float64") / temperature
    p = np.exp(logits) / np.exp(logits).sum()
    # Chi-square with 5 degrees of freedom: 20.5 is its 99.9 % quantile.
    assert (np.square(word.sum(axis=0) - n * p) / (n * p)).sum() < 20.5


def test_the_vocabulary_is_saved_and_not_learned():
    """Pitfall 14: it is a weight that travels with the layer."""
    outline = make()
    outline.fit([noise(3000)])
    assert [w is outline.vocabulary for w in outline.non_trainable_weights] == [True]
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(outline))
    assert again.get_config() == outline.get_config()
    again.build_for(WIDTH)
    again.set_weights(outline.get_weights())
    np.testing.assert_array_equal(again.vocabulary, outline.vocabulary)


@pytest.mark.parametrize("words", [1, FRAME + 1])
def test_impossible_outlines_are_refused(words):
    with pytest.raises(ValueError, match="2 words or more"):
        Outline(words, FRAME)
