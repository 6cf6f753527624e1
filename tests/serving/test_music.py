"""Which music each stream gets: named by the user, or drawn by its share."""

import numpy as np
import pytest
from keras_rawaudio_serving.errors import ServingError
from keras_rawaudio_serving.metadata import Label
from keras_rawaudio_serving.music import LARGEST, random_music, read_music

LABELS = [Label("night", 0.5), Label("day", 0.3), Label("noon", 0.2), Label("dawn", 0.0)]


@pytest.mark.parametrize(
    ("word", "weights"),
    [
        ("day", [0, 1, 0, 0]),
        ("night=3,day=1", [0.75, 0.25, 0, 0]),
        (" night = 1 , noon", [0.5, 0, 0.5, 0]),
        ("night=0,day=0.5", [0, 1, 0, 0]),
        (f"night={LARGEST:g},day={LARGEST:g}", [0.5, 0.5, 0, 0]),
        ("day=1,day=0,noon=1", [0, 0, 1, 0]),  # the last one counts
    ],
)
def test_weights_are_shares(word, weights):
    found = read_music([word, "dawn"], LABELS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [weights, [0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("nigt", "no music 'nigt': nearest of 4: night$"),
        ("zzzz", "nearest of 4: night, day, noon$"),
        ("", "no music '': nearest of 4"),
        ("night=", "--music night=: give NAME or NAME=WEIGHT"),
        ("night=loud", "with weights from 0 to 1e"),
        ("night=-0.1", "give NAME"),
        ("night=nan", "give NAME"),
        ("night=1000001", "give NAME"),
        ("night=0", "--music night=0: the weights add up to nothing"),
    ],
)
def test_wrong_words_are_one_line(word, message):
    with pytest.raises(ServingError, match=message):
        read_music(["day", word], LABELS)


def test_a_file_of_one_music_has_none_to_choose():
    with pytest.raises(ServingError, match="names no music"):
        read_music(["day"], [])


def test_music_is_drawn_by_its_share_and_by_seed_and_stream_alone():
    drawn = random_music(LABELS, 7, 2000)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn.sum(axis=1), 1)
    np.testing.assert_allclose(drawn.mean(axis=0), [0.5, 0.3, 0.2, 0.0], atol=0.04)
    np.testing.assert_array_equal(random_music(LABELS, 7, 3), drawn[:3])
    assert np.any(random_music(LABELS, 8, 2000) != drawn)


def test_shares_need_not_add_up_to_one():
    twice = [Label(label.name, 2 * label.share) for label in LABELS]
    np.testing.assert_array_equal(random_music(twice, 7, 50), random_music(LABELS, 7, 50))


def test_a_name_that_ends_in_a_blank_can_be_chosen():
    labels = [Label("night ", 0.5), Label("night", 0.25), Label("day", 0.25)]
    assert read_music(["night "], labels).tolist() == [[1, 0, 0]]
    assert read_music(["night =1, day=3"], labels).tolist() == [[0.25, 0, 0.75]]
