"""Brackets: the piece, its held-out part, excerpts, grains, MP3 and noise in one table."""

import numpy as np
import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics import embedding_comparison, note_comparison
from keras_rawaudio.metrics.bracket_audio import shuffled_grains, through_mp3, white_noise
from keras_rawaudio.metrics.brackets import Brackets, available_comparisons
from keras_rawaudio.metrics.embedding_comparison import EmbeddingComparison
from keras_rawaudio.metrics.note_comparison import NoteComparison
from keras_rawaudio.metrics.octave_comparison import OctaveComparison
from keras_rawaudio.metrics.timed import Timed

RATE = 8000
RNG = np.random.default_rng(0)


class MeanOfSeconds:
    """A row per second: its mean; and the distance of the means of two audios."""

    def installed(self):
        return True

    def features(self, audio, rate):
        seconds = len(audio) // rate
        values = audio[: seconds * rate].reshape(seconds, -1).mean(axis=1)
        return Timed(len(audio) / rate, np.arange(seconds), values, 1.0)

    def distances(self, train, other):
        return {
            "distance": float(other.values.mean() - train.values.mean()),
            "rows": float(len(train.values)),
            "nothing": None,
        }


def test_excerpts_are_compared_with_the_rest_and_streams_with_all():
    ramp = np.repeat(np.arange(40) / 100, RATE)
    brackets = Brackets(MeanOfSeconds(), [ramp[: 30 * RATE]], [ramp[30 * RATE :]], RATE, 5)
    table = brackets.compare([ramp[: 5 * RATE], ramp[25 * RATE : 30 * RATE]])
    distance = table["distance"]
    assert distance["held-out"] == pytest.approx(0.345 - 0.145)
    # The first five seconds less the 25 others; and the last ones.
    assert distance["own 10 %"] < 0.02 - 0.145 < 0 < distance["own 90 %"]
    assert distance["own 50 %"] == pytest.approx(0, abs=0.01)
    assert distance["streams"] == pytest.approx([0.02 - 0.145, 0.27 - 0.145])
    assert distance["mean"] == pytest.approx(0, abs=1e-6)
    assert distance["low"] < 0 < distance["high"]
    assert distance["pooled"] == pytest.approx(0, abs=1e-6)
    assert table["rows"]["own 90 %"] == 25
    assert table["rows"]["held-out"] == 30
    nothing = table["nothing"]
    assert nothing.pop("streams") == [None, None]
    assert set(nothing.values()) == {None}


def test_less_than_a_second_of_held_out_audio_is_no_bracket():
    audio = RNG.normal(size=30 * RATE) / 10
    brackets = Brackets(OctaveComparison(), [audio], [audio[: RATE // 2]], RATE, 5)
    table = brackets.compare([audio[: 5 * RATE]])
    assert all(row.get("held-out") is None for row in table.values())
    assert any(row.get("own 50 %") is not None for row in table.values())


def test_long_streams_are_placed_by_excerpts_of_a_third_of_the_train_part():
    audio = RNG.normal(size=30 * RATE) / 10
    brackets = Brackets(MeanOfSeconds(), [audio], [], RATE, 60)
    assert brackets.seconds == 10
    assert brackets.figures["distance"]["held-out"] is None


def test_no_train_part_is_one_line():
    with pytest.raises(UserError, match="train part is empty"):
        Brackets(MeanOfSeconds(), [], [], RATE, 5)


def test_integers_are_those_floats():
    audio = RNG.normal(size=12 * RATE) / 10
    whole = (audio * 32768).astype(np.int16)
    a, b = (Brackets(OctaveComparison(), [x], [x], RATE, 4).figures for x in (audio, whole))
    name = "level at 1000 Hz (dB)"
    assert a[name]["own 50 %"] == pytest.approx(b[name]["own 50 %"], abs=0.01)
    assert b[name]["held-out"] == pytest.approx(0, abs=0.2)


def test_octaves_of_stereo_streams_that_lost_their_width():
    stereo = RNG.normal(size=(20 * RATE, 2)) / 10
    brackets = Brackets(OctaveComparison(), [stereo], [], RATE, 5)
    table = brackets.compare([np.repeat(stereo[: 5 * RATE, :1], 2, axis=1)])
    assert table["side/mid at 1000 Hz (dB)"]["mean"] < -55
    assert table["correlation at 1000 Hz"]["mean"] == pytest.approx(1, abs=0.05)
    assert abs(table["level at 1000 Hz (dB)"]["mean"]) < 1
    mono = Brackets(OctaveComparison(), [stereo[:, 0]], [], RATE, 5)
    assert not any("side/mid" in name for name in mono.figures)


def test_grains_keep_the_samples_and_lose_their_order():
    ramp = np.arange(30 * RATE) / (30 * RATE)
    grains = shuffled_grains(ramp, RATE, 10, np.random.default_rng(0))
    steps = np.diff(grains)
    assert len(grains) == 10 * RATE
    assert np.mean(np.isclose(steps, 1 / (30 * RATE))) == pytest.approx(1 - 99 / len(steps))
    assert np.std(grains) > 0.2


def test_noise_has_the_level_and_independent_channels():
    noise = white_noise(np.full((RATE, 2), 0.1), RATE, 5, np.random.default_rng(0))
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
def test_mp3_is_near_the_audio_and_not_it(rate):
    t = np.arange(4 * rate) / rate
    tone = np.stack([np.sin(2 * np.pi * f * t) / 4 for f in (440, 660)], axis=1)
    noisy = tone + RNG.normal(size=tone.shape) / 100
    coded = through_mp3(noisy.astype(np.float32), rate)
    if coded is None:
        pytest.skip("this soundfile writes no MP3")
    assert coded.shape[1] == 2
    length = min(len(coded), len(t)) - rate
    lag = np.argmax([noisy[:length, 0] @ coded[k : k + length, 0] for k in range(rate // 4)])
    error = coded[lag : lag + length] - noisy[:length]
    assert 1e-4 < np.sqrt(np.mean(error**2)) < 0.1


def test_a_rate_that_mp3_lacks():
    assert through_mp3(np.zeros(5000, np.float32), 5001) is None


def test_what_is_not_installed_is_not_there(monkeypatch):
    def missing(name):
        raise note_comparison.PackageNotFoundError(name)

    for module in (embedding_comparison, note_comparison):
        monkeypatch.setattr(module, "distribution", missing)
    assert [type(c) for c in available_comparisons()] == [OctaveComparison]


@pytest.mark.slow
@pytest.mark.parametrize("comparison", [EmbeddingComparison(), NoteComparison()])
def test_grains_and_noise_are_further_from_a_piece_than_its_own_excerpts(make_piece, comparison):
    if not comparison.installed():
        pytest.skip("the ears extra is not installed")
    piece = make_piece(40)
    brackets = Brackets(comparison, [piece[: 32 * RATE]], [piece[32 * RATE :]], RATE, 8)
    table = brackets.compare([piece[: 8 * RATE]])
    for name in ("KAD (musicnn)", "note lengths (distance, doublings)"):
        if name in table:
            row = table[name]
            assert row["own 90 %"] < row["grains"]
            assert row["own 90 %"] < row["noise"]
            assert row["mean"] < row["grains"]
