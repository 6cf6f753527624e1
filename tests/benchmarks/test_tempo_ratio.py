"""The ratio of two tempos, on a rhythm of which the pulse is found at another level."""

import runpy
from pathlib import Path

import numpy as np
import pytest

MODULE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "tempo_ratio.py"))
tempo_ratio = MODULE["tempo_ratio"]
RATE = 8000
STEPS = (3, 3, 2, 4, 4)  # of a sixteenth, to the next onset


def rhythm(tempo, seconds=30, seed=0, unsteady=0.004):
    """Bursts in time with `STEPS`, sixteenths of 0.134 s at tempo 1, louder at the beginning."""
    rng = np.random.default_rng(seed)
    audio = 1e-3 * rng.normal(size=seconds * RATE)
    burst = np.exp(-np.arange(600) / 150)
    at, number = 0.1, 0
    while at < seconds - 0.2:
        start = round((at + unsteady * rng.normal()) * RATE)
        loudness = 0.3 if number % len(STEPS) == 0 else 0.15
        audio[start : start + 600] += loudness * burst * rng.normal(size=600)
        at += 0.134 * STEPS[number % len(STEPS)] / tempo
        number += 1
    return audio


@pytest.mark.parametrize("tempo", [0.5, 0.75, 1.0, 1.5, 2.0])
def test_the_ratio_of_two_tempos(tempo):
    reference = [rhythm(1.0, seed=seed) for seed in (1, 2)]
    streams = [rhythm(tempo, seed=seed) for seed in (3, 4)]
    assert tempo_ratio(streams, reference, RATE) == pytest.approx(tempo, rel=0.01)


def test_without_a_rhythm_some_ratio():
    noise = np.random.default_rng(0).normal(size=20 * RATE)
    assert 0.25 <= tempo_ratio([noise], [rhythm(1.0)], RATE) <= 4
    assert 0.25 <= tempo_ratio([np.zeros(20 * RATE)], [noise], RATE) <= 4
