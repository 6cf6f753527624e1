"""The notebook runs from its first cell to its last, with a small model and little time."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile

NOTEBOOK = Path(__file__).parents[2] / "examples" / "first_song.ipynb"
SMALL = {
    "RECIPE": "demo",
    "MINUTES": 0.01,
    "SECONDS": 0.5,
    "PIECE_SECONDS": 8,
    "SETTINGS": {
        "tiers.0.units": 8,
        "head.filters": 2,
        "head.lpc_order": 16,
        "training.sample_seconds": 0,
    },
}


@pytest.fixture(scope="module")
def cells():
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


def test_the_notebook_is_stored_without_outputs(cells):
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 4
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
def test_the_notebook_runs(cells, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    display = types.ModuleType("IPython.display")
    display.Audio = soundfile.info  # what is shown is a file that can be read
    shell = types.ModuleType("IPython")
    shell.version_info = (9, 0)  # Matplotlib asks
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    names = {}
    for cell in cells:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), names)
            if "MINUTES =" in "".join(cell["source"]):
                assert SMALL.keys() <= names.keys()
                names |= SMALL
    new, rate = soundfile.read("new.wav")
    assert rate == names["generator"].sample_rate
    assert len(new) == round(SMALL["SECONDS"] * rate)
    assert np.std(new) > 1e-4
    audio, _ = soundfile.read("generated.wav")
    assert len(audio) == len(new)
