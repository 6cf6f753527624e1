"""The benchmarks' own command lines, at settings that take seconds."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from keras_rawaudio.data.corpus.synthesis import write_demo_piece

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
TINY = ["tiers.0.units=8", "tiers.1.units=8", "head.hidden_units=8", "data.length=256"]
# Keys of a line of quality.py that its readers rely on.
QUALITY_KEYS = [
    "recipe",
    "audio",
    "seconds",
    "test_bits_per_sample",
    "train_samples_per_second",
    "us_per_generated_sample",
    "tonal_prominence_db",
    "piece_tonal_prominence_db",
    "beat_strength",
    "piece_beat_strength",
    "pitch_persistence",
    "piece_pitch_persistence",
    "toneless_share",
    "dead_share",
    "loud_share",
    "noisy_share",
    "stuck_share",
    "cepstral_ratio_by_third",
    "train_set_similarity",
    "heldout_similarity",
    "wavs",
]
GENERATION_KEYS = [
    "us_per_sample",
    "realtime_factor",
    "sample_rate",
    "streams",
    "threads",
    "first_audio_seconds",
    "peak_memory_mb",
    "block_p999",
    "nodes_per_sample",
    "nodes_by_loop",
]


def run(name, *words, cwd):
    """The JSON lines of one benchmark."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *map(str, words)]
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_generation(tmp_path):
    words = ["--tiers", 16, 4, "--width", 8, "--levels", 16, "--streams", 1, 2]
    words += ["--seconds", 0.2, "--sample-rate", 4000, "--plot", "speed.png"]
    one, two = run("generation", *words, cwd=tmp_path)
    for line in (one, two):
        assert not set(GENERATION_KEYS) - set(line)
        assert 0 < line["first_audio_seconds"] < 60
        assert line["us_per_step"] == pytest.approx(
            line["streams"] * line["us_per_sample"], rel=0.01, abs=0.01
        )
    assert (one["streams"], two["streams"]) == (1, 2)
    assert len(one["nodes_by_loop"]) == 3  # a loop for each tier, and the sample's
    assert one["nodes_per_sample"] > list(one["optimized_nodes_by_loop"].values())[-1]
    if sys.platform == "linux":
        assert 10 < one["peak_memory_mb"] < 1000
    assert (tmp_path / "speed.png").stat().st_size > 1000


@pytest.mark.slow
def test_training(tmp_path):
    words = ["--recipe", "categorical", "--tiers", 32, 8, "--width", 8, "--steps", 2]
    (line,) = run("training", *words, "--set", "data.length=64", cwd=tmp_path)
    assert (line["tiers"], line["units"], line["window"]) == ([32, 8], [8, 8], 64)
    assert line["samples_per_second"] > 0
    assert line["parameters"] > 0


@pytest.mark.slow
def test_quality(tmp_path):
    piece = write_demo_piece(tmp_path / "piece.wav", 20.0, 2000)
    words = ["--recipe", "categorical", "--audio", piece, "--seconds", 1, "--streams", 1]
    words += ["--generate-seconds", 2, "--sample-rate", 2000, "--cache", tmp_path / "cache"]
    *_, line = run("quality", *words, "--work", "work", "--set", *TINY, cwd=tmp_path)
    assert not set(QUALITY_KEYS) - set(line)
    assert 0 < line["test_bits_per_sample"] < 9
    assert line["seconds"] == pytest.approx(1, abs=0.9)
    assert len(line["wavs"]) == len(line["streams"]) == 2
    assert all((tmp_path / wav).is_file() for wav in line["wavs"])
    assert (tmp_path / line["spectrogram"]).is_file()
    assert [s["seeded"] for s in line["streams"]] == [True, False]
    words = ["--run", "work/run", "--excerpts", "--streams", 1, "--generate-seconds", 4]
    *_, own = run("quality", *words, "--work", "excerpts", cwd=tmp_path)
    assert own.keys() == line.keys()
    assert own["train_set_similarity"] > 0.9  # copies are themselves
    assert len({(tmp_path / wav).read_bytes() for wav in own["wavs"]}) == 2
    hours = ["--hours", 0.004, "--part-minutes", 0.12, "--streams", 1]
    (line,) = run("endurance", "--run", "work/run", *hours, cwd=tmp_path)
    assert [part["minutes"] for part in line["parts"]] == ["0 to 0.12", "0.12 to 0.24", "the piece"]
    assert all(part["windows"] == 1 for part in line["parts"])


