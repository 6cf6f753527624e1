"""Notes held: whether what sounds is what sounded four seconds before."""

import numpy as np
import pytest

from keras_rawaudio.metrics.pitch_persistence import pitch_persistence

RATE = 8000
RNG = np.random.default_rng(0)
A_SECOND = np.arange(RATE) / RATE


def chord(*hertz):
    return sum(np.sin(2 * np.pi * f * A_SECOND) for f in hertz) / 10


SCALE = [(220 * 2 ** (k / 5),) for k in range(8)]  # no two share a harmonic


def test_an_endless_chord_is_held():
    assert pitch_persistence(np.tile(chord(220, 277, 330), 8), RATE) == pytest.approx(1, abs=1e-3)


def test_other_notes_every_second_are_not():
    assert abs(pitch_persistence(np.concatenate([chord(*c) for c in SCALE]), RATE)) < 0.1


def test_notes_that_come_back_after_four_seconds_count_as_held():
    seconds = [chord(*c) for c in SCALE[:4]] * 3
    assert pitch_persistence(np.concatenate(seconds), RATE) == pytest.approx(1, abs=0.01)


def test_half_of_the_notes():
    """One of two equal lines stays: so does about half of the correlation."""
    seconds = [chord(440 * 2 ** (1 / 12), *c) for c in SCALE]
    assert pitch_persistence(np.concatenate(seconds), RATE) == pytest.approx(0.5, abs=0.1)


def test_noise_holds_nothing_and_loudness_does_not_matter():
    noise = RNG.normal(size=30 * RATE) / 10
    assert abs(pitch_persistence(noise, RATE)) < 0.05
    music = np.concatenate([chord(*c) for c in SCALE]) + 1e-3 * noise[: 8 * RATE]
    swell = music * np.repeat(np.geomspace(0.1, 1, 8), RATE)
    assert pitch_persistence(swell, RATE) == pytest.approx(pitch_persistence(music, RATE), abs=0.1)


@pytest.mark.parametrize("audio", [np.zeros(10 * RATE), np.tile(chord(220), 4)])
def test_silence_and_four_seconds_have_no_figure(audio):
    assert pitch_persistence(audio, RATE) is None
