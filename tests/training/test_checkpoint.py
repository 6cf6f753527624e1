"""Checkpoints: there from the start, and damaged ones."""

import numpy as np
import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.schedule import Budget
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


def flipped(path, where):
    data = bytearray(path.read_bytes())
    data[int(where * len(data))] ^= 255
    path.write_bytes(bytes(data))


def test_the_checkpoint_before_is_used(trainer, tiny, capsys):
    """With a line that says so; the run ends as if nothing had happened."""
    made = trainer(tiny(), Budget(epochs=1))
    assert made.fit()
    end = {name: np.array(value) for name, value in made.step.variables().items()}
    path = made.run.training_state
    damages = [
        lambda: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
        lambda: flipped(path, 0.3),
        path.unlink,
    ]
    for damage in damages:
        damage()
        capsys.readouterr()
        again = Trainer(made.run, made.recipe, made.corpus, made.model, made.budget, resume=True)
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("note: ")
        assert line.endswith("going on from the one before, of step 0")
    assert again.fit()
    for name, value in again.step.variables().items():
        np.testing.assert_array_equal(np.array(value), end[name], err_msg=name)


def test_a_claim_of_20_terabytes_is_refused_without_memory(trainer, tmp_path):
    made = trainer()
    made.fit()
    made.run.previous_state.unlink()
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
        Trainer(made.run, made.recipe, made.corpus, made.model, made.budget, resume=True)