@pytest.mark.slow
def test_music_goes_on_where_it_was(tmp_path):
    write_demo_piece(tmp_path / "one.wav", 20.0, 2000)
    words = ["--audio", ".", "--out", "out", "--recipe", "categorical", "--minutes", 0.01]
    words += ["--streams", 1, "--generate-seconds", 2, "--sample-rate", 2000, "--set", *TINY]
    run("music", *words, "--pieces", "one", cwd=tmp_path)
    first = (tmp_path / "out" / "one.json").read_bytes()
    assert not set(QUALITY_KEYS) - set(json.loads(first))
    (tmp_path / "out" / "table.md").unlink()
    run("music", *words, "--pieces", "one", cwd=tmp_path)
    assert (tmp_path / "out" / "one.json").read_bytes() == first
    assert "| one | 2 kHz |" in (tmp_path / "out" / "table.md").read_text()
    assert (tmp_path / "out" / "page.html").read_text().count("<audio") == 2
    (tmp_path / "out" / "two").mkdir()  # as a run that was stopped leaves it
    (tmp_path / "two.wav").write_bytes((tmp_path / "one.wav").read_bytes())
    begun = (tmp_path / "out" / "one" / "settings.json").read_bytes()
    (tmp_path / "out" / "two" / "settings.json").write_bytes(begun)
    for wrong, line in (
        (["--pieces", "three"], "no piece three in ."),
        (["--pieces", "one", "--random-seed", 1], "was made with another random_seed"),
        (["--pieces", "two", "--random-seed", 1], "two/run was begun with other settings"),
    ):
        command = [sys.executable, str(BENCHMARKS / "music.py"), *map(str, words), *map(str, wrong)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2
        assert line in done.stderr.splitlines()[-1]


COSTS = """
name: costs
asked: Which cost?
theirs: Squares are to blame.
predictions:
  - {claim: "Huber is better", measure: test, better: huber, than: squared}
systems:
  squared: {words: squares}
  huber: {words: Huber, set: [head.cost=huber]}
  mean: {words: two predictions, overlap: 2}
  revised: {words: revised, refiner: {recipe: refiner, steps: 2}}
"""
LATER = """
name: later
asked: And then?
theirs: Nothing.
predictions: []
systems: {other: {words: other, set: [tiers.0.cell=lstm]}, more: {words: more}}
"""


@pytest.mark.slow
def test_experiments(tmp_path):
    piece = write_demo_piece(tmp_path / "piece.wav", 260.0, 2000)
    (tmp_path / "questions").mkdir()
    (tmp_path / "questions/1-costs.yaml").write_text(COSTS)
    (tmp_path / "questions/2-later.yaml").write_text(LATER)
    where = ["--questions", "questions", "--out", "docs"]
    words = ["--audio", piece, "--question", "costs", "--steps", 4, "--seeds", 3, "--rates", 1e-3]
    words += ["--work", "work", "--cache", "cache", "--set", "tiers.0.units=8", "data.length=1000"]
    run("experiments", *words, *where, cwd=tmp_path)
    known = json.loads((tmp_path / "docs/answers.json").read_text())["piece.wav"]
    names = {"frame-gru", "frame-gru head.cost=huber", "frame-gru overlap=2"}
    names.add("frame-gru refiner=refiner after 2 steps")
    assert set(known["systems"]) == names
    seeds = known["systems"]["frame-gru"]["seeds"]
    assert len({seed["equal steps"]["test"] for seed in seeds}) == 3
    measured = {"tone_1", "tone_20", "lines_5", "seam", "repetition", "early", "shift_error"}
    assert measured <= set(seeds[0]["equal steps"])
    # Predictions of the same models, averaged or revised: they score the same, and play otherwise.
    for change in ("overlap", "refiner"):
        (changed,) = (of["seeds"] for name, of in known["systems"].items() if change in name)
        for one, two in zip(seeds, changed, strict=True):
            assert one["equal steps"]["test"] == two["equal steps"]["test"]
            assert one["equal steps"]["seam"] != two["equal steps"]["seam"]
            restored = {"restored", "unrefined"} <= set(two["equal steps"])
            assert restored == (change == "refiner")
    page = (tmp_path / "docs/answers.md").read_text()
    assert "Huber is better" in page
    assert "Not run yet: `--question later`" in page
    assert str(tmp_path) not in page + (tmp_path / "docs/answers.json").read_text()
    assert (tmp_path / "docs/img/answers/costs-piece.png").stat().st_size > 1000
    # What is done is not done again, and gives the same page.
    done = sorted((tmp_path / "work").iterdir())
    run("experiments", *words, *where, cwd=tmp_path)
    assert sorted((tmp_path / "work").iterdir()) == done
    assert (tmp_path / "docs/answers.md").read_text() == page
    run("experiments", "--render", *where, cwd=tmp_path)
    assert (tmp_path / "docs/answers.md").read_text() == page


@pytest.mark.slow
def test_phases(tmp_path):
    piece = write_demo_piece(tmp_path / "piece.wav", 30.0, 8000)
    words = ["--audio", piece, "--seconds", 0.5, "--cache", tmp_path / "cache"]
    lines = {line["phases"]: line for line in run("phases", *words, cwd=tmp_path)}
    errors = {name: line["amplitude_error_db"] for name, line in lines.items()}
    assert errors["the true ones"] < -80
    for name in ("phase gradient heap integration", "Griffin-Lim, frame by frame"):
        assert errors[name] < errors["random"] - 3


def test_the_questions_name_what_there_is():
    """Every system can be built; every prediction names systems of its question."""
    import yaml

    from keras_rawaudio.recipes import RefinerRecipe, load_recipe, parse_overrides

    files = sorted((BENCHMARKS / "experiments").glob("*.yaml"))
    assert len(files) >= 7
    for file in files:
        question = yaml.safe_load(file.read_text())
        for system in question["systems"].values():
            load_recipe(system.get("recipe", "frame-gru"), parse_overrides(system.get("set", [])))
            if "refiner" in system:
                assert isinstance(load_recipe(system["refiner"]["recipe"]), RefinerRecipe)
        for prediction in question["predictions"]:
            pair = prediction.get("same") or [prediction["better"], prediction["than"]]
            assert set(pair) <= set(question["systems"])


@pytest.mark.slow
def test_frames(tmp_path):
    words = ["--only", "1000x50", "--minutes", 0.001, "--set", "tiers.0.units=8"]
    (line,) = run("frames", *words, cwd=tmp_path)
    assert (line["frame"], line["frames"], line["window"]) == (1000, 50, 50_000)
    # Ten rows, a thousand samples apart, fill the noise once.
    assert line["steps_per_epoch"] == 1
    if sys.platform == "linux":
        assert line["forecast_memory_gb"] == pytest.approx(line["memory_gb"], rel=0.3)
    assert not list(tmp_path.iterdir())


def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    script = str(BENCHMARKS / "quality.py")
    monkeypatch.setattr(sys, "argv", [script, "--recipe", "defualt", "--audio", "x.wav"])
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(script, run_name="__main__")
    assert exit.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines == ["quality.py: no recipe 'defualt'; did you mean 'default'?"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_corpus(tmp_path):
    words = ["--hours", 1 / 6, "--processes", 1, 2, "--seconds", 0.2, "--work", tmp_path]
    (line,) = run("corpus", *words, cwd=tmp_path)
    for one in line["preparing"]:
        assert 0.1 < one["disk_gb"] < one["peak_disk_gb"] < 2 * one["disk_gb"]
        assert 10 < one["peak_mib"] < 500
    assert line["extrapolated"][0]["disk_gb"] == pytest.approx(
        100 * 3600 * 44100 * 6 / 1e9, rel=0.1
    )
    assert line["windows"]["gigabytes_of_the_train_part"] > 20
    assert line["windows"]["more_memory_mib"] < 1000
    assert not any(tmp_path.iterdir())
