"""Checkpoints: there from the start, and damaged ones."""

import errno
import json
from pathlib import Path

import numpy as np
import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.checkpoint import LARGEST_PROGRESS, require_checkpoint
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.trainer import Trainer


def test_a_checkpoint_exists_before_the_first_step(trainer, monkeypatch):
    made = trainer()

    def step(*arguments):
        assert made.run.training_state.is_file()
        raise RuntimeError("seen")

    monkeypatch.setattr(TrainingStep, "__call__", step)
    with pytest.raises(RuntimeError, match="seen"):
        made.fit()


def flipped(path):
    """A byte of the largest array is another."""
    with np.load(path) as saved:
        array = max((saved[name] for name in saved.files), key=lambda value: value.nbytes)
    data = bytearray(path.read_bytes())
    data[data.index(array.tobytes())] ^= 255
    path.write_bytes(bytes(data))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGES = {
    "cut": cut,
    "flipped": flipped,
    "gone": Path.unlink,
}


def resumed(made):
    return Trainer(made.run, made.recipe, made.corpus, made.model, made.budget, resume=True)


def check_equal(step, expected):
    for name, value in step.variables().items():
        np.testing.assert_array_equal(np.array(value), expected[name], err_msg=name)


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_checkpoint_before_is_used(trainer, capsys, damage):
    """With a line that says so."""
    made = trainer()
    made.run.path.mkdir(exist_ok=True)
    made.save()
    before = {name: np.array(value) for name, value in made.step.variables().items()}
    made.model.trainable_weights[0].assign(made.model.trainable_weights[0] + 1.0)
    made.save()
    DAMAGES[damage](made.run.training_state)
    again = resumed(made)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("note: ")
    assert line.endswith("going on from the one before, of step 0")
    check_equal(again.step, before)


@pytest.mark.slow
def test_a_run_that_goes_on_from_the_checkpoint_before_ends_as_if_nothing_had_happened(trainer):
    made = trainer()
    assert made.fit()
    end = {name: np.array(value) for name, value in made.step.variables().items()}
    cut(made.run.training_state)
    again = resumed(made)
    assert again.fit()
    check_equal(again.step, end)


def test_a_claim_of_20_terabytes_is_refused_without_memory(trainer, tmp_path):
    made = trainer()
    made.run.path.mkdir(exist_ok=True)
    made.save()
    with np.load(made.run.training_state) as saved:
        arrays = {name: saved[name] for name in saved.files}
    name = next(name for name, value in arrays.items() if value.ndim == 2)
    old = str(arrays[name].shape).encode()
    np.savez(made.run.training_state.open("wb"), **arrays)
    data = made.run.training_state.read_bytes()
    huge = b"(5000000, 1000000)"
    padded = data.replace(old + b", }" + b" " * (len(huge) - len(old)), huge + b", }", 1)
    assert len(padded) == len(data)
    assert padded != data
    made.run.training_state.write_bytes(padded)
    with pytest.raises(UserError, match="cannot resume from"):
        resumed(made)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        # It is read as a whole, so that its size is looked at first.
        ({"more": " " * LARGEST_PROGRESS}, "its progress is too long"),
        ({"steps": -1}, "no number of steps"),
        ({"seconds": float("inf")}, "no number of steps"),
        ({"best": float("nan")}, "its best validation is no number"),
        ({"since_best": -1}, "its best validation is no number"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_wrong_progress_is_refused(trainer, more, message):
    made = trainer()
    made.run.path.mkdir(exist_ok=True)
    made.save()
    with np.load(made.run.training_state) as saved:
        arrays = {name: saved[name] for name in saved.files}
    arrays["progress"] = np.array(json.dumps(json.loads(str(arrays["progress"])) | more))
    with made.run.training_state.open("wb") as file:
        np.savez(file, **arrays)
    with pytest.raises(UserError, match=message):
        resumed(made)


def test_a_folder_that_was_removed_is_missed_from_the_first_checkpoint_on(tmp_path):
    """The first one is of step 0."""
    gone = RunFolder(tmp_path / "gone")
    require_checkpoint(gone, -1)
    with pytest.raises(UserError, match="was removed or renamed"):
        require_checkpoint(gone, 0)


def test_a_checkpoint_that_may_not_be_read_costs_no_steps(trainer, monkeypatch):
    """It is no damaged one: the one before it would be of an earlier step."""
    made = trainer()
    made.fit()

    def refuse(path, *_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("keras_rawaudio.training.checkpoint.zipfile.ZipFile", refuse)
    before = made.run.training_state.read_bytes()
    with pytest.raises(
        UserError, match=r"training_state\.npz: Permission denied; look at its perm"
    ):
        resumed(made).fit()
    assert made.run.training_state.read_bytes() == before
