"""Exploring: figures of pieces that are known, and pictures of them."""

import errno
import importlib
import json
import math
import os

import numpy as np
import pytest
import soundfile

from keras_rawaudio.analysis import explore
from keras_rawaudio.analysis.pulsation import pulsations
from keras_rawaudio.analysis.survey import LEVELS_PER_SECOND, survey
from keras_rawaudio.analysis.views import SpectrogramView, WaveformView, chosen_minutes, zooms
from keras_rawaudio.cli import main
from keras_rawaudio.data.corpus import prepare
from keras_rawaudio.data.corpus.synthesis import PULSATIONS_PER_MINUTE, synthesise, write_demo_piece
from keras_rawaudio.errors import UserError

RATE = 4000


def blocks(audio, size=7001):
    return lambda: (audio[i : i + size] for i in range(0, len(audio), size))


@pytest.fixture(scope="module")
def piece():
    return synthesise(240, RATE)


def test_nine_then_fourteen_pulsations_a_minute(piece):
    found = pulsations(survey(blocks(piece), RATE).level, LEVELS_PER_SECOND)
    slow, fast = PULSATIONS_PER_MINUTE
    assert (slow, fast) == (9, 14)
    np.testing.assert_allclose(found.per_minute[found.seconds < 90], slow, atol=0.4)
    np.testing.assert_allclose(found.per_minute[found.seconds > 150], fast, atol=0.4)
    assert (found.strength[found.seconds < 90] > 0.7).all()


@pytest.mark.parametrize("per_minute", [4, 9, 14, 25, 35, 40])
@pytest.mark.parametrize("power", [1, 6])
def test_any_number_of_pulsations(per_minute, power):
    """Round swells and narrow ones, the same number; nothing where nothing swells."""
    time = np.arange(0, 90, 1 / LEVELS_PER_SECOND)
    envelope = 0.1 + (0.5 + 0.5 * np.cos(2 * np.pi * time * per_minute / 60)) ** power
    found = pulsations(envelope, LEVELS_PER_SECOND)
    np.testing.assert_allclose(found.per_minute, per_minute, rtol=0.03)
    still = pulsations(np.full(500, 0.3), LEVELS_PER_SECOND)
    assert np.isnan(still.per_minute).all()
    assert not still.strength.any()


def test_a_piece_too_short_to_pulsate():
    for n in (1, 3, 8):
        assert np.isnan(pulsations(np.ones(n), LEVELS_PER_SECOND).per_minute).all()


