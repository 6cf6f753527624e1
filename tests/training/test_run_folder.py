"""The run folder: locked, cleared of what a killed training left, read with suspicion."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.run_folder import FORMAT_VERSION, RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train
from keras_rawaudio.training.trainer import Trainer

HOLD = """
import sys, time
from pathlib import Path
from keras_rawaudio.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print(flush=True)
    time.sleep(100)
"""


def files(run):
    return {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


@pytest.fixture
def held(tmp_path):
    """Makes another process hold a run folder."""
    processes = []

    def make(run):
        command = [sys.executable, "-c", HOLD, str(run)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        processes[-1].stdout.readline()
        return processes[-1].pid

    yield make
    for process in processes:
        process.kill()
        process.wait()


def test_two_trainings_in_one_folder(tmp_path, piece, cache, tiny, held):
    """The second one is refused by the first one's number, and changes nothing."""
    run = tmp_path / "run"
    budget = Budget(epochs=1)
    pid = held(run)  # before its first checkpoint
    with pytest.raises(UserError, match=f"in use by process {pid};"):
        train([piece], run, tiny(), budget, cache=cache)
    (run / "best.keras").write_bytes(b"of the first")
    before = files(run)
    with pytest.raises(UserError, match=f"in use by process {pid};"):
        train([piece], run, tiny(), budget, cache=cache)
    assert files(run) == before


def test_two_resumes_in_one_folder(tmp_path, trained, held):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    pid = held(run)
    before = files(run)
    with pytest.raises(UserError, match=f"in use by process {pid};"):
        resume(run, Budget(epochs=2))
    assert files(run) == before


@pytest.fixture
def killed_early(tmp_path, piece, cache, tiny, monkeypatch):
    """A run folder as kill -9 leaves it before the first checkpoint."""

    class Killed(BaseException):
        pass

    def kill(*arguments):
        raise Killed

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save_checkpoint", kill)
        patch.setattr(RunFolder, "clear", lambda self: None)
        with pytest.raises(Killed):
            train([piece], run, tiny(), Budget(epochs=1), cache=cache)
    (run / ".partial-1-training_state.npz").write_bytes(b"half")
    (run / "codes.npz").write_bytes(b"of a model of codes")
    assert (run / "run.json").exists()
    assert not (run / "training_state.npz").exists()
    return run


@pytest.mark.parametrize("by", [pytest.param("train", marks=pytest.mark.slow), "resume"])
def test_a_run_killed_before_its_first_checkpoint_starts_over(killed_early, piece, cache, tiny, by):
    if by == "train":
        assert train([piece], killed_early, tiny(), Budget(epochs=1), cache=cache)
    else:
        assert resume(killed_early)
    assert RunFolder.open(killed_early).training_state.is_file()
    assert not list(killed_early.glob(".partial-*"))


@pytest.mark.parametrize("by", ["train", "resume"])
def test_a_refused_start_over_leaves_what_a_killed_training_left(
    killed_early, piece, cache, tiny, by
):
    """Audio on a disk that is not there: the run can still be resumed when it is."""

    def described():
        return {path: path.read_bytes() for path in killed_early.glob("*.json")}

    def start_over():
        if by == "resume":
            return resume(killed_early)
        return train([piece], killed_early, tiny(), Budget(epochs=9), cache=cache)

    before, moved = described(), piece.with_suffix(".moved")
    piece.rename(moved)
    try:
        with pytest.raises(UserError, match="no such file"):
            start_over()
    finally:
        moved.rename(piece)
    assert described() == before


def test_one_folder_for_the_run_and_prepared_audio_is_refused(tmp_path, piece, tiny):
    with pytest.raises(UserError, match="cannot hold the run and prepared audio"):
        train([piece], tmp_path / "new", tiny(), Budget(epochs=1), cache=tmp_path / "." / "new")
    assert not (tmp_path / "new").exists()


def test_only_what_a_run_makes_is_removed(tmp_path, piece, cache, tiny, monkeypatch):
    run = tmp_path / "run"

    def fail(*arguments):
        (run / "thesis.txt").write_text("put there meanwhile")
        raise RuntimeError

    monkeypatch.setattr("keras_rawaudio.training.train.prepare", fail)
    with pytest.raises(RuntimeError):
        train([piece], run, tiny(), Budget(epochs=1), cache=cache)
    assert {p.name for p in run.iterdir()} == {"thesis.txt"}


WHOLE = {"format_version": FORMAT_VERSION, "corpus": "x", "sample_rate": 8000, "seed": 0}


@pytest.mark.parametrize(
    "content",
    [
        b"[1, 2]",
        b'"text"',
        b"{",
        b"",
        '{"seed": "\xe9"}'.encode("latin-1"),
        b"[" * 100_000,
        b'{"format_version": ' + b"9" * 5000 + b"}",
        json.dumps({**WHOLE, "format_version": 99}).encode(),
        json.dumps({**WHOLE, "sample_rate": "8000"}).encode(),
        json.dumps({**WHOLE, "corpus": None}).encode(),
        json.dumps({**WHOLE, "baselines": []}).encode(),
        json.dumps({**WHOLE, "parameters": True}).encode(),
    ],
)
def test_a_damaged_description_is_one_line(tmp_path, content):
    run = RunFolder(tmp_path)
    run.description.write_bytes(content)
    run.recipe.write_text("{}")
    with pytest.raises(UserError) as error:
        RunFolder.open(tmp_path)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_missing_value_is_named(tmp_path):
    run = RunFolder(tmp_path)
    run.write_json(run.description, WHOLE)
    with pytest.raises(UserError, match=r"'measure' is missing"):
        run.describe()["measure"]


