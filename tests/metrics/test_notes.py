"""Notes: what the network's likelihoods become, and what transcriptions are compared by."""

import sys

import numpy as np
import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.melodic_intervals import (
    interval_bigram_distance,
    longest_copied_melody,
    melodic_intervals,
)
from keras_rawaudio.metrics.note_statistics import note_length_distance, pitch_class_distance
from keras_rawaudio.metrics.note_transcription import (
    HOP,
    RATE,
    NoteTranscriber,
    notes_from_activations,
)
from keras_rawaudio.metrics.timed import Timed

RNG = np.random.default_rng(0)


def melody(pitches, each=0.25):
    pitches = np.asarray(pitches, float)
    rows = np.stack([pitches, np.full(len(pitches), each), np.ones(len(pitches))], axis=1)
    return Timed(len(pitches) * each, np.arange(len(pitches)) * each, rows)


def likelihoods(frames=200):
    return np.zeros((frames, 88)), np.zeros((frames, 88))


def test_a_gap_is_closed_and_a_short_note_left_out():
    onsets, sounding = likelihoods()
    sounding[10:40, 3] = sounding[50:80, 3] = 0.8
    sounding[150:160, 3] = 0.8
    starts, notes = notes_from_activations(onsets, sounding)
    assert starts == pytest.approx([10 * HOP / RATE])
    assert notes[0, :2] == pytest.approx([24, 70 * HOP / RATE])


def test_an_onset_begins_a_new_note():
    onsets, sounding = likelihoods()
    sounding[10:110, 3] = 0.8
    onsets[10, 3] = onsets[60, 3] = 0.9
    onsets[80, 3] = 0.4  # too unlikely
    starts, notes = notes_from_activations(onsets, sounding)
    assert starts * RATE / HOP == pytest.approx([10, 60])
    assert notes[:, 1] * RATE / HOP == pytest.approx([50, 50])


def test_silence_has_no_notes():
    starts, notes = notes_from_activations(*likelihoods())
    assert starts.shape == (0,)
    assert notes.shape == (0, 3)


def test_notes_are_in_the_order_of_onsets():
    onsets, sounding = likelihoods()
    sounding[100:130, 3] = sounding[10:40, 60] = 0.8
    assert notes_from_activations(onsets, sounding)[1][:, 0].tolist() == [81, 24]


def test_a_transposed_copy_is_found_and_a_new_melody_is_not():
    piece = melody(RNG.integers(50, 80, 400))
    part = piece.values[100:180, 0]
    assert longest_copied_melody(piece, melody(part + 5, each=0.4)) == 79
    assert longest_copied_melody(piece, melody(RNG.integers(50, 80, 80))) <= 5
    assert interval_bigram_distance(piece, melody(piece.values[:, 0] - 7)) == pytest.approx(0)


def test_bigrams_tell_a_scale_from_leaps():
    scale = melody(60 + np.arange(100) % 12)
    leaps = melody(60 + 7 * (np.arange(100) % 2))
    assert interval_bigram_distance(scale, leaps) == pytest.approx(1)
    assert interval_bigram_distance(scale, melody(40 + np.arange(60) % 12)) < 0.02
    assert interval_bigram_distance(scale, melody([60, 61])) is None


def test_a_chord_is_one_step_of_its_highest_note():
    chords = Timed(
        3.0,
        np.array([0.0, 0.02, 0.04, 1.0, 1.01, 2.0]),
        np.array([[48.0], [64.0], [60.0], [50.0], [65.0], [67.0]]),
    )
    assert melodic_intervals(chords).tolist() == [1, 2]
    assert len(melodic_intervals(chords.between(2.5, 3))) == 0


def test_pitch_classes_and_lengths_of_no_notes_are_not_compared():
    empty = melody([])
    assert pitch_class_distance(melody([60]), empty) is None
    assert note_length_distance(empty, melody([60])) is None
    assert longest_copied_melody(empty, melody([60, 62])) == 0
    assert longest_copied_melody(melody([60, 62]), empty) == 0


def test_pitch_classes_are_weighted_by_length():
    a = Timed(4.0, np.arange(2.0), np.array([[60, 3.0, 1], [61, 1.0, 1]]))
    assert pitch_class_distance(melody([60]), a) == pytest.approx(0.25)


def test_one_line_says_what_to_install(monkeypatch):
    NoteTranscriber.load.__func__.cache_clear()
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(UserError, match="pip install --no-deps basic-pitch") as caught:
        NoteTranscriber.load()
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def transcriber():
    NoteTranscriber.load.__func__.cache_clear()
    try:
        return NoteTranscriber.load()
    except UserError as missing:
        pytest.skip(str(missing))


def plucked(pitches, rate, each=0.5):
    t = np.arange(round(each * rate)) / rate
    hertz = 440 * 2 ** ((np.asarray(pitches) - 69) / 12)
    tones = [sum(np.sin(2 * np.pi * f * h * t) / h for h in range(1, 6)) for f in hertz]
    return np.concatenate([tone * np.exp(-4 * t) / 5 for tone in tones]).astype(np.float32)


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_plucked_tune_is_transcribed(transcriber, rate):
    tune = [60, 62, 64, 65, 67, 69, 71, 72] * 2
    notes = transcriber.notes(plucked(tune, rate), rate)
    clear = notes.values[:, 2] > 0.6
    assert notes.values[clear, 0].tolist() == tune
    np.testing.assert_allclose(notes.start[clear], np.arange(16) / 2, atol=0.04)
    np.testing.assert_allclose(notes.values[clear, 1], 0.5, atol=0.05)


def test_likelihoods_do_not_depend_on_the_windows(transcriber):
    """A shift by a window's stride gives the same likelihoods, that much later."""
    audio = plucked([60, 67, 64, 72] * 4, RATE)
    late = np.concatenate([np.zeros(71 * HOP, np.float32), audio])
    for a, b in zip(
        transcriber.activations(audio, RATE), transcriber.activations(late, RATE), strict=True
    ):
        difference = np.abs(a[20:-20] - b[91:-20][: len(a) - 40])
        assert np.mean(difference > 0.1) < 0.005
