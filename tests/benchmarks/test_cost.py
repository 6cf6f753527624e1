"""What the cost benchmark says of packages, and that it draws."""

import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def cost(monkeypatch):
    monkeypatch.setattr(sys, "path", [str(BENCHMARKS), *sys.path])
    before = {name: sys.modules.pop(name, None) for name in ("cost", "common", "generation")}
    yield importlib.import_module("cost")
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


def test_install_size_follows_what_is_needed(cost):
    alone, with_more = cost.install_size("numpy"), cost.install_size("scipy")
    assert alone["packages"] == 1
    assert with_more["packages"] == 2
    assert with_more["megabytes"] > alone["megabytes"] > 10
    assert cost.install_size("there-is-no-such-package") == {"packages": 0, "megabytes": 0}


def test_the_piece_repeats(cost, tmp_path, monkeypatch):
    import soundfile

    monkeypatch.setattr(cost, "PIECE_SECONDS", 2.0)
    path = cost.repeated_piece(tmp_path / "piece.wav", 5 / 3600, 2000)
    audio, rate = soundfile.read(path)
    assert (len(audio), rate) == (10_000, 2000)
    assert (audio[:4000] == audio[4000:8000]).all()


@pytest.mark.parametrize(
    ("name", "narrow"),
    [
        ("default", {"spectral.units": 8, "spectral.components": 4}),
        ("categorical", {"tiers.0.units": 8, "tiers.1.units": 8}),
    ],
)
def test_every_kind_of_recipe_is_exported_and_generates(cost, tmp_path, name, narrow):
    from keras_rawaudio.recipes import load_recipe

    common = sys.modules["common"]
    path = common.export_fresh(load_recipe(name, narrow), tmp_path, 4000)
    assert common.generation_speed(path, 2, 1, 0.2)["streams"] == 2


def test_a_plot_is_drawn(cost, tmp_path):
    rows = [
        {
            "cost": "generating",
            "recipe": "raw",
            "streams": streams,
            "seconds": seconds,
            "core_seconds_per_second_of_sound": 0.1,
            "peak_memory_mb": 100,
            "first_audio_seconds": 0.3,
        }
        for streams, seconds in ((1, 2.0), (1, 8.0), (4, 2.0))
    ]
    rows += [
        {
            "cost": "training",
            "recipe": "raw",
            "hours": hours,
            "core_seconds_in_all": 9,
            "peak_memory_mb": 900,
        }
        for hours in (0.1, 0.2)
    ]
    path = tmp_path / "cost.png"
    cost.plot(
        json.loads(json.dumps(rows)),
        SimpleNamespace(recipes=["raw"], seconds=[2.0, 8.0], sample_rate=8000, plot=path),
    )
    assert path.stat().st_size > 1000
