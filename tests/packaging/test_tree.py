"""What is, and is not, in the checkout."""

import re
import subprocess
from pathlib import Path

import pytest

# Where somebody's home or workplace would show. Written so that it does not find itself.
MACHINE_PATH = re.compile(rb"(?<![\w.~-])/(?:root|work|home|Users)/[\w.]")


def tracked(root: Path) -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("not a git checkout")
    return [root / name for name in done.stdout.split("\0") if name and (root / name).is_file()]


def test_no_path_of_one_machine(root: Path) -> None:
    for path in tracked(root):
        found = MACHINE_PATH.search(path.read_bytes())
        assert not found, f"{path.relative_to(root)} names {found}"


def test_audio_in_docs_alone_and_nothing_large(root: Path) -> None:
    for path in tracked(root):
        name = path.relative_to(root)
        if name.parent == Path("docs/audio"):  # of the piece that the package synthesises
            assert path.suffix == ".ogg", name
            assert path.stat().st_size < 200_000, f"{name} has {path.stat().st_size} bytes"
            continue
        assert path.suffix not in {".wav", ".flac", ".ogg", ".mp3", ".onnx", ".keras", ".h5"}, name
        assert path.stat().st_size < 1_000_000, f"{name} has {path.stat().st_size} bytes"


def test_the_architecture_names_every_file_of_training(root: Path) -> None:
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.partition("The files of `training`")[2].partition("Beside them")[0]
    files = {path.stem for path in (root / "keras_rawaudio/training").glob("*.py")}
    assert set(re.findall(r"`(\w+)`", table)) - {"training"} == files - {"__init__"}
