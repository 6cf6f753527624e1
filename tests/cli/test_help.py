"""What must be quick: help, and `import keras_rawaudio`."""

import subprocess
import sys

import pytest

HEAVY = {"tensorflow", "keras", "scipy", "matplotlib", "soxr", "soundfile", "yaml"}
PROBE = """
import sys
from keras_rawaudio.cli import main
try:
    main({words!r})
except SystemExit as end:
    assert end.code == 0
print("LOADED", *sorted({heavy!r} & set(sys.modules)))
"""


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(words):
    code = PROBE.format(words=words, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *lines, loaded = done.stdout.splitlines()
    assert loaded == "LOADED"
    assert lines
    if "train" in words:
        for flag in ("--audio", "--run", "--minutes", "--epochs", "--resume", "--set", "--shift"):
            assert flag in done.stdout
    assert done.stderr == ""
