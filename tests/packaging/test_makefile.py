"""What `make` does with an environment that is half made, or of another place."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What `python -m venv .venv` leaves when it is interrupted: a python, and no pip.
WITHOUT_PIP = "#!/bin/sh\necho No module named pip >&2\nexit 1\n"
# Makes a whole one in its place, whose python does nothing.
PYTHON = f"""#!/bin/sh
{sys.executable} -m venv --without-pip "$3" && rm "$3/bin/python"
printf "#!/bin/sh\\n" >"$3/bin/python" && chmod +x "$3/bin/python"
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def checkout(tmp_path):
    """What the rules of environments read, and a `python` for them."""
    folder = tmp_path / "here"
    files = ("setup.cfg", "pyproject.toml", "serving/setup.cfg", "serving/pyproject.toml")
    for name in ("Makefile", *files, ".ci/oldest.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    write_program(folder / "python", PYTHON)
    return folder


def write_program(path, text):
    path.write_text(text)
    path.chmod(0o755)


def make(checkout, target):
    words = ["make", target, "PYTHON=./python"]
    return subprocess.run(
        words, cwd=checkout, check=True, capture_output=True, timeout=60, text=True
    ).stdout


TARGETS = [".venv/.demo", ".venv/.installed", ".venv-oldest/.installed"]


@pytest.mark.parametrize("target", TARGETS)
def test_an_environment_that_was_interrupted_is_made_again(checkout, target):
    inside = checkout / target.partition("/")[0] / "bin" / "python"
    inside.parent.mkdir(parents=True)
    write_program(inside, WITHOUT_PIP)
    assert "moved" not in make(checkout, target)
    assert (checkout / target).exists()


@pytest.mark.parametrize("target", TARGETS)
def test_the_environment_of_another_place_is_made_anew(checkout, target):
    """Its scripts and installed packages name that place."""
    make(checkout, target)
    assert "up to date" in make(checkout, target)
    # The old path ends in the new one's, as where a folder is mounted elsewhere.
    activate = checkout / target.partition("/")[0] / "bin" / "activate"
    activate.write_text(activate.read_text().replace(str(checkout), f"/srv{checkout}"))
    assert make(checkout, target).count("this checkout was moved or copied") == 1
    assert "/srv" not in activate.read_text()
    assert "up to date" in make(checkout, target)
    moved = checkout.rename(checkout.with_name("a b"))
    assert make(moved, target).count("this checkout was moved or copied") == 1
    assert "up to date" in make(moved, target)


def test_a_link_to_an_environment_is_left_alone(checkout):
    make(checkout, ".venv/.installed")
    shared = (checkout / ".venv").rename(checkout.with_name("shared"))
    (checkout / ".venv").symlink_to(shared)
    assert "up to date" in make(checkout, ".venv/.installed")
