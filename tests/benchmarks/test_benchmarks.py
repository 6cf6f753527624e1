"""The benchmarks' own command lines, at settings that take seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keras_rawaudio.corpus.synthesis import write_demo_piece

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TINY = ["tiers.0.units=8", "tiers.1.units=8", "head.width=8", "windows.length=256"]
# What the music issue's table is made of: whoever reads the lines reads these.
QUALITY_KEYS = [
    "recipe",
    "audio",
    "seconds",
    "test_bits_per_sample",
    "train_samples_per_second",
    "us_per_generated_sample",
    "tonal_db",
    "piece_tonal_db",
    "beat",
    "piece_beat",
    "toneless_share",
    "dead_share",
    "loud_share",
    "noisy_share",
    "stuck_share",
    "cepstral_ratio_by_third",
    "copied",
    "copied_by_heldout",
    "wavs",
]
GENERATION_KEYS = [
    "us_per_sample",
    "realtime_factor",
    "sample_rate",
    "streams",
    "threads",
    "first_audio_seconds",
    "peak_memory_mb",
    "block_p999",
    "nodes_per_sample",
    "nodes_by_loop",
]


def run(name, *words, cwd):
    """The JSON lines of one benchmark."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *map(str, words)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_generation(tmp_path):
    words = ["--tiers", 16, 4, "--width", 8, "--levels", 16, "--streams", 1, 2]
    words += ["--seconds", 0.2, "--sample-rate", 4000, "--plot", "speed.png"]
    one, two = run("generation", *words, cwd=tmp_path)
    for line in (one, two):
        assert not set(GENERATION_KEYS) - set(line)
        assert 0 < line["first_audio_seconds"] < 60
        assert line["us_per_step"] == pytest.approx(
            line["streams"] * line["us_per_sample"], rel=0.01, abs=0.01
        )
    assert (one["streams"], two["streams"]) == (1, 2)
    assert len(one["nodes_by_loop"]) == 3  # a loop for each tier, and the sample's
    assert one["nodes_per_sample"] > list(one["optimized_nodes_by_loop"].values())[-1]
    if sys.platform == "linux":
        assert 10 < one["peak_memory_mb"] < 1000
    assert (tmp_path / "speed.png").stat().st_size > 1000


def test_training(tmp_path):
    words = ["--recipe", "categorical", "--tiers", 32, 8, "--width", 8, "--steps", 2]
    (line,) = run("training", *words, "--set", "windows.length=64", cwd=tmp_path)
    assert (line["tiers"], line["units"], line["window"]) == ([32, 8], [8, 8], 64)
    assert line["samples_per_second"] > 0
    assert line["parameters"] > 0


def test_quality(tmp_path):
    piece = write_demo_piece(tmp_path / "piece.wav", 20.0, 2000)
    words = ["--recipe", "categorical", "--audio", piece, "--seconds", 1, "--streams", 1]
    words += ["--generate-seconds", 2, "--sample-rate", 2000, "--cache", tmp_path / "cache"]
    *_, line = run("quality", *words, "--work", "work", "--set", *TINY, cwd=tmp_path)
    assert not set(QUALITY_KEYS) - set(line)
    assert 0 < line["test_bits_per_sample"] < 9
    assert line["seconds"] == pytest.approx(1, abs=0.9)
    assert len(line["wavs"]) == len(line["streams"]) == 2
    assert all((tmp_path / wav).is_file() for wav in line["wavs"])
    assert (tmp_path / line["spectrogram"]).is_file()
    assert [s["seeded"] for s in line["streams"]] == [True, False]


def test_a_mistake_is_told_in_one_line(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "quality.py"), "--recipe", "defualt"]
    done = subprocess.run(
        [*command, "--audio", "x.wav"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "quality.py: no recipe 'defualt'; did you mean 'default'?"
    ]
    assert not list(tmp_path.iterdir())
