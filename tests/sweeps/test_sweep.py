"""Sweeps: the file, the search, pruning, going on."""

import re
import sqlite3
from pathlib import Path

import numpy as np
import optuna
import pytest

from keras_rawaudio.cli import main
from keras_rawaudio.errors import UserError
from keras_rawaudio.sweeps import optuna_engine, read_sweep
from keras_rawaudio.sweeps import trial as trial_module
from keras_rawaudio.sweeps.sweep import ENGINES, sweep
from keras_rawaudio.sweeps.trial import Validations
from keras_rawaudio.training import throughput, validation_policy
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.run_folder import RunFolder


@pytest.fixture(autouse=True)
def here(small_sweep):
    """The working directory."""
    return small_sweep


@pytest.fixture
def text(here):
    """The sweep's file."""
    return (here / "sweep.yaml").read_text()


def study_of(out):
    return optuna.load_study(study_name="sweep", storage=f"sqlite:///{out / 'study.db'}")


def test_a_study_lies_in_a_folder_of_any_name(here, monkeypatch):
    monkeypatch.setattr(optuna_engine, "run_trial", lambda *_: 1.0)
    out = here / "a?b=c#d%20e{f}"
    out.mkdir()
    optuna_engine.search(read_sweep("sweep.yaml"), out)
    assert [path.name for path in out.iterdir()] == [optuna_engine.STUDY]
    assert out in here.iterdir()


def test_the_largest_seed_goes_on(here, text, monkeypatch):
    """Each call has a seed of its own, all of them of 32 bits."""
    (here / "sweep.yaml").write_text(text.replace("seed: 3", f"seed: {2**32 - 1}"))
    drawn = []
    monkeypatch.setattr(
        optuna_engine, "run_trial", lambda _, __, values, ___: drawn.append(values) or 1.0
    )
    for trials in (1, 2):
        optuna_engine.search(read_sweep("sweep.yaml").model_copy(update={"trials": trials}), here)
    assert drawn[0] != drawn[1]


def test_a_study_of_another_optuna_is_one_line(here):
    with sqlite3.connect(here / optuna_engine.STUDY) as study:
        study.execute(
            "CREATE TABLE version_info (version_info_id, schema_version, library_version)"
        )
        study.execute("INSERT INTO version_info VALUES (1, 1, '0.1.0')")
    with pytest.raises(UserError, match=r"cannot read .*study\.db: .*optuna"):
        optuna_engine.search(read_sweep("sweep.yaml"), here)


def test_a_sweep_trains_compares_and_goes_on(here, text, capsys):
    """With more trials asked for, the same command trains the rest."""
    (here / "sweep.yaml").write_text(text.replace("trials: 2", "trials: 1"))
    assert main(["sweep", "sweep.yaml"]) == 0
    out = here / "sweeps/sweep"
    assert [run.name for run in (out / "runs").iterdir()] == ["trial-0000"]
    assert "trial-0001" not in capsys.readouterr().out
    (here / "sweep.yaml").write_text(text)
    assert main(["sweep", "sweep.yaml"]) == 0
    runs = sorted((out / "runs").iterdir())
    assert [run.name for run in runs] == ["trial-0000", "trial-0001"]
    printed = capsys.readouterr().out
    page = (out / "compare.html").read_text()
    assert all(run.name in printed and run.name in page for run in runs)
    trials = study_of(out).trials
    rates = {trial.params["training.learning_rate"] for trial in trials}
    assert len(rates) == 2
    for trial, run in zip(trials, runs, strict=True):
        recipe = RunFolder.open(run).read_recipe()
        assert recipe["training"]["learning_rate"] == trial.params["training.learning_rate"]
        assert recipe["tiers"][0]["units"] == trial.params["tiers.0.units"]
        assert trial.value == min(row["bits_per_sample"] for row in read_log(run / "log.csv"))
    (here / "sweep.yaml").write_text(text.replace("seed: 3", "seed: 4"))
    assert main(["sweep", "sweep.yaml"]) == 2
    assert "another --out" in capsys.readouterr().err


def test_a_folder_of_something_else_is_refused(here, capsys):
    (here / "mine").mkdir()
    (here / "mine" / "a.txt").write_text("mine")
    assert main(["sweep", "sweep.yaml", "--out", "mine"]) == 2
    assert "mine is not empty and holds no sweep" in capsys.readouterr().err
    assert [path.name for path in (here / "mine").iterdir()] == ["a.txt"]


