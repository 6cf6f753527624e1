"""A run that is trained again from its own description."""

import os
import shutil

import pytest

from keras_rawaudio.cli import main
from keras_rawaudio.training.rerun import compare_runs
from keras_rawaudio.training.run_folder import RunFolder


@pytest.fixture
def first(trained, tmp_path):
    """A copy of the run."""
    return RunFolder(shutil.copytree(trained, tmp_path / "run"))


@pytest.mark.slow
def test_the_same_audio_gives_the_same_weights(first, capsys):
    """And a cache that was cleared has the prepared audio again."""
    corpus = first.describe()["corpus"]
    shutil.rmtree(corpus)
    assert main(["evaluate", "--run", str(first.path)]) == 2
    assert "rerun prepares a run's audio there again" in capsys.readouterr().err
    assert main(["rerun", str(first.path)]) == 0
    assert os.path.isdir(corpus)
    data, versions, result = capsys.readouterr().out.splitlines()
    assert data.startswith("data: agree; SHA-256 of the samples: ")
    assert versions == "versions: agree; Python, packages, code"
    assert result == "result: agree; weights and optimizer are equal bit for bit"
    again = RunFolder.open(f"{first.path}-rerun")
    assert again.read_request() == first.read_request()


def test_other_audio_and_versions_are_named(first):
    other = RunFolder(first.path.parent / "new")
    shutil.copytree(first.path, other.path)
    values = first.describe()
    other.write_json(other.description, {**values, "samples_sha256": "0" * 64})
    values["versions"]["keras"] = "2.0"
    first.write_json(first.description, values)
    other.training_state.unlink()
    data, versions, result = compare_runs(first, other)
    assert not any(compared.agrees for compared in (data, versions, result))
    assert "keras 2.0 then, 3." in str(versions)
    assert str(result).startswith("result: differ; best bits_per_sample ")


def test_audio_that_is_gone_is_one_line(first, capsys):
    request = first.read_request()
    first.write_json(first.request, {**request, "audio": [str(first.path / "piece.wav")]})
    assert main(["rerun", str(first.path)]) == 2
    assert "piece.wav" in capsys.readouterr().err
    assert not first.path.with_name("run-rerun").exists()


def test_the_rerun_of_a_run_that_is_named_by_a_dot_lies_beside_it(first, capsys, monkeypatch):
    taken = first.path.with_name("run-rerun")
    taken.mkdir()
    (taken / "mine").write_text("")
    monkeypatch.chdir(first.path)
    assert main(["rerun", "."]) == 2
    assert f"{taken} is not empty" in capsys.readouterr().err
