"""A disk that fills up while a training writes: one line, exit code 2, nothing half-written.

The limit of a file's size stands for a full disk: each library meets the error as it writes.
"""

import os
import subprocess
import sys

import pytest

COMMAND = """
import resource, sys
from keras_rawaudio.cli import main
from keras_rawaudio.cli.tensorflow_loader import load_tensorflow
load_tensorflow()
from keras_rawaudio.training import trainer
limit = int(sys.argv[1])

def full(*arguments):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

trainer.announce = full  # the first checkpoint is written
sys.exit(main(sys.argv[2:]))
"""
RECIPE = """
description: next to nothing
codec: {name: mulaw, levels: 16}
tiers: [{frame_size: 8, units: 6}]
head: {kind: categorical, hidden_units: 8, layers: 1}
data: {length: 64, batch: 4}
training: {sample_seconds: 0.5}
"""
PIPELINE = """
import resource
import numpy as np
import tensorflow
from keras_rawaudio.data.windows import StreamPlan, window_dataset
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
ramp = np.arange(8, dtype=np.int16)
next(iter(window_dataset([ramp], np.float32, StreamPlan([8], window=4), context=2)))
"""


@pytest.mark.slow
@pytest.mark.parametrize("limit", [300, 40_000])
def test_a_training_ends_in_one_line(tmp_path, piece, cache, limit):
    """From the event file and the checkpoint to the picture of the learning curve."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    words = ["train", "--audio", str(piece), "--cache", str(cache), "--run", str(tmp_path / "run")]
    words += ["--recipe", str(tmp_path / "tiny.yaml"), "--epochs", "1"]
    # Coverage, where it is on, could not write either, and says so with a traceback of its own.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, str(limit), *words],
        capture_output=True,
        text=True,
        env=environment,
    )
    errors = [line for line in done.stderr.splitlines() if line.startswith("keras-rawaudio")]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1
    assert "cannot write" in errors[0] or "the system refuses" in errors[0]
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "run").rglob(".*"))
    again = subprocess.run(
        [sys.executable, "-m", "keras_rawaudio", "train", "--run", words[6], "--resume"],
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr


@pytest.mark.slow
def test_a_pipeline_writes_no_file():
    """AutoGraph would write a file for each function that it converts."""
    words = [sys.executable, "-c", PIPELINE]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {k: v for k, v in environment.items() if not k.startswith("COV")}
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "AutoGraph" not in done.stderr
