"""The README's links lead somewhere, its recipes exist, its Python runs."""

import re
from pathlib import Path

import pytest
import soundfile

import keras_rawaudio
from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.recipes import recipe_names

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
def test_the_python_runs(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (root / "README.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]
    short = 'minutes=0.01, recipe="demo", **{"training.sample_seconds": 0}'
    for old, new in (("minutes=10", short), ("seconds=10", "seconds=0.5"), (".flac", ".wav")):
        assert code.count(old) == 1
        code = code.replace(old, new)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write_demo_piece("song.wav", seconds=20)
    exec(code, {"keras_rawaudio": keras_rawaudio})
    audio, rate = soundfile.read("new.wav")
    assert len(audio) == round(0.5 * rate)
    assert (tmp_path / "exported/song/generator.onnx").is_file()
