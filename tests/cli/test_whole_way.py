"""The way of a user, by real command lines: train, stop, resume, export, evaluate, generate."""

import csv
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytest
import soundfile

from keras_rawaudio.cli import main
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.trainer import Trainer

RATE = 2000
RECIPE = """
description: next to nothing
codec: {name: mulaw, levels: 256}
tiers: [{frame_size: 16, units: 256}]
head: {kind: categorical, hidden_units: 16}
data: {length: 128}
"""
TINY = "--set tiers.0.units=16 codec.levels=32 training.learning_rate=5e-3"


def keras_rawaudio(*words):
    return [sys.executable, "-m", "keras_rawaudio", *words]


def finish(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=900)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a song and a recipe."""
    home = tmp_path_factory.mktemp("home")
    write_demo_piece(home / "song.wav", 6.0, RATE)
    (home / "tiny.yaml").write_text(RECIPE)
    return home


def training(home, run):
    """The words of an hour's training, with a validation after a second."""
    words = f"train --audio {home}/song.wav --run {home}/{run} --cache {home}/cache --minutes 60"
    words += f" --recipe {home}/tiny.yaml {TINY} --validate-every 0.02 --sample-seconds 0.1"
    return words.split()


@pytest.fixture(scope="module")
def stopped(home):
    """What a training that Ctrl-C stopped left: its exit code and what it printed."""
    validate, out, err = Trainer._validate, io.StringIO(), io.StringIO()

    def then_ctrl_c(trainer, *arguments):
        validate(trainer, *arguments)
        signal.raise_signal(signal.SIGINT)

    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(Trainer, "_validate", then_ctrl_c)
        code = main(training(home, "run"))
    return code, out.getvalue(), err.getvalue()


def check_stopped(code, out, err, run):
    assert code == 130, err
    assert out == ""
    printed = [line for line in err.splitlines() if line]
    assert "stopped and saved at step" in printed[-1]
    # No line is of TensorFlow, oneDNN or CUDA.
    expected = re.compile(r"an epoch: \d+ steps, about |note: |stopping|stopped|.* validation ")
    assert all(expected.match(line) for line in printed), err
    assert not list(run.rglob(".partial*"))


def test_ctrl_c_saves_and_leaves_with_130(stopped, home):
    check_stopped(*stopped, home / "run")


@pytest.mark.slow
def test_ctrl_c_stops_a_process_of_its_own(home):
    process = subprocess.Popen(
        keras_rawaudio(*training(home, "own")),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 900
    while not (home / "own" / "samples").exists() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    check_stopped(process.returncode, out, err, home / "own")


def test_resume_export_evaluate_generate(stopped, home, capfd):
    run = RunFolder.open(home / "run")
    last = read_log(run.log)[-1]
    epochs = str(math.ceil(last["epoch"]) + 2)
    assert main(["train", "--resume", "--run", str(run.path), "--epochs", epochs]) == 0
    assert read_log(run.log)[-1]["step"] > last["step"]
    assert main(["export", "--run", str(run.path), "--out", str(home / "exported")]) == 0
    assert capfd.readouterr().out == ""

    assert main(["evaluate", "--run", str(run.path), "--split", "test", "--json"]) == 0
    printed = capfd.readouterr()
    (line,) = printed.out.splitlines()
    report = json.loads(line)
    assert report["samples"] == run.describe()["data"]["parts"]["test"]["samples"]
    assert 0 < report["bits_per_sample"] < 20  # a second of training promises no more
    assert {"order_1", "linear_prediction_32_linear"} <= report["baselines"].keys()

    # What was validated is what was saved: the averaged weights of the best row.
    assert main(["evaluate", "--run", str(run.path), "--split", "validation", "--json"]) == 0
    again = json.loads(capfd.readouterr().out)["bits_per_sample"]
    with run.log.open() as file:
        best = min(float(row["bits_per_sample"]) for row in csv.DictReader(file))
    assert again == pytest.approx(best, rel=1e-4)

    script = os.path.join(os.path.dirname(__file__), "..", "..", "serving", "generate.py")
    generator, new = str(home / "exported" / "generator.onnx"), str(home / "new.wav")
    words = [sys.executable, script, generator, "--seconds", "1.5", "--out", new]
    words += ["--seed-audio", str(home / "song.wav"), "--seed-seconds", "0.5"]
    generated = finish(words)
    assert generated.returncode == 0, generated.stderr
    info = soundfile.info(new)
    assert (info.samplerate, info.frames) == (RATE, 3000)
    audio, _ = soundfile.read(new)
    assert np.std(audio) > 1e-3


@pytest.mark.slow
def test_what_a_process_prints_is_the_scores_alone(stopped, home):
    """TensorFlow, oneDNN and CUDA have nothing to say in a process of its own either."""
    assert main(["train", "--resume", "--run", str(home / "run"), "--epochs", "1"]) == 0
    evaluated = finish(keras_rawaudio("evaluate", "--run", str(home / "run"), "--split", "test"))
    assert (evaluated.returncode, evaluated.stderr) == (0, "")
    title, *lines = evaluated.stdout.splitlines()
    assert title.startswith(f"{home / 'run'}, test part, best checkpoint, ")
    assert lines[0].startswith("this model ")
    assert all(line.endswith(" bits per sample") for line in lines)


@pytest.mark.slow
def test_a_refusal_after_tensorflow_is_one_line_too(home):
    (home / "notes.wav").write_text("these are not samples")
    words = f"train --audio {home}/notes.wav --run {home}/never --cache {home}/cache"
    refused = finish(keras_rawaudio(*words.split()))
    assert refused.returncode == 2
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert line.startswith("keras-rawaudio train: error: ")
    assert not (home / "never").exists()


@pytest.mark.slow
def test_stereo_at_44_khz_is_learned_from_in_mono_at_16(home, capfd):
    """The recipe takes mono up to 16 kHz; a file that is cut off is one line on stderr."""
    audio = np.random.default_rng(0).normal(0, 0.1, (3 * 44_100, 2)).clip(-1, 1)
    path = home / "cut.mp3"
    soundfile.write(path, audio, 44_100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 4])
    words = f"train --audio {path} --run {home}/cut --cache {home}/cache --epochs 1"
    words += f" --recipe {home}/tiny.yaml {TINY} --sample-seconds 0"
    assert main(words.split()) == 0
    description = RunFolder.open(home / "cut").describe()
    assert (description["sample_rate"], description["data"]["channels"]) == (16_000, 1)
    first, *others = capfd.readouterr().err.splitlines()
    assert re.fullmatch(rf"note: {path} is cut off or damaged: its first \d\.\d s are used", first)
    assert others[0].startswith("an epoch: ")
