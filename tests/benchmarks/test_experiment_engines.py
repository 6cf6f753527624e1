"""Systems of the experiments side by side, by Ray: the figures are those of one process."""

import json
from pathlib import Path

import pytest

from keras_rawaudio.data.corpus.synthesis import write_demo_piece

pytest.importorskip("ray")
pytest.importorskip("optuna")
BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SYSTEMS = {"gru": {}, "lstm": {"set": ["tiers.0.cell=lstm"]}}


@pytest.mark.slow
def test_ray_gives_the_figures_of_one_process(tmp_path, monkeypatch):
    import ray

    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS), prepend=":")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    import experiments

    write_demo_piece(tmp_path / "song.wav", 40.0, 8000)
    found = {}
    for engine in ("none", "ray"):
        words = ["--audio", str(tmp_path / "song.wav"), "--engine", engine]
        words += ["--steps", "2", "--seeds", "1", "--rates", "0.001", "0.002", "--scored", "2"]
        words += ["--set", "tiers.0.units=8", "data.length=1000"]
        for folder in ("out", "work", "cache"):
            words += [f"--{folder}", str(tmp_path / engine / folder)]
        options = experiments.arguments().parse_args(words)
        asked = experiments.Experiments(options)
        if engine == "ray":
            ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            asked.ask([{"name": "cell", "systems": SYSTEMS}])
        finally:
            ray.shutdown()
        found[engine] = json.loads((options.out / "answers.json").read_text())["song.wav"]
    assert set(found["ray"]["systems"]) == {"frame-gru", "frame-gru tiers.0.cell=lstm"}
    for name, figures in found["ray"]["systems"].items():
        here = found["none"]["systems"][name]
        assert figures["tuning"] == here["tuning"]
        assert figures["learning_rate"] == here["learning_rate"]
        # At equal compute they differ: what a step costs is a measurement.
        assert figures["seeds"][0]["equal steps"] == here["seeds"][0]["equal steps"]
