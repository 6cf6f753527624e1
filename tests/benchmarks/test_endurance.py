"""Figures of the parts of a long stream."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from keras_rawaudio.data.corpus.synthesis import synthesise
from keras_rawaudio.metrics.reference import Reference

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def test_a_stream_that_falls_silent_counts_by_its_windows(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    figures = runpy.run_path(str(BENCHMARKS / "endurance.py"))["figures"]
    rate = 2000
    piece = synthesise(240, rate).astype(np.float32)
    reference = Reference.from_segments([piece[: 180 * rate]], [piece[180 * rate :]], rate)
    sounding = piece[: 120 * rate]
    half = np.concatenate([sounding[: 60 * rate], np.zeros(60 * rate, np.float32)])
    found = figures(np.stack([sounding, half]), rate, reference)
    assert (found["windows"], found["collapsed_windows"]) == (4, 1)
    assert found["dead_share"] == pytest.approx(0.25, abs=0.01)
    loud = 10 * np.log10(np.square(np.concatenate([sounding, half])).mean())
    assert found["level_db"] == pytest.approx(loud, abs=0.01)
