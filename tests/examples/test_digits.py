"""The examples run as written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.slow
def test_digits_are_read_and_training_stops_by_itself():
    pytest.importorskip("sklearn")
    command = [sys.executable, str(EXAMPLES / "digits.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *epochs, last = done.stdout.splitlines()
    found = json.loads(last)
    assert found["stopped_early"]
    assert len(epochs) == found["epochs"] < 200
    assert found["test_accuracy"] > 0.95
    assert found["test_loss"] < 0.2
