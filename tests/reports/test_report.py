"""A run's page: what is on it, and that it never spoils a training."""

import json
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from keras_rawaudio.cli import main
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.errors import UserError
from keras_rawaudio.reports import report
from keras_rawaudio.reports.report import Report, write_report
from keras_rawaudio.settings import flat
from keras_rawaudio.training.run_folder import RunFolder


def test_training_leaves_a_page(run):
    """Pitfall 12: the curve stands beside what needs no network; pitfall 19: so does the sound."""
    page = run.report.read_text()
    for title in ("Verdict", "Learning", "Listen", "Checkpoints", "Real beside generated"):
        assert f"<h2>{title}</h2>" in page
    for title in (
        "Measures",
        "Negative log-likelihood",
        "Data and codec",
        "Sizes and speeds",
        "Recipe",
    ):
        assert f"<h2>{title}</h2>" in page
    checkpoints = len(list(run.samples.glob("*.wav")))
    assert page.count("<audio") == 2 + 6 + checkpoints
    for words in (
        "the seed ends",
        "temperature 0.8",
        "order 1",
        "tiers.0.units",
        "mulaw",
        "song.wav",
    ):
        assert words in page, words
    assert "0:16 min" in page  # the train part
    found = json.loads(run.measures.read_text())
    assert (found["seconds"], found["streams"], len(found["findings"])) == (2.0, 3, 3)


def test_a_page_elsewhere_without_sound(run, tmp_path, capfd):
    before = run.report.read_bytes()
    out = tmp_path / "new" / "page.html"
    assert main(["report", "--run", str(run.path), "--out", str(out), "--seconds", "0"]) == 0
    assert "wrote" in capfd.readouterr().err
    page = out.read_text()
    assert "<audio" not in page
    assert "<h2>Learning</h2>" in page
    assert run.report.read_bytes() == before


def test_less_than_a_second_is_refused(run, tmp_path, capfd):
    words = ["report", "--run", str(run.path), "--out", str(tmp_path / "page.html")]
    assert main([*words, "--seconds", "0.5"]) == 2
    assert "a second or more, or 0 for none, not 0.5" in capfd.readouterr().err
    assert not (tmp_path / "page.html").exists()


@pytest.mark.slow
def test_a_page_in_place_of_a_folder_is_refused_before_anything_is_written(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / "measures.json").unlink(missing_ok=True)
    with pytest.raises(UserError, match="it is no file"):
        write_report(tmp_path / "run", tmp_path / "run")
    assert not (tmp_path / "run" / "measures.json").exists()


@pytest.mark.slow
def test_a_page_that_cannot_be_written_leaves_the_figures_of_the_one_before(
    run, tmp_path, monkeypatch
):
    def full(*_):
        raise UserError("cannot write report.html: No space left on device")

    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / "measures.json").write_text("{}")
    monkeypatch.setattr("keras_rawaudio.reports.report.write_page", full)
    with pytest.raises(UserError, match="No space left"):
        write_report(tmp_path / "run", seconds=1.0)
    assert (tmp_path / "run" / "measures.json").read_text() == "{}"


def test_figures_that_cannot_be_written_leave_the_page_of_before(run, tmp_path):
    shutil.copytree(run.path, tmp_path / "run")
    (tmp_path / "run" / "report.html").write_text("<html>before</html>")
    (tmp_path / "run" / "measures.json").unlink(missing_ok=True)
    (tmp_path / "run" / "measures.json").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*measures\.json: it is no file"):
        write_report(tmp_path / "run", seconds=1.0)
    assert (tmp_path / "run" / "report.html").read_text() == "<html>before</html>"


@pytest.mark.slow
def test_a_frame_recipe_on_a_few_seconds_of_audio(tmp_path, capfd):
    """Nothing is drawn by chance, and next to nothing follows the seed."""
    write_demo_piece(tmp_path / "song.wav", 5.0, 2000)
    words = f"train --audio {tmp_path}/song.wav --run {tmp_path}/run --cache {tmp_path}/cache"
    words += " --recipe frame-gru --epochs 1 --sample-seconds 1 --set tiers.0.units=8"
    words += " tiers.0.frame_size=50 data.length=200 data.batch=4"
    assert main(words.split()) == 0
    assert "look and listen" in capfd.readouterr().err
    page = (tmp_path / "run" / "report.html").read_text()
    assert "of variance unexplained" in page
    assert page.count("<audio") == 4  # real, seed, temperature 1, one checkpoint
    assert "Negative log-likelihood" not in page


def test_a_page_that_fails_is_no_failed_training(run, monkeypatch, capfd):
    def fail(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(report, "write_report", fail)
    assert main(["train", "--resume", "--run", str(run.path)]) == 0
    err = capfd.readouterr().err
    assert re.search(r"no page: no room; keras-rawaudio report --run .*run tries again", err)


def test_a_page_that_is_stopped_is_no_failed_training(run, monkeypatch, capfd):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "write_report", stop)
    assert main(["train", "--resume", "--run", str(run.path)]) == 0
    assert "the training is complete, but no page: stopped; keras-raw" in capfd.readouterr().err


@pytest.mark.parametrize("values", [{"a": {"b": [1, None]}, "c": "x"}])
def test_settings_are_named_as_set_takes_them(values):
    assert flat(values) == {"a.b.0": "1", "a.b.1": "none", "c": "x"}


def test_samples_that_are_gone_or_damaged_are_left_out(tmp_path):
    samples = RunFolder(tmp_path).samples
    samples.mkdir()
    (samples / "step-0000001.wav").write_text("no audio")
    (samples / "step-0000002.wav").mkdir()
    soundfile.write(samples / "step-0000004.wav", np.zeros(8), 2000)
    log = [{"step": step, "minutes": 0.5} for step in (1, 2, 3, 4)]
    (section,) = Report._checkpoints(SimpleNamespace(run=RunFolder(tmp_path), log=log))
    assert [player.name for player in section.players] == ["step 4, after 0.5 minutes"]
