"""Which piece a stream is nearest to."""

import runpy
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def labels(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    return runpy.run_path(str(BENCHMARKS / "labels.py"))


def test_a_steady_piece_is_recognised_and_one_of_two_halves_is_not(labels):
    rng = np.random.default_rng(0)
    steady, other = rng.normal(size=(120, 3)), rng.normal(size=(120, 3)) + 5
    # Its first half is like `steady`, its second far from all.
    halves = np.concatenate([rng.normal(size=(60, 3)) + 0.1, rng.normal(size=(60, 3)) + 20])
    pieces = {"steady": steady, "other": other, "halves": halves}
    assert labels["nearest"](other[:30], pieces) == "other"
    assert labels["own_excerpts"]("steady", pieces, 30) == 12
    assert labels["own_excerpts"]("halves", pieces, 60) < 12
