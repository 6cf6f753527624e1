"""Training by several replicas and processes: the curve of one with the whole batch."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml

from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes import recipe_from_json
from keras_rawaudio.training import workers
from keras_rawaudio.training.replicas import Replicas
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train
from keras_rawaudio.training.workers import TF_CONFIG, Cluster, train_here

# Sums of gradients in another order, over two epochs.
TOLERANCE = 1e-4
NOTHING_DRAWN = {"dropout": 0.0, "input_noise": 0.0, "own_draws": 0.0}
MIRRORED = """
import sys
import tensorflow as tf
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
from keras_rawaudio.recipes import load_recipe
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.train import train
piece, recipe, run, cache = sys.argv[1:]
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
train([piece], run, load_recipe(recipe), Budget(epochs=1), cache=cache, strategy=strategy)
resume(run, Budget(epochs=2), strategy=strategy)
"""


@pytest.fixture
def values(tiny):
    """A tiny recipe whose curve does not hang on the budget."""
    return tiny(schedule="constant").to_json()


@pytest.fixture
def recipe(values, tmp_path):
    """Its path."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture
def alone(tmp_path, piece, cache, values):
    """The run folder of one process that trained two epochs."""
    run = RunFolder(tmp_path / "alone")
    train([piece], run.path, recipe_from_json(values), Budget(epochs=2), cache=cache)
    return run


def assert_same_curve(run, expected):
    """The last row of the log, the weights and the state of all rows."""
    rows = [list(csv.DictReader(r.log.open()))[-1] for r in (run, expected)]
    assert rows[0]["step"] == rows[1]["step"]
    losses = [float(row["validation_loss"]) for row in rows]
    assert losses[0] == pytest.approx(losses[1], rel=TOLERANCE)
    found, wanted = (np.load(r.training_state) for r in (run, expected))
    assert found.files == wanted.files
    for name in wanted.files:
        if name != "progress":
            np.testing.assert_allclose(
                found[name], wanted[name], rtol=0, atol=TOLERANCE, err_msg=name
            )


def config(number, cluster):
    return json.dumps({"cluster": cluster, "task": {"type": "worker", "index": number}})


def test_the_chief_is_first():
    addresses = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    assert (Cluster(config(1, addresses)).number, Cluster(config(1, addresses)).size) == (2, 3)
    assert Cluster(config(0, {"worker": ["b:1"]})).number == 0


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"cluster": {}, "task": {}}'),
        config(2, {"worker": ["a:1", "b:1"]}),
        config(0, {"worker": ["a:1"], "ps": ["b:1"]}),
        config(0, {"worker": "ab"}),
        config(0, {"worker": {"a:1": 1, "b:1": 1}}),
        config(0, {"worker": ["a:1", "b"]}),
        config(0, {"worker": ["a:1", "b:99999"]}),
        config(0, {"worker": ["a:1", 2]}),
        config(0, {"worker": ["a:1", "a:1"]}),
        config(0.5, {"worker": ["a:1", "b:1"]}),
        config(float("inf"), {"worker": ["a:1", "b:1"]}),
        config(True, {"worker": ["a:1", "b:1"]}),
        "[" * 100_000,
    ],
)
def test_a_wrong_configuration_is_one_line(text):
    with pytest.raises(UserError, match="cannot use TF_CONFIG"):
        Cluster(text)


def test_a_batch_that_does_not_divide_is_refused():
    replicas = Replicas()
    replicas.count = 4
    with pytest.raises(UserError, match="try --batch 8"):
        replicas.rows(6)


def test_two_ways_to_ask_for_workers_are_refused(monkeypatch, capsys):
    from keras_rawaudio.cli import main

    monkeypatch.setenv(TF_CONFIG, config(0, {"worker": ["a:1", "b:1"]}))
    assert main(["train", "--audio", "a.wav", "--run", "run", "--workers", "2"]) == 2
    assert "TF_CONFIG is set" in capsys.readouterr().err


@pytest.mark.slow
def test_two_devices_are_one_with_the_whole_batch(tmp_path, piece, cache, recipe, alone):
    """Two epochs with a resumption between them: each device has the state of its rows."""
    run = RunFolder(tmp_path / "run")
    command = [sys.executable, "-c", MIRRORED, piece, recipe, run.path, cache]
    subprocess.run(command, check=True, timeout=600)
    assert_same_curve(run, alone)


