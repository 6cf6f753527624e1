import numpy as np
import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.over_time import Track
from keras_rawaudio.plots import (
    learning_curve,
    spectrogram,
    spectrogram_figure,
    tracks_figure,
)

RATE = 8000
PNG = b"\x89PNG"


def test_a_sine_of_full_scale_reads_0_db_in_its_bin():
    sine = np.sin(2 * np.pi * 1000 * np.arange(2 * RATE) / RATE)
    levels = spectrogram(sine, RATE)
    middle = levels[len(levels) // 2]
    assert middle.max() == pytest.approx(0, abs=0.1)
    assert middle.argmax() * RATE / 2 / (levels.shape[1] - 1) == pytest.approx(1000, abs=10)


def test_long_audio_gives_no_wider_picture():
    assert len(spectrogram(np.zeros(400 * RATE), RATE)) <= 1401
    assert len(spectrogram(np.zeros(3), RATE)) >= 1


@pytest.mark.parametrize("seconds", [0.001, 0.3, 3])
def test_spectrograms_are_drawn(tmp_path, seconds):
    audio = np.random.default_rng(0).normal(size=max(1, round(seconds * RATE))) / 10
    path = tmp_path / "two.png"
    stereo = np.stack([audio, -audio / 2], axis=1)
    spectrogram_figure(
        [("real $x_1", audio), ("silence", audio * 0), ("stereo", stereo)], RATE, path, 0.1
    )
    assert path.read_bytes()[:4] == PNG


def test_other_formats_by_ending(tmp_path):
    spectrogram_figure([("s", np.zeros(RATE))], RATE, tmp_path / "s.svg")
    assert b"<svg" in (tmp_path / "s.svg").read_bytes()


def test_nothing_to_draw_is_one_line(tmp_path):
    with pytest.raises(UserError, match="nothing to draw"):
        spectrogram_figure([], RATE, tmp_path / "none.png")
    with pytest.raises(UserError, match="no validation"):
        learning_curve([], tmp_path / "none.png", {})


@pytest.mark.parametrize("measure", ["bits_per_sample", "variance_unexplained"])
@pytest.mark.parametrize("count", [1, 20])
def test_learning_curves_are_drawn(tmp_path, measure, count):
    """Pitfall 12: a loss is shown beside what needs no network."""
    rows = [
        {"step": i, "minutes": i / 2, "train_loss": 4 / (i + 1), measure: 5 / (i + 1) + 1}
        for i in range(count)
    ]
    learning_curve(rows, tmp_path / "curve.png", {"order_0": 80.0, "order_1": 5.8})
    assert (tmp_path / "curve.png").read_bytes()[:4] == PNG
    pictures = set()
    for known in ({}, {"order_1": 5.8}, {"order_0": 80.0}):  # in the picture, and above it
        learning_curve(rows, tmp_path / "curve.png", known)
        pictures.add((tmp_path / "curve.png").read_bytes())
    assert len(pictures) == 3
    rows[-1][measure] = float("nan")
    learning_curve(rows, tmp_path / "curve.png")


def test_names_are_no_formulas_and_need_not_be_unicode(tmp_path):
    """As names of files may be anything but a slash."""
    name, track = "a$x^{$b\udcff\n", Track("x", np.arange(3), np.arange(3), 0.0, 1.0)
    rows = [{"minutes": 1.0, "train_loss": 1.0, "bits_per_sample": 1.0}]
    spectrogram_figure([(name, np.zeros(RATE))], RATE, tmp_path / "1.png")
    tracks_figure([(name, [track])], tmp_path / "2.png")
    learning_curve(rows, tmp_path / "3.png", {name: 1.0, f"{name}2": 9.0})
    assert all((tmp_path / f"{n}.png").read_bytes()[:4] == PNG for n in (1, 2, 3))


@pytest.mark.parametrize("count", [1, 7])
def test_tracks_are_drawn(tmp_path, count):
    tracks = [Track(f"$x_{i}", np.arange(3), np.arange(3), 0.0, 1.0) for i in range(count)]
    tracks_figure([("one", tracks), ("two $y_1", tracks[:1])], tmp_path / "tracks.png")
    assert (tmp_path / "tracks.png").read_bytes()[:4] == PNG
    with pytest.raises(UserError, match="no measures"):
        tracks_figure([], tmp_path / "none.png")