@pytest.mark.parametrize("seed", [-1, 1 << 32, 10**30, True, "1"])
@pytest.mark.parametrize("name", ["request.json", "run.json"])
def test_a_seed_that_no_training_has_is_damage(tmp_path, name, seed):
    (tmp_path / name).write_text(json.dumps({"format_version": 1, "seed": seed}))
    run = RunFolder(tmp_path)
    with pytest.raises(UserError, match=rf"{name}: 'seed' is wrong"):
        run.read_request() if name == "request.json" else run.describe()


@pytest.mark.parametrize("values", [{}, {"name": ["a"], "description": ""}])
def test_a_recipe_without_a_name_is_damaged(tmp_path, values):
    folder = RunFolder(tmp_path)
    folder.recipe.write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"recipe\.json"):
        folder.read_recipe()


@pytest.mark.skipif(os.name == "nt", reason="a FIFO")
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
@pytest.mark.parametrize("name", ["training_state.npz", "last.keras", "learning_curve.png"])
def test_a_resume_that_could_not_save_is_refused_before_its_first_step(tmp_path, name, make):
    (tmp_path / "run.json").write_text('{"format_version": 1}')
    (tmp_path / "recipe.json").write_text("{}")
    make(tmp_path / name)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UserError, match=f"{name}: it is no file"), RunFolder.resuming(tmp_path):
        pass
    assert sorted(os.listdir(tmp_path)) == before


@pytest.mark.parametrize("name", ["samples", "tensorboard", "exported"])
def test_a_resume_needs_only_the_folders_that_training_writes_to(tmp_path, monkeypatch, name):
    """An export in the run folder may be read-only."""
    (tmp_path / "run.json").write_text('{"format_version": 1}')
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / name).mkdir()
    # By name, because everything is writable to root.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != name)
    if name == "exported":
        with RunFolder.resuming(tmp_path):
            return
    with pytest.raises(UserError, match="another user's"), RunFolder.resuming(tmp_path):
        pass


def test_a_read_only_disk_is_called_one(tmp_path, monkeypatch):
    """Its folders are not another user's."""
    (tmp_path / "run.json").write_text('{"format_version": 1}')
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / "tensorboard").mkdir()
    monkeypatch.setattr(os, "access", lambda path, mode: False)

    def acquire(lock, timeout):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    with pytest.raises(UserError, match="Read-only file system"), RunFolder.resuming(tmp_path):
        pass


def test_true_is_no_version(tmp_path):
    (tmp_path / "run.json").write_text('{"format_version": true}')
    with pytest.raises(UserError, match="has format True"):
        RunFolder(tmp_path).describe()


def test_a_name_that_is_not_utf_8_is_refused():
    with pytest.raises(UserError, match=r"'run-\\udcff' is not UTF-8; rename the folder"):
        RunFolder.open("run-\udcff")


def test_a_folder_in_the_making_is_no_obstacle_and_stays(tmp_path):
    """An export into the run folder that was killed; it may hold the export of before."""
    (tmp_path / "run.json").write_text('{"format_version": 1}')
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / ".partial-12" / "old").mkdir(parents=True)
    (tmp_path / ".partial-12-log.csv").write_text("half")
    with RunFolder.resuming(tmp_path):
        assert (tmp_path / ".partial-12" / "old").is_dir()
        assert not (tmp_path / ".partial-12-log.csv").exists()


@pytest.mark.parametrize("content", ["", "{}", '{"method": "GET"}', "[1]"])
def test_somebody_elses_request_makes_no_run(tmp_path, content):
    """Else its neighbours of these names would be removed, or written over."""
    (tmp_path / "request.json").write_text(content)
    (tmp_path / "codes.npz").write_bytes(b"mine")
    with pytest.raises(UserError, match=r"already holds a run|holds no run"):
        RunFolder.check_new(tmp_path)
    assert not RunFolder(tmp_path).can_start_over()


def test_files_that_are_named_like_ones_in_the_making_stay(tmp_path):
    run = RunFolder(tmp_path)
    run.samples.mkdir()
    for folder in (run.path, run.samples):
        (folder / ".partial-notes.txt").write_text("mine")
        (folder / ".partial-12-log.csv").write_text("half")
    run.remove_partials()
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob(".partial*"))
    assert left == [".partial-notes.txt", "samples/.partial-notes.txt"]
    with pytest.raises(UserError, match="holds no run"):
        RunFolder.check_new(tmp_path)


def test_what_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    (tmp_path / "run.json").write_text("{}")

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UserError, match=r"run\.json: Permission denied; look at its permissions$"):
        RunFolder(tmp_path).describe()


def test_the_file_that_a_run_folder_lacks_is_named(tmp_path):
    for name in ("run.json", "recipe.json"):
        with pytest.raises(UserError, match=f"it has no {name}; train one first"):
            RunFolder.open(tmp_path)
        (tmp_path / name).write_text("{}")
