"""Runs side by side, from folders that hold as much as is read."""

import csv
import errno
import json
import os
from pathlib import Path

import pytest

from keras_rawaudio.cli import main
from keras_rawaudio.training.run_folder import FORMAT_VERSION, RunFolder

BITS, UNEXPLAINED = "bits_per_sample", "variance_unexplained"


@pytest.fixture
def make_run(tmp_path):
    """Makes a run folder by name, with a best validation."""

    def make(name, best, units=64, measure=BITS, measures=None, verdict="healthy", **more):
        folder = tmp_path / name
        folder.mkdir()
        description = {
            "format_version": FORMAT_VERSION,
            "data": {"sources": [{"path": "music/song.flac"}]},
            "sample_rate": 8000,
            "measure": measure,
            "baselines": more.get("baselines", {"order_0": 7.5, "order_1": 6.0}),
            "parameters": 12345,
            "seed": 0,
        }
        (folder / "run.json").write_text(json.dumps(description))
        recipe = {
            "name": "default",
            "tiers": [{"units": units}],
            "head": {"lpc_order": 256, **more.get("head", {})},
        }
        (folder / "recipe.json").write_text(json.dumps(recipe))
        if best is not None:
            rows = [
                {"step": 1, measure: best + 1, "verdict": "silence from the start", "minutes": 1.0},
                {"step": 2, measure: best, "verdict": verdict, "minutes": 2.0},
            ]
            rows = [
                row | {"samples_per_second": 50000, "tonal_prominence_db": 20.5} for row in rows
            ]
            with (folder / "log.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        if measures:
            (folder / "measures.json").write_text(json.dumps(measures))
        return str(folder)

    return make


def test_the_best_is_first_and_settings_that_differ_are_shown(make_run, tmp_path, capfd):
    measures = {
        "tonal_prominence_db": 19.0,
        "piece_tonal_prominence_db": 22.0,
        "train_set_similarity": 0.5,
        "heldout_similarity": 0.7,
    }
    measures["findings"] = [["healthy"], ["turns to noise after 4 s"]]
    runs = [
        make_run("untrained", None),
        make_run("untrained-too", None),
        make_run("frames", 0.7, measure=UNEXPLAINED, baselines={"zero": 1.0, "copy": 1.9}),
        make_run("small", 4.25, units=32),
        make_run("large", 3.5, measures=measures),
    ]
    page = tmp_path / "compared.html"
    assert main(["compare", *runs, str(tmp_path), "--out", str(page)]) == 0
    out, err = capfd.readouterr()
    lines = out.splitlines()
    assert ranked(out) == {
        "prediction: bits per sample": ["large", "small", "untrained", "untrained-too"],
        "prediction: of variance unexplained": ["frames"],
    }
    large, small = lines[2:4]
    assert "3.500 bits" in large
    assert "+2.500" in large
    assert "turns to noise after 4 s" in large
    assert "19.0 (22.0)" in large
    assert "0.50 (0.70)" in large
    assert "healthy" in small
    assert "20.5" in small
    assert "0.700 unexplained" in out
    settings = lines[lines.index("Where they differ") + 1 :]
    assert [line.split() for line in settings] == [
        ["setting", "1", "2", "3", "4", "5"],
        ["tiers.0.units", "64", "32", "64", "64", "64"],
    ]
    assert f"skipped: {tmp_path}" in err
    text = page.read_text()
    assert text.index("/large<") < text.index("/small<") < text.index("/untrained<")
    assert "tiers.0.units" in text


def ranked(out):
    """Names of the runs under each title."""
    found = {}
    for block in out.split("\n\n"):
        title, _, *lines = block.splitlines()
        if title != "Where they differ":
            found[title] = [line.split()[1].rpartition("/")[2] for line in lines]
    return found


def test_ranks_are_within_a_task_and_against_its_own_baselines(make_run, capfd):
    """Pitfall 29: copying reconstructs exactly, so 0.2 is worse than nothing there.

    In prediction it would be good. Between predictors of two frame sizes the better score may be
    the smaller gain.
    """
    copying = {"zero": 1.0, "copy": 0.0}
    runs = [
        make_run("restorer", 0.2, measure=UNEXPLAINED, baselines=copying, head={"reconstruct": 1}),
        make_run("short", 0.3, measure=UNEXPLAINED, baselines={"zero": 1.0, "copy": 0.35}),
        make_run("long", 0.6, measure=UNEXPLAINED, baselines={"zero": 1.0, "copy": 1.8}),
    ]
    assert main(["compare", *runs]) == 0
    assert ranked(capfd.readouterr().out) == {
        "prediction: of variance unexplained": ["long", "short"],
        "reconstruction: of variance unexplained": ["restorer"],
    }


def test_the_rank_by_sound_is_one_of_its_own(make_run, capfd):
    """Health first, then nearness of tone and beat to the piece's own; unknown where nothing is."""
    own = {"piece_tonal_prominence_db": 20.0, "piece_beat_strength": 0.5, "findings": [["healthy"]]}
    near = own | {"tonal_prominence_db": 19.0, "beat_strength": 0.5}
    far = own | {"tonal_prominence_db": 22.0, "beat_strength": 0.3}
    ill = near | {"findings": [["healthy"], ["turns to noise after 4 s"]]}
    runs = [
        make_run("ill", 3.0, measures=ill),
        make_run("far", 3.1, measures=far),
        make_run("near", 3.2, measures=near),
        make_run("unknown", 3.3),
        make_run("frames", 0.7, measure=UNEXPLAINED, measures=far),
    ]
    assert main(["compare", *runs]) == 0
    rows = [line.split() for line in capfd.readouterr().out.splitlines()]
    ranks = {row[1].rpartition("/")[2]: row[2] for row in rows if row and row[0].isdigit()}
    assert ranks == {
        "ill": "3",
        "far": "2",
        "near": "1",
        "unknown": "-",
        "frames": "1",
    }


@pytest.mark.parametrize("damage", ["[1]", "{", '{"findings": 3}', '{"distances": 3}'])
def test_a_damaged_report_costs_its_own_run_alone(make_run, tmp_path, capfd, damage):
    good, bad = make_run("good", 4.0), make_run("bad", 3.0)
    (tmp_path / "bad" / "measures.json").write_text(damage)
    assert main(["compare", bad, good]) == 0
    out, err = capfd.readouterr()
    assert ranked(out) == {"prediction: bits per sample": ["good"]}
    assert "skipped" in err


def test_a_name_that_is_not_utf_8_costs_its_own_run_alone(make_run, tmp_path, capfd):
    good = make_run("good", 4.0)
    bad = os.fsdecode(os.path.join(os.fsencode(tmp_path), b"run-\xff"))
    os.rename(make_run("bad", 3.0), bad)
    assert main(["compare", bad, good, "--out", str(tmp_path / "page.html")]) == 0
    assert "run-\N{REPLACEMENT CHARACTER}" in capfd.readouterr().err


def test_of_a_model_of_codes_the_latest_is_kept(make_run, capfd):
    codes, samples = make_run("codes", 5.0, measure="bits_per_code"), make_run("samples", 5.0)
    for run in (codes, samples):
        with Path(run, "log.csv").open("a", newline="") as file:
            csv.writer(file).writerow([3, 7.0, "healthy", 3.0, 50000, 20.5])
    assert main(["compare", codes, samples]) == 0
    out = capfd.readouterr().out
    lines = {line.split()[1]: line for line in out.splitlines() if line[:1].isdigit()}
    kept = {
        run: next(line for name, line in lines.items() if run.endswith(name))
        for run in (codes, samples)
    }
    assert "7.000 bits" in kept[codes]
    assert "5.000 bits" in kept[samples]


@pytest.mark.slow
def test_a_real_run_is_compared_by_its_report(run, capfd):
    assert main(["compare", str(run.path)]) == 0
    title, header, line = capfd.readouterr().out.splitlines()
    assert title == "prediction: bits per sample"
    assert header.split()[:6] == ["run", "by", "sound", "kept", "baseline", "gain"]
    measures = json.loads(run.measures.read_text())
    assert (
        f"{measures['tonal_prominence_db']:.1f} ({measures['piece_tonal_prominence_db']:.1f})"
        in line
    )


def test_a_run_that_may_not_be_read_costs_itself_alone(make_run, capfd, monkeypatch):
    good, closed = make_run("good", 4.0), make_run("closed", 3.0)
    opened = RunFolder.open

    def refused(path):
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return opened(path)

    monkeypatch.setattr(RunFolder, "open", refused)
    assert main(["compare", closed, good]) == 0
    out, err = capfd.readouterr()
    assert ranked(out) == {"prediction: bits per sample": ["good"]}
    assert f"skipped: {closed}" in err