def test_a_trial_that_was_cut_off_goes_on(here, monkeypatch):
    """With its values, in its run folder; and it is counted once."""
    cut, seen = [], []

    def cut_off(settings, run, values, report):
        cut.append((run.name, values))
        raise KeyboardInterrupt

    monkeypatch.setattr(optuna_engine, "run_trial", cut_off)
    with pytest.raises(KeyboardInterrupt):
        optuna_engine.search(read_sweep("sweep.yaml"), here)

    def watched(settings, run, values, report):
        seen.append((run.name, values))
        return 3.5

    monkeypatch.setattr(optuna_engine, "run_trial", watched)
    optuna_engine.search(read_sweep("sweep.yaml"), here)
    assert seen[0] == cut[0]
    assert len(seen) == 2
    assert len({name for name, _ in seen}) == 2


def test_what_is_worse_than_the_median_is_pruned(here, monkeypatch):
    """Optuna's median rule begins after five trials."""
    monkeypatch.setattr(throughput, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(validation_policy, "VALIDATION_SHARE", 1.0)
    scores = iter([1.0, 2.0, 3.0, 1.5, 2.5, 9.0])

    def trial(settings, run, values, report):
        score = next(scores)
        report(score, 0)
        return score

    monkeypatch.setattr(optuna_engine, "run_trial", trial)
    optuna_engine.search(read_sweep("sweep.yaml").model_copy(update={"trials": 6}), here)
    states = [trial.state.name for trial in study_of(here).trials]
    assert states == ["COMPLETE"] * 5 + ["PRUNED"]


def test_a_trial_that_cannot_be_trained_is_counted_and_named(here, monkeypatch, capsys):
    def trial(settings, run, values, report):
        raise UserError("too little audio")

    monkeypatch.setattr(optuna_engine, "run_trial", trial)
    optuna_engine.search(read_sweep("sweep.yaml"), here)
    assert [trial.state.name for trial in study_of(here).trials] == ["FAIL"] * 2
    assert capsys.readouterr().err.count("failed: too little audio") == 2


def test_audio_that_is_gone_ends_a_sweep_and_costs_no_trial(here, monkeypatch):
    audio = (here / "song.wav").read_bytes()

    def gone(settings, run, values, report):
        (here / "song.wav").unlink()
        raise UserError("no such file: song.wav")

    monkeypatch.setattr(optuna_engine, "run_trial", gone)
    with pytest.raises(UserError, match=r"no such file or folder: .*song\.wav"):
        optuna_engine.search(read_sweep("sweep.yaml"), here)
    (here / "song.wav").write_bytes(audio)
    monkeypatch.setattr(optuna_engine, "run_trial", lambda *_: 1.0)
    optuna_engine.search(read_sweep("sweep.yaml"), here)
    states = [trial.state.name for trial in study_of(here).trials]
    assert states.count("COMPLETE") == 2


@pytest.mark.parametrize(("measure", "score"), [("bits_per_code", 4.0), ("bits_per_sample", 3.0)])
def test_the_score_is_that_of_the_weights_that_are_kept(here, monkeypatch, measure, score):
    def trained(audio, run, *_, **__):
        folder = RunFolder(run)
        run.mkdir()
        folder.log.write_text(f"step,{measure}\n1,5.0\n2,3.0\n3,4.0\n")
        folder.write_json(folder.description, {"format_version": 1, "measure": measure})
        return True

    monkeypatch.setattr(trial_module, "train", trained)
    run = here / "run"
    assert trial_module.run_trial(read_sweep("sweep.yaml"), run, {}, lambda *_: None) == score


def test_a_sweep_that_trains_no_trial_leaves_no_folder(here, monkeypatch):
    def trial(settings, run, values, report):
        raise UserError("too little audio")

    monkeypatch.setattr(optuna_engine, "run_trial", trial)
    with pytest.raises(UserError, match="no trial could be trained"):
        sweep("sweep.yaml", here / "new" / "sweep")
    assert not (here / "new").exists()


def test_a_full_disk_under_the_study_is_one_line(here, monkeypatch, capsys):
    def full(settings, out):
        try:
            raise sqlite3.OperationalError("database or disk is full")
        except sqlite3.OperationalError as error:
            raise RuntimeError("what Optuna makes of it") from error

    monkeypatch.setitem(ENGINES, "optuna", full)
    assert main(["sweep", "sweep.yaml", "--out", "new"]) == 2
    assert capsys.readouterr().err.count("cannot write new: database or disk is full") == 1
    assert not (here / "new").exists()


def test_validations_are_numbered_by_the_log(tmp_path):
    """So that a run that goes on does not begin at 0 again."""
    run = RunFolder(tmp_path)
    run.log.write_text("step,bits_per_sample\n1,3.5\n2,3.25\n")
    run.describe = lambda: {"measure": "bits_per_sample"}
    seen = []
    Validations(run, lambda *values: seen.append(values)).on_epoch_end(2)
    assert seen == [(3.25, 1)]


# What becomes of the file, and what the line says of it.
BAD = {
    "not-yaml": (lambda text: "audio: [", "neither YAML nor JSON"),
    "a-list": (lambda text: "- audio", "no settings by name"),
    "no-trials": (lambda text: text.replace("trials: 2", ""), "'trials' is missing"),
    "unknown": (lambda text: text.replace("trials", "trails"), "did you mean 'trials'"),
    "no-search": (lambda text: text[: text.index("search")] + "search: {}", "search"),
    "key": (lambda text: text.replace("ng_rate", "ng_rat"), "did you mean 'learning_rate'"),
    "value": (lambda text: text.replace("[4, 6]", "[4, a]"), "'a' should be a valid integer"),
    "end": (lambda text: text.replace("low: 2", "low: 0"), "data.batch"),
    "swapped": (lambda text: text.replace("high: 4", "high: 1"), "swap them"),
    "log-and-step": (lambda text: text.replace("true", "true, step: 1"), "do not go together"),
    "log-zero": (lambda text: text.replace("low: 1e-4", "low: 0"), "begins above 0"),
    "budgets": (lambda text: text + "minutes: 2\n", "two budgets"),
    "recipe": (lambda text: text.replace("tiny.yaml", "defalt"), "did you mean 'default'"),
    "audio": (lambda text: text.replace("song.wav", "sing.wav"), "no such file.*sing.wav"),
    "no-audio": (lambda text: text.replace("song.wav", "''"), "audio.*at least 1 character"),
    "null-byte": (lambda text: text.replace("song.wav", r'"song\0.wav"'), "audio.*should match"),
    "choices": (lambda text: text.replace("[4, 6]", "[]"), "at least 1 item"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_line(here, text, case, capsys):
    change, words = BAD[case]
    (here / "bad.yaml").write_text(change(text))
    assert main(["sweep", "bad.yaml"]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert re.search(words, printed.err), printed.err
    assert not (here / "sweeps").exists()


def test_audio_that_begins_with_an_unknown_user_is_taken_as_it_is(here):
    text = (here / "sweep.yaml").read_text()
    (here / "sweep.yaml").write_text(text.replace("song.wav", "~nobody-of-this-name/song.wav"))
    assert read_sweep("sweep.yaml").audio == [str(here / "~nobody-of-this-name/song.wav")]


def test_ranges_and_choices_as_optuna_has_them(here):
    study = optuna.create_study()
    trial = study.ask()
    axes = read_sweep("sweep.yaml").search
    for key, axis in axes.items():
        optuna_engine._suggest(trial, key, axis)
    kinds = {key: type(value).__name__ for key, value in trial.distributions.items()}
    assert kinds == {
        "training.learning_rate": "FloatDistribution",
        "tiers.0.units": "CategoricalDistribution",
        "data.batch": "IntDistribution",
    }
    assert np.isclose(trial.distributions["training.learning_rate"].low, 1e-4)


def test_the_file_of_the_docs_is_one(here):
    docs = Path(__file__).resolve().parents[2] / "docs/how-to/sweep.md"
    (here / "docs.yaml").write_text(docs.read_text().split("```yaml")[1].split("```")[0])
    assert set(read_sweep("docs.yaml").search) > {"data.batch", "spectral.units"}


def test_a_cache_that_cannot_be_written_names_the_way_that_a_sweep_has(here, monkeypatch, capsys):
    """`train --cache` was named, which `sweep` has not."""
    (here / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(here / "file"))
    assert main(["sweep", "sweep.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("; choose another cache by XDG_CACHE_HOME on Linux")
    assert not (here / "sweeps").exists()


def test_an_engine_that_is_not_there_leaves_nothing(here, monkeypatch, capsys):
    """The folder was taken by the engine that is missing, and the other one was refused there."""

    def missing(settings, out):
        raise UserError("--engine ray needs Ray Tune, which is not installed")

    monkeypatch.setitem(ENGINES, "ray", missing)
    assert main(["sweep", "sweep.yaml", "--out", "new", "--engine", "ray"]) == 2
    assert "not installed" in capsys.readouterr().err
    assert not (here / "new").exists()


def test_more_trials_are_refused_where_the_engine_cannot_add_them(here, text, monkeypatch, capsys):
    """Ray goes on with as many as it began with, and says nothing."""
    monkeypatch.setitem(ENGINES, "ray", ENGINES["optuna"])
    monkeypatch.setattr(optuna_engine, "run_trial", lambda *_: 1.0)
    monkeypatch.setattr("keras_rawaudio.sweeps.sweep._compare", lambda out: "")
    for engine, code in (("ray", 2), ("optuna", 0)):
        (here / "sweep.yaml").write_text(text)
        words = ["sweep", "sweep.yaml", "--out", engine, "--engine", engine]
        assert main(words) == 0
        (here / "sweep.yaml").write_text(text.replace("trials: 2", "trials: 3"))
        assert main(words) == code
    assert "another --out" in capsys.readouterr().err
