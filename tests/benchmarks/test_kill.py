"""Kills that add up over several calls."""

import importlib
import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def kill(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("kill")


def found(seed, kills, wrong=()):
    return {
        "seed": seed,
        "kills": kills,
        "resume_points": kills - 1,
        "runs_compared": 2,
        "wrong": list(wrong),
    }


def test_seeds_add_up(kill, tmp_path):
    path = tmp_path / "kills.json"
    assert kill.found_before(None) == kill.found_before(path) == []
    path.write_text(json.dumps([found(0, 10), found(1, 20, ["run3: log"])]))
    assert kill.added([*kill.found_before(path), found(2, 5)]) == {
        "seeds": 3,
        "kills": 35,
        "resume_points": 32,
        "runs_compared": 6,
        "wrong": 1,
    }


def test_a_seed_runs_once(kill, tmp_path, monkeypatch):
    path = tmp_path / "kills.json"
    path.write_text(json.dumps([found(0, 10), found(4, 10)]))
    assert kill.next_seed(kill.found_before(path)) == 5
    assert kill.next_seed([]) == 0
    monkeypatch.setattr(sys, "argv", ["kill.py", "--seed", "4", "--add-to", str(path)])
    with pytest.raises(SystemExit, match=r"seed 4 is in .*kills.json already"):
        kill.main(kill.arguments().parse_args())
