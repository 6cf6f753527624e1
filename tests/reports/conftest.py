"""A song, and a run that has been trained on it for a moment by the real command."""

import pytest

from keras_rawaudio.cli import main
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.training.run_folder import RunFolder

RATE = 4000
RECIPE = """
description: next to nothing
codec: {name: mulaw, levels: 64}
tiers: [{frame_size: 16, units: 24}]
head: {kind: categorical, hidden_units: 16}
data: {length: 256}
training: {sample_seconds: 2.0, learning_rate: 5.0e-3}
"""


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    """A folder with a song and a recipe."""
    home = tmp_path_factory.mktemp("home")
    write_demo_piece(home / "song.wav", 20.0, RATE)
    (home / "tiny.yaml").write_text(RECIPE)
    return home


@pytest.fixture(scope="session")
def run(home):
    """A run folder, as `train` leaves it."""
    words = f"train --audio {home}/song.wav --run {home}/run --cache {home}/cache --epochs 1"
    assert main([*words.split(), "--recipe", str(home / "tiny.yaml")]) == 0
    return RunFolder.open(home / "run")