class TestSpectral:
    """The same of a model of codes, without what is drawn: dropout, noise, its own draws."""

    @pytest.fixture
    def values(self):
        return {
            "name": "tiny",
            "description": "",
            "spectral": {"units": 8, "components": 8, "clock_harmonics": 2, **NOTHING_DRAWN},
            "data": {"length": 8, "batch": 4},
            # By SGD: Adam would scale up the rounding of biases that a softmax is blind to.
            "training": {"optimizer": "sgd", "learning_rate": 0.1, "schedule": "constant"}
            | {"sample_seconds": 0.0, "validate_every": 1000.0},
        }

    @pytest.fixture
    def piece(self, tmp_path):
        return write_demo_piece(tmp_path / "piece.wav", 8.0, 2000)

    @pytest.mark.slow
    def test_two_devices_are_one(self, tmp_path, piece, cache, recipe, alone):
        test_two_devices_are_one_with_the_whole_batch(tmp_path, piece, cache, recipe, alone)

    @pytest.mark.slow
    def test_two_processes_are_one(self, tmp_path, piece, cache, recipe, alone):
        """Each prepares its codebooks; those of the chief hold."""
        run = RunFolder(tmp_path / "run")
        words = [sys.executable, "-m", "keras_rawaudio", "train", "--run", str(run.path)]
        begin = [*words, "--audio", str(piece), "--recipe", str(recipe), "--cache", str(cache)]
        for command in ([*begin, "--epochs", "1"], [*words, "--resume", "--epochs", "2"]):
            subprocess.run([*command, "--workers", "2"], check=True, timeout=600)
        assert_same_curve(run, alone)


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "others"), [(2, 1), (4, 4)])
def test_processes_one_of_them_killed_and_then_others(
    tmp_path, piece, cache, recipe, alone, workers, others
):
    """A worker is killed in mid-epoch; others, or as many, end what they began."""
    run = RunFolder(tmp_path / "run")
    words = [sys.executable, "-m", "keras_rawaudio", "train", "--run", str(run.path)]
    begin = [*words, "--audio", str(piece), "--recipe", str(recipe), "--cache", str(cache)]
    begin += ["--epochs", "1", "--workers", str(workers)]
    assert subprocess.run(begin, timeout=600).returncode == 0
    assert run.best.is_file()
    assert len(list(csv.DictReader(run.log.open()))) == 1

    going_on = [*words, "--resume", "--epochs", "100000", "--workers", str(workers)]
    with subprocess.Popen(going_on, stderr=subprocess.PIPE, text=True) as launcher:
        line = next(line for line in launcher.stderr if line.startswith("an epoch"))
        assert line
        time.sleep(1)
        victim = children(launcher.pid)[-1]
        os.kill(victim, signal.SIGKILL)
        errors = launcher.stderr.read()
    assert launcher.returncode == 2
    assert "a worker was killed (signal 9); go on with --resume" in errors or "is gone" in errors
    assert "Traceback" not in errors

    ending = [*words, "--resume", "--epochs", "2", "--workers", str(others)]
    assert subprocess.run(ending, timeout=600).returncode == 0
    assert_same_curve(run, alone)


def children(process):
    """The numbers of the processes that one started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=True
    )
    return sorted(map(int, found.stdout.split()))


def test_what_fails_in_all_processes_is_one_line(tmp_path, capfd):
    words = ["train", "--audio", str(tmp_path / "nothing.wav"), "--run", str(tmp_path / "new")]
    assert train_here(3, words) == 2
    assert capfd.readouterr().err.count("no such file or folder") == 1


def test_what_fails_in_one_of_the_others_is_printed(monkeypatch, capfd):
    code = """
import json, os, sys, time
if json.loads(os.environ["TF_CONFIG"])["task"]["index"] == 1:
    sys.exit("the second one fails")
time.sleep(60)
"""
    monkeypatch.setattr(workers, "SAME_FAILURE", 0.3)
    start = subprocess.Popen
    monkeypatch.setattr(
        workers.subprocess,
        "Popen",
        lambda command, **options: start([sys.executable, "-c", code], **options),
    )
    assert workers.train_here(3, []) == 1
    assert capfd.readouterr().err == "the second one fails\n"
