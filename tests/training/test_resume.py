"""An interrupted run that goes on is the run that was never interrupted, bit for bit."""

import csv
import json
import shutil

import keras
import numpy as np
import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.train import train
from keras_rawaudio.training.trainer import Trainer


@pytest.fixture
def interrupt(monkeypatch):
    """Makes trainings stop, as by Ctrl-C, after so many steps."""

    def after(steps):
        made, learn = [], TrainingStep.__call__
        begin = Trainer._loop

        def loop(self):
            made.append(self)
            begin(self)

        def step(self, batch, rate):
            result = learn(self, batch, rate)
            made[-1].interrupt.requested = made[-1].steps + 1 == steps
            return result

        monkeypatch.setattr(Trainer, "_loop", loop)
        monkeypatch.setattr(TrainingStep, "__call__", step)

    return after


def checkpoint(run):
    with np.load(RunFolder(run).training_state) as saved:
        arrays = {name: saved[name] for name in saved.files}
    progress = json.loads(str(arrays.pop("progress")))
    progress.pop("seconds")
    return progress, arrays


def log(run):
    with RunFolder(run).log.open() as file:
        timed = ("minutes", "samples_per_second", "train_loss", "gradient_norm")
        return [{k: v for k, v in row.items() if k not in timed} for row in csv.DictReader(file)]


@pytest.mark.parametrize(
    ("stops", "kind"),
    [
        ([5], {}),
        pytest.param([-3, 5], {}, marks=pytest.mark.slow),
        pytest.param([-3, 5], {"noisy": True}, marks=pytest.mark.slow),
        pytest.param([-3, 5], {"clock": True, "weight_decay": 0.01}, marks=pytest.mark.slow),
        pytest.param([-3, 5], {"average": None}, marks=pytest.mark.slow),
        pytest.param([-3, 5], {"weight_noise": 0.01}, marks=pytest.mark.slow),
    ],
)
def test_resumed_is_uninterrupted(
    tmp_path, piece, cache, tiny, interrupt, monkeypatch, stops, kind
):
    """Pitfall 13: weights, optimizer, data order, carried state, random state and schedule.

    `stops` are steps after the first epoch.
    """
    recipe, budget = tiny(**kind), Budget(epochs=2)
    assert recipe.training.average == kind.get("average", 0.998)
    assert train([piece], tmp_path / "whole", recipe, budget, cache=cache)
    per_epoch = int(log(tmp_path / "whole")[-1]["step"]) // 2
    with monkeypatch.context():
        for stop in stops:
            steps = per_epoch + stop
            interrupt(steps)
            if stop == stops[0]:
                assert not train([piece], tmp_path / "parts", recipe, budget, cache=cache)
            else:
                assert not resume(tmp_path / "parts")
            assert checkpoint(tmp_path / "parts")[0]["steps"] == steps
            size = RunFolder(tmp_path / "parts").training_state.stat().st_size
        interrupt(None)
        assert resume(tmp_path / "parts")  # with the budget that the run was begun with
    progress, arrays = checkpoint(tmp_path / "parts")
    expected_progress, expected = checkpoint(tmp_path / "whole")
    assert progress == expected_progress
    assert arrays.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(arrays[name], expected[name], err_msg=name)
    assert log(tmp_path / "parts") == log(tmp_path / "whole")
    averages = [name for name in arrays if name.startswith("average/")]
    assert bool(averages) == bool(recipe.training.average)
    grown = RunFolder(tmp_path / "parts").training_state.stat().st_size - size
    assert abs(grown) < 100  # the progress in words, and nothing else


def test_a_run_without_budget_left_stays_what_it_is(tmp_path, piece, cache, tiny):
    run = RunFolder(tmp_path / "run")
    assert train([piece], run.path, tiny(), Budget(epochs=2), cache=cache)
    before = {path: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    assert resume(run.path, Budget(epochs=1), learning_rate=1e-5)
    assert {path: path.read_bytes() for path in run.path.iterdir() if path.is_file()} == before


@pytest.mark.slow
def test_rows_of_a_crash_are_written_again(tmp_path, piece, cache, tiny, interrupt):
    run = RunFolder(tmp_path / "run")
    interrupt(4)
    train([piece], run.path, tiny(), Budget(epochs=1), cache=cache)
    # What a process killed between log and checkpoint leaves: rows from steps that are lost.
    names = ["step", "minutes", "train_loss", run.describe()["measure"], "validation_loss"]
    run.log.write_text(",".join(names) + "\n3,0.1,2,1.5,1.5\n9,0.2,2,1.25,1.25\n")
    interrupt(5)
    assert not resume(run.path)
    assert [row["step"] for row in log(run.path)] == ["3"]


@pytest.mark.slow
def test_a_used_budget_is_printed_and_can_be_raised(tmp_path, piece, cache, tiny, capsys):
    recipe = tiny(early_stopping=None)
    train([piece], tmp_path / "run", recipe, Budget(epochs=1), cache=cache)
    steps = checkpoint(tmp_path / "run")[0]["steps"]
    assert resume(tmp_path / "run")
    assert "used its budget" in capsys.readouterr().err
    assert resume(tmp_path / "run", Budget(epochs=2))
    assert checkpoint(tmp_path / "run")[0]["steps"] == 2 * steps
    assert RunFolder(tmp_path / "run").describe()["budget"] == {"minutes": None, "epochs": 2}


@pytest.mark.parametrize("content", [None, b"", b"not a zip file at all"])
def test_no_checkpoint_or_a_broken_one(tmp_path, trained, content):
    shutil.copytree(trained, tmp_path / "run")
    state = RunFolder(tmp_path / "run").training_state
    RunFolder(tmp_path / "run").previous_state.unlink()
    state.unlink()
    if content is not None:
        state.write_bytes(content)
    with pytest.raises(UserError, match="cannot resume from"):
        resume(tmp_path / "run")


@pytest.mark.slow
def test_what_was_fitted_outlives_an_interruption(tmp_path, piece, cache, tiny, interrupt):
    """Pitfall 13: filters, codebooks, limits and the clock's period are in the checkpoint."""
    interrupt(2)
    assert not train([piece], tmp_path / "run", tiny(clock=True), Budget(epochs=1), cache=cache)
    run = RunFolder(tmp_path / "run")
    before = keras.saving.load_model(run.last, compile=False)
    assert float(before.tiers[0].period.value[0]) > 100  # samples; 1 before it was found
    filters = keras.ops.convert_to_numpy(before.head.filter_bank.taps)
    assert (np.count_nonzero(filters, axis=1) > 1).all()  # 1 before they were fitted
    interrupt(None)
    assert resume(run.path)
    after = keras.saving.load_model(run.last, compile=False)
    for a, b in (
        (before.tiers[0].period, after.tiers[0].period),
        (before.head.filter_bank.taps, after.head.filter_bank.taps),
        (before.head.codes.envelope.codebook, after.head.codes.envelope.codebook),
        (before.head.residual_limit, after.head.residual_limit),
    ):
        np.testing.assert_array_equal(a, b)
