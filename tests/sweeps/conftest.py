"""A small sweep."""

import pytest

from keras_rawaudio.data.corpus.synthesis import write_demo_piece

SWEEP = """
audio: song.wav
recipe: tiny.yaml
epochs: 1
trials: 2
seed: 3
search:
  training.learning_rate: {low: 1e-4, high: 1e-2, log: true}
  tiers.0.units: [4, 6]
  data.batch: {low: 2, high: 4}
"""
TINY = """
codec: {name: mulaw, levels: 16}
tiers: [{frame_size: 8, units: 6}]
head: {kind: categorical, hidden_units: 8, layers: 1, embedded: 1, linear: 4}
data: {length: 64, batch: 4}
training: {sample_seconds: 0.0, validate_every: 1000.0}
"""


@pytest.fixture
def small_sweep(tmp_path, monkeypatch):
    """A working directory with a piece, a small recipe and a sweep's file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_demo_piece("song.wav", 3.0, 2000)
    (tmp_path / "tiny.yaml").write_text(TINY)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    return tmp_path