def test_figures_are_those_of_the_samples(piece):
    shifted = (0.5 * piece + 0.125).astype(np.float32)
    found = survey(blocks(shifted), RATE)
    assert found.samples == len(shifted)
    assert found.mean == pytest.approx(float(shifted.mean(dtype=np.float64)), abs=1e-9)
    assert found.deviation == pytest.approx(float(shifted.std(dtype=np.float64)), rel=1e-6)
    assert (found.minimum, found.maximum) == (shifted.min(), shifted.max())
    assert found.peak == np.abs(shifted).max()
    first = shifted[: RATE // LEVELS_PER_SECOND].astype(np.float64)
    assert found.level[0] == pytest.approx(np.sqrt(np.square(first).mean()))
    assert len(found.level) == 240 * LEVELS_PER_SECOND


def test_head_tail_and_fade_out_in_samples(piece):
    body = piece[: 100 * RATE].copy()
    body[80 * RATE :] *= np.linspace(1, 0, 20 * RATE, dtype=np.float32) ** 2
    head, tail = np.zeros(3 * RATE, np.float32), np.zeros(2 * RATE, np.float32)
    found = survey(blocks(np.concatenate([head, body, tail])), RATE)
    assert found.head == pytest.approx(3 * RATE, abs=0.02 * RATE)
    # Of the fade half a second at most is under -90 dB.
    assert 2 * RATE <= found.samples - found.end < 2.5 * RATE
    assert found.fade == pytest.approx(83 * RATE, abs=8 * RATE)  # within a pulsation of 6.7 s


def test_the_silence_found_is_what_the_corpus_trims(tmp_path):
    """Noise of -75 dB stands before the sound: too loud to be trimmed."""
    tone = 0.5 * np.sin(np.arange(4 * RATE))
    noise = 0.5e-4 * np.random.default_rng(0).normal(size=RATE)
    audio = np.concatenate([np.zeros(RATE), noise, tone, np.zeros(RATE)])
    soundfile.write(tmp_path / "a.wav", audio, RATE, subtype="FLOAT")
    (kept,) = (s["kept"] for s in prepare([tmp_path / "a.wav"], tmp_path).describe()["sources"])
    found = survey(blocks(audio.astype(np.float32)), RATE)
    assert [found.head, found.end] == kept
    assert found.head == pytest.approx(RATE, abs=0.02 * RATE)


@pytest.mark.parametrize("rate", [4000, 16_000, 44_100])
def test_a_fade_out_of_20_000_samples(rate):
    """Shorter than the dips between pulsations, and far deeper; a fade-in is no such dip."""
    audio = synthesise(30, rate)
    audio[-20_000:] *= np.linspace(1, 0, 20_000, dtype=np.float32)
    audio[:rate] *= np.linspace(0, 1, rate, dtype=np.float32)
    found = survey(blocks(np.concatenate([audio, np.zeros(rate, np.float32)])), rate)
    fade = found.end - found.fade
    # Within a pulsation of its true begin where it began in a dip.
    assert 0.4 * 20_000 < fade < 20_000 + 4 * rate
    assert found.samples - rate - found.end < 0.02 * 20_000 + 0.02 * rate


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_fade_out_that_is_shorter_than_the_dips_before_it(rate):
    """Dips of 3 s that lie 9 dB under the rest: the fade is 20,000 samples long, and deeper."""
    time = np.arange(30 * rate) / rate
    audio = 0.3 * np.sin(2 * np.pi * 220 * time)
    audio[(time % 7 > 4) & (time < 28)] *= 0.35
    audio[-20_000:] *= np.linspace(1, 0, 20_000)
    found = survey(blocks(audio.astype(np.float32)), rate)
    assert found.end - found.fade == pytest.approx(20_000, abs=0.05 * rate)


def test_speech_like_rests_are_no_fade_out():
    """Sounds of a third of a second, each with its decay, and rests between them."""
    time = np.arange(RATE // 3) / RATE
    word = (np.sin(2 * np.pi * 300 * time) * np.exp(-6 * time)).astype(np.float32)
    rest = np.zeros(RATE // 4, np.float32)
    found = survey(blocks(np.concatenate([word, rest] * 20 + [word])), RATE)
    assert found.fade == found.end


def test_a_piece_that_ends_at_once_has_no_fade_out(piece):
    """Its pulsations are dips of their own, and no fade-out."""
    for seconds in (1, 61, 64, 67, 70):
        found = survey(blocks(piece[: seconds * RATE]), RATE)
        assert found.fade == found.end == seconds * RATE
    silent = survey(blocks(np.zeros(4 * RATE, np.float32)), RATE)
    assert (silent.head, silent.end, silent.fade) == (0, 0, 0)


@pytest.mark.parametrize("start", [0, 13, 5000])
@pytest.mark.parametrize("length", [1, 900, 1401, 20_000])
@pytest.mark.parametrize("size", [1, 700, 50_000])
def test_waveform_views_are_the_extremes_of_each_column(piece, start, length, size):
    if size == 1 and length == 20_000:
        size = 3
    view = WaveformView("", start, start + length)
    for position in range(0, 30_000, size):
        view.add(position, piece[position : min(position + size, 30_000)])
    columns = len(view.low)
    edges = [start + i * length // columns for i in range(columns + 1)]
    assert (edges[0], edges[-1]) == (start, start + length)
    for i in {0, columns // 3, columns - 1}:
        part = piece[edges[i] : edges[i + 1]]
        assert (view.low[i], view.high[i]) == (part.min(), part.max())


def test_a_spectrogram_does_not_depend_on_its_blocks():
    time = np.arange(20 * RATE) / RATE
    sine = np.sin(2 * np.pi * 500 * time).astype(np.float32)
    pictures = []
    for size in (333, 7001, len(sine)):
        made = SpectrogramView(len(sine), RATE)
        for position in range(0, len(sine), size):
            made.add(position, sine[position : position + size])
        pictures.append(made.decibels())
    np.testing.assert_allclose(pictures[0], pictures[2], atol=1e-3)
    np.testing.assert_allclose(pictures[1], pictures[2], atol=1e-3)
    peak = 500 * made.size / RATE
    np.testing.assert_allclose(pictures[2][:, round(peak)], 0, atol=0.1)
    assert len(pictures[2]) == pytest.approx(len(sine) // made.hop, abs=2)


def test_zooms_and_minutes_as_far_as_the_piece_goes():
    def titles(minutes):
        return [o.title for o in chosen_minutes(minutes * 60 * RATE - 5, RATE)]

    assert titles(1) == ["minute 1 (first, last)"]
    assert titles(5)[0] == "minute 1 (first, fifth from the end)"
    assert titles(2) == ["minute 1 (first)", "minute 2 (2nd, last)"]
    assert [t.split(" (")[0] for t in titles(150)] == [
        "minute 1",
        "minute 2",
        "minute 35",
        "minute 100",
        "minute 146",
        "minute 150",
    ]
    assert "35th, fifth from the end" in titles(39)[2]
    whole = zooms(100, 100 + 300 * RATE, RATE)
    assert [o.title for o in whole] == ["1 s", "5 s", "10 s", "30 s", "1 min", "2 min", "5 min"]
    assert {o.start for o in whole} == {100}
    assert [o.title for o in zooms(0, RATE - 1, RATE)] == ["all of it"]


def test_the_command(tmp_path, capsys):
    song = write_demo_piece(tmp_path / "song.wav", 130, RATE)
    out = tmp_path / "deep" / "folder"
    assert main(["explore", str(song), "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("130.0 s at 4000 Hz, peak 0.700")
    names = sorted(p.name for p in out.iterdir())
    assert names == ["explore.json", "minutes.png", "overview.png", "waveforms.png"]
    for name in names[1:]:
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    report = json.loads((out / "explore.json").read_text())
    assert (report["samples"], report["sample_rate"]) == (130 * RATE, RATE)
    assert report["range"] == pytest.approx(report["maximum"] - report["minimum"])
    assert len(report["level_decibels"]) == 130
    assert report["pulsations"]["per_minute"][0] == pytest.approx(9, abs=0.5)
    audio, _ = soundfile.read(song)
    level = 10 * math.log10(np.square(audio[:RATE]).mean())
    assert report["level_decibels"][0] == pytest.approx(level, abs=0.01)


@pytest.mark.parametrize("samples", [1, 50, 3000])
def test_the_shortest_pieces(samples, tmp_path):
    soundfile.write(tmp_path / "short.wav", np.full(samples, 0.5), RATE)
    assert main(["explore", str(tmp_path / "short.wav"), "--out", str(tmp_path / "out")]) == 0


def test_silence(tmp_path):
    soundfile.write(tmp_path / "silent.wav", np.zeros(20_000), RATE)
    assert main(["explore", str(tmp_path / "silent.wav"), "--out", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "explore.json").read_text())
    assert set(report["level_decibels"]) == {None}


def test_a_pipe_in_the_place_of_a_picture_or_the_figures(tmp_path):
    write_demo_piece(tmp_path / "song.wav", 2.0, 2000)
    for name in ("minutes.png", "explore.json"):
        out = tmp_path / f"out-{name}"
        out.mkdir()
        os.mkfifo(out / name)
        with pytest.raises(UserError, match=f"{name}: it is no file"):
            explore(tmp_path / "song.wav", out)
        assert [path.name for path in out.iterdir()] == [name]


def test_a_full_disk_leaves_no_empty_folder(tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    write_demo_piece(tmp_path / "song.wav", 2.0, 2000)
    monkeypatch.setattr("keras_rawaudio.analysis.pictures.overview", full)
    with pytest.raises(UserError, match="No space left"):
        explore(tmp_path / "song.wav", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("later", ["gone", "shorter", "stereo", "text"])
def test_a_piece_that_changes_while_it_is_read_is_one_line(tmp_path, monkeypatch, later):
    path = tmp_path / "piece.wav"
    soundfile.write(path, np.sin(np.arange(9000)), 2000)

    def change(*arguments):
        if later == "gone":
            path.unlink()
        elif later == "text":
            path.write_text("no audio")
        else:
            soundfile.write(path, np.zeros((99, 2) if later == "stereo" else 99), 2000)
        return SpectrogramView(*arguments)

    module = importlib.import_module("keras_rawaudio.analysis.explore")
    monkeypatch.setattr(module, "SpectrogramView", change)
    with pytest.raises(UserError, match=r"piece\.wav"):
        explore(path, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_no_unicode(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9 $x^{$.wav")
    soundfile.write(os.fsencode(path), np.sin(np.arange(9000)), 2000, format="WAV")
    assert main(["explore", str(path), "--out", str(tmp_path / "new")]) == 0


def test_pictures_are_drawn_in_the_default_style(tmp_path):
    """Whatever a `matplotlibrc` says: this one would need LaTeX, or a gigapixel."""
    import matplotlib

    soundfile.write(tmp_path / "song.wav", np.full(3000, 0.5), RATE)
    pictures = []
    for settings in ({}, {"text.usetex": True, "figure.figsize": (1e9, 1e9), "axes.grid": True}):
        with matplotlib.rc_context(settings):
            explore(tmp_path / "song.wav", tmp_path / "out")
            assert matplotlib.rcParams["text.usetex"] == settings.get("text.usetex", False)
        pictures.append((tmp_path / "out" / "overview.png").read_bytes())
    assert pictures[0] == pictures[1]
