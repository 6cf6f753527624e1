"""The README's links lead somewhere, its recipes exist, its Python runs."""

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

import keras_rawaudio
from keras_rawaudio.data.corpus.synthesis import synthesise
from keras_rawaudio.recipes import recipe_names
from keras_rawaudio.training import code_balance

SMALL = {"spectral.units": 8, "spectral.components": 8, "data.length": 8, "data.batch": 2}
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize(
    "page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
)
def test_links_lead_somewhere(root: Path, page: str) -> None:
    found = LINK.findall((root / page).read_text(encoding="utf-8"))
    missing = [link for link in found if not (root / link).exists()]
    assert not missing


def test_recipes_exist(root: Path) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    table = text[text.index("| recipe |") : text.index("`keras-rawaudio recipe`")]
    firsts = [line.split("|")[1] for line in table.splitlines()[2:] if line.startswith("|")]
    names = {name for first in firsts for name in re.findall(r"`([\w-]+)`", first)}
    assert len(names) > 5
    assert names <= set(recipe_names())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "channels", "measure"),
    [("default", 2, "bits_per_code"), ("demo", 1, "bits_per_sample")],
)
def test_the_python_runs(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    recipe: str,
    channels: int,
    measure: str,
) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    small = {"training.sample_seconds": 0} | (SMALL if recipe == "default" else {})
    short = f"minutes=0.001, recipe={recipe!r}, **{small}"
    for old, new in (("minutes=10", short), ("seconds=10", "seconds=0.5"), (".flac", ".wav")):
        assert code.count(old) == 1
        code = code.replace(old, new)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(code_balance, "SECONDS", 1.0)
    piece = synthesise(10, 2000)
    soundfile.write("song.wav", np.stack([piece, 0.5 * piece], axis=1)[:, :channels], 2000)
    exec(code, {"keras_rawaudio": keras_rawaudio})
    assert f"'{measure}': " in capsys.readouterr().out
    audio, rate = soundfile.read("new.wav", always_2d=True)
    assert audio.shape == (round(0.5 * rate), channels)
    assert (tmp_path / "exported/song/generator.onnx").is_file()
