"""A piece whose every property is known: chords that change each 0.5 s, by a seeded draw."""

import numpy as np
import pytest

from keras_rawaudio.metrics.reference import Reference

RATE = 8000


def chords_of_half_a_second(seconds, seed=0):
    rng = np.random.default_rng(seed)
    beat = np.arange(RATE // 2) / RATE
    decay = np.exp(-3 * beat) * np.minimum(1, beat / 0.005)
    chords = []
    for _ in range(seconds * 2):
        notes = 110 * 2 ** (rng.choice(36, size=4, replace=False) / 12)
        partials = sum(
            np.sin(2 * np.pi * f * h * beat) / h
            for f in notes
            for h in (1, 2, 3, 4)
            if f * h < 3900
        )
        chords.append(partials * decay * rng.uniform(0.04, 0.06))
    return (np.concatenate(chords) + 1e-4 * rng.normal(size=seconds * RATE)).astype(np.float32)


@pytest.fixture(scope="session")
def make_piece():
    return chords_of_half_a_second


@pytest.fixture(scope="session")
def piece(make_piece):
    return make_piece(80)


@pytest.fixture(scope="session")
def reference(piece):
    return Reference.from_segments([piece[: 64 * RATE]], [piece[64 * RATE :]], RATE)
