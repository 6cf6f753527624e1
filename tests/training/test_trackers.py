"""Experiment trackers, without a server."""

import json
import os
import shutil
import struct

import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.training import throughput, validation_policy
from keras_rawaudio.training.csv_log import CsvLog
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.trackers import Mlflow, tracker
from keras_rawaudio.training.train import train


@pytest.fixture
def tracked(tmp_path, piece, cache, tiny, monkeypatch):
    """Trains a run of one epoch with a tracker; validates after each step."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(throughput, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(validation_policy, "VALIDATION_SHARE", 1.0)

    def train_with(name):
        recipe = tiny(sample_seconds=0.25)
        callbacks = [tracker(name, "run")]
        assert train([piece], "run", recipe, Budget(epochs=1), cache=cache, callbacks=callbacks)
        return RunFolder.open("run")

    return train_with


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite:///{}/mlflow.db", "file://{}/mlruns"])
def test_mlflow_has_figures_samples_and_the_model_and_goes_on(
    tracked, tmp_path, monkeypatch, store
):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(store.format(tmp_path))
    run = tracked("mlflow")
    client = mlflow.MlflowClient()
    (found,) = client.search_runs(["0"])
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "run"
    assert found.data.params["tiers.0.frame_size"] == "8"
    last = run.path / "log.csv"
    steps = {point.step for point in client.get_metric_history(found.info.run_id, "train_loss")}
    rows = last.read_text().splitlines()[1:]
    assert steps == {int(row.split(",")[0]) for row in rows}
    # By MLflow's own callback:
    assert found.data.params["optimizer_name"].startswith("adam")
    artifacts = {item.path for item in client.list_artifacts(found.info.run_id)}
    assert "model_summary.txt" in artifacts
    assert {"best.keras", "log.csv", "recipe.json", "samples"} <= artifacts
    samples = {item.path for item in client.list_artifacts(found.info.run_id, "samples")}
    assert {f"samples/step-{step:07d}.wav" for step in steps} <= samples
    assert resume("run", Budget(epochs=2), callbacks=[tracker("mlflow", "run")])
    (again,) = client.search_runs(["0"])
    assert again.info.run_id == found.info.run_id
    history = client.get_metric_history(found.info.run_id, "train_loss")
    assert max(point.step for point in history) > max(steps)


@pytest.mark.slow
def test_wandb_offline_keeps_a_run_with_its_files_and_goes_on(tracked, tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = tracked("wandb")
    (folder,) = (tmp_path / "wandb").glob("offline-run-*")
    number = (run.path / "wandb.txt").read_text()
    assert number in folder.name
    (media,) = (folder / "files/media").glob("audio")
    assert list(media.glob("*.wav"))
    rows = wandb_rows(folder)
    assert [row["epoch/epoch"] for row in rows] == logged_steps(run)
    assert all({"generated/path", "epoch/validation_loss"} <= set(row) for row in rows)
    (log,) = folder.glob("*.wandb")
    assert b"best.keras" in log.read_bytes()
    # W&B begins a file for each process; what it is sent to is the run of the number.
    assert resume("run", Budget(epochs=2), callbacks=[tracker("wandb", "run")])
    (again,) = set((tmp_path / "wandb").glob("offline-run-*")) - {folder}
    assert number in again.name
    assert [row["epoch/epoch"] for row in rows + wandb_rows(again)] == logged_steps(run)


def logged_steps(run):
    """The steps of log.csv."""
    return [int(row.split(",")[0]) for row in run.log.read_text().splitlines()[1:]]


def wandb_rows(folder):
    """The rows of history in the file of an offline run."""
    from wandb.proto.wandb_internal_pb2 import Record

    rows = []
    for data in records(next(folder.glob("*.wandb")).read_bytes()):
        items = Record.FromString(data).history.item
        if items:
            names = {item.key or "/".join(item.nested_key): item.value_json for item in items}
            rows.append({name: json.loads(value) for name, value in names.items()})
    return rows


def records(log):
    """The records of a log in LevelDB's format, after a header of 7 bytes."""
    record, at = b"", 7
    while at + 7 <= len(log):
        if (left := -at % 32768) < 7:  # blocks of 32 KiB, whose last bytes may be empty
            at += left
            continue
        size, kind = struct.unpack("<HB", log[at + 4 : at + 7])
        record += log[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # a full one, or the last part of one
            yield record
            record = b""


class Down(Mlflow):
    """A service that cannot be reached."""

    def begin(self, number, recipe):
        raise ConnectionError("no\nserver")

    def log_samples(self, step):
        raise ConnectionError("gone")


REFUSED = r"Down refuses: no\\nserver"


def test_a_service_that_fails_later_is_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="gone; training goes on"):
        Down(RunFolder(tmp_path)).on_epoch_end(1, {})


def test_a_service_that_refuses_leaves_no_folder(tmp_path, piece, cache, tiny):
    run = RunFolder(tmp_path / "new" / "run")
    with pytest.raises(UserError, match=REFUSED):
        train([piece], run.path, tiny(), Budget(epochs=1), cache=cache, callbacks=[Down(run)])
    assert not (tmp_path / "new").exists()


def test_a_service_that_refuses_a_resume_leaves_the_run_as_it_was(tmp_path, trained):
    run = RunFolder(shutil.copytree(trained, tmp_path / "run"))
    log = CsvLog(run.log)
    log.append({**log.rows[-1], "step": 10**6})  # as a process leaves that is killed after it

    def files():
        return {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}

    before = files()
    with pytest.raises(UserError, match=REFUSED):
        resume(run.path, Budget(epochs=2), learning_rate=1e-5, callbacks=[Down(run)])
    assert files() == before


def test_a_server_of_mlflow_that_is_not_there_is_refused_within_seconds(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "")
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")
    tried = []

    def start_run(**options):
        tried.append(int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]))
        raise ConnectionError

    monkeypatch.setattr(mlflow, "start_run", start_run)
    with pytest.raises(ConnectionError):
        Mlflow(RunFolder(tmp_path)).begin("1", {})
    assert sum(2.0 ** (turn + 1) for turn in range(tried[0])) <= 10  # as MLflow waits
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")
    with pytest.raises(ConnectionError):
        Mlflow(RunFolder(tmp_path)).begin("1", {})
    assert tried[1] == 7  # one's own setting stays


def test_one_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install '\.\[wandb\]'"):
        tracker("wandb", "run")


def test_a_damaged_number_is_one_line(tmp_path):
    (tmp_path / "mlflow.txt").write_bytes(b"\xff")
    with pytest.raises(UserError, match=r"mlflow\.txt; delete it"):
        Mlflow(RunFolder(tmp_path)).on_train_begin()
