"""What `make` does with an environment that is half made."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What `python -m venv .venv` leaves when it is interrupted: a python, and no pip.
WITHOUT_PIP = "#!/bin/sh\necho No module named pip >&2\nexit 1\n"
# Makes a whole one in its place.
PYTHON = '#!/bin/sh\nmkdir -p "$3/bin" && printf "#!/bin/sh\\n" >"$3/bin/python"\n'


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", [".venv/.demo", ".venv/.installed", ".venv-oldest/.installed"])
def test_an_environment_that_was_interrupted_is_made_again(tmp_path, target):
    files = ("setup.cfg", "pyproject.toml", "serving/setup.cfg", "serving/pyproject.toml")
    for name in ("Makefile", *files, ".ci/oldest.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    inside = tmp_path / target.partition("/")[0] / "bin" / "python"
    inside.parent.mkdir(parents=True)
    python = tmp_path / "python"
    for path, text in ((inside, WITHOUT_PIP), (python, PYTHON)):
        path.write_text(text)
        path.chmod(0o755)
    make = ["make", target, f"PYTHON={python}"]
    subprocess.run(make, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    assert (tmp_path / target).exists()
