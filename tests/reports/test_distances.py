"""Distances with their brackets on the pages, and what becomes of them where nothing is known."""

import json

import numpy as np
import pytest
import soundfile

from keras_rawaudio.cli import main
from keras_rawaudio.metrics import brackets
from keras_rawaudio.metrics.octave_comparison import OctaveComparison
from keras_rawaudio.reports import report
from keras_rawaudio.reports.compare import compare
from keras_rawaudio.reports.distances import distances_tables

RATE = 4000
ROW = {"mean": 21.5, "low": 18.0, "high": 25.0, "held-out": 30.0, "own 50 %": 19.0, "MP3": None}
ROW["streams"] = [18.0, 25.0]


@pytest.fixture
def octaves_only(monkeypatch):
    """As if the extra `ears` were not installed."""
    monkeypatch.setattr(brackets, "available_comparisons", lambda: [OctaveComparison()])


def test_long_files_have_distances_and_short_ones_none(tmp_path, octaves_only):
    noise = np.random.default_rng(0).normal(size=60 * RATE) / 10
    soundfile.write(tmp_path / "song.wav", noise, RATE)
    for seconds in (12, 5):
        soundfile.write(tmp_path / "new.wav", noise[: seconds * RATE] / 2, RATE)
        words = f"--real {tmp_path}/song.wav --generated {tmp_path}/new.wav --out {tmp_path}/a.html"
        assert main(["evaluate-audio", *words.split()]) == 0
        page = (tmp_path / "a.html").read_text()
        assert ("Distances from the piece" in page) is (seconds == 12)
    assert "KAD (musicnn)" not in page


@pytest.mark.slow
def test_stereo_files_are_compared_in_stereo_and_with_a_mono_one_in_mono(tmp_path, octaves_only):
    noise = np.random.default_rng(0).normal(size=(40 * RATE, 2)) / 10
    soundfile.write(tmp_path / "song.wav", noise, RATE)
    soundfile.write(tmp_path / "wide.wav", noise[: 12 * RATE], RATE)
    soundfile.write(tmp_path / "mono.wav", noise[: 10 * RATE, 0], RATE)
    for name, words, stereo in (
        ("wide", "stereo, 4000 Hz", True),
        ("mono", "mono, 4000 Hz", False),
    ):
        files = f"--real {tmp_path}/song.wav --generated {tmp_path}/{name}.wav"
        seed = f"--seed-audio {tmp_path}/song.wav --keep-seed" if stereo else ""
        assert main(f"evaluate-audio {files} {seed} --out {tmp_path}/a.html".split()) == 0
        page = (tmp_path / "a.html").read_text()
        assert words in page
        assert ("side/mid at 1000 Hz" in page) is stereo


@pytest.mark.slow
def test_a_run_keeps_its_distances_and_compare_shows_them(run, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "compare_with_piece", lambda *_: {"KAD (musicnn)": ROW})
    before = run.measures.read_text()
    try:
        report.write_report(run.path, tmp_path / "page.html")
        assert json.loads(run.measures.read_text())["distances"]["KAD (musicnn)"] == ROW
        assert "22 (19)" in compare([run.path])[0]
    finally:
        run.measures.write_text(before)
    page = (tmp_path / "page.html").read_text()
    assert "21.50 (18.00 to 25.00)" in page
    assert "KAD (musicnn)" in compare([run.path])[0]


def test_octaves_have_a_table_of_their_own_and_unknown_figures_none():
    rows = {"KAD (musicnn)": ROW, "level at 500 Hz (dB)": ROW, "other": {**ROW, "mean": None}}
    whole, octaves = distances_tables(rows)
    assert [row[0] for row in whole.rows] == ["KAD (musicnn)"]
    assert [row[0] for row in octaves.rows] == ["level at 500 Hz (dB)"]
    assert whole.rows[0][whole.header.index("MP3")] == "-"


def test_one_stream_has_no_interval():
    (table,) = distances_tables({"KAD (musicnn)": {**ROW, "streams": [3.0]}})
    assert table.rows[0][1] == f"{ROW['mean']:.2f}"
