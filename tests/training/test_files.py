"""Files appear whole or not at all."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.files import replacing


def test_a_failing_block_leaves_the_old_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")

    def half(error):
        with replacing(path) as partial:
            partial.write_text("ne")
            raise error

    with pytest.raises(RuntimeError):
        half(RuntimeError())
    with pytest.raises(UserError, match=r"cannot write .*notes\.txt: No space left on device"):
        half(OSError(errno.ENOSPC, "No space left on device"))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["notes.txt"]


def test_what_was_written_is_on_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    """And the folder's new name after it."""
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda n: events.append("fsync") or fsync(n))
    monkeypatch.setattr(os, "replace", lambda a, b: events.append("replace") or replace(a, b))
    with replacing(tmp_path / "a") as partial:
        partial.write_text("a")
    assert events == ["fsync", "replace", "fsync"]


FULL = """
import sys, resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
import numpy as np, soundfile
from pathlib import Path
from keras_rawaudio.errors import UserError
from keras_rawaudio.files import replacing
from keras_rawaudio.plots import learning_curve
write = {
    "a.npz": lambda p: np.savez(p.open("wb"), np.zeros(9999)),
    "a.wav": lambda p: soundfile.write(p, np.zeros(9999), 8000),
    "a.png": lambda p: learning_curve([{"minutes": 1.0, "bits_per_sample": 2.0, "step": 1,
        "train_loss": 1.0, "validation_loss": 1.0}], p, {}),
    "a.txt": lambda p: p.write_text("x" * 9999),
}
for name, write in write.items():
    try:
        with replacing(Path(sys.argv[1]) / "new" / name) as partial:
            write(partial)
        print(name, "was written")
    except UserError as error:
        print(error)
"""


def test_a_full_disk_is_one_line(tmp_path):
    """The limit of a file's size stands for it: each library meets the error as it writes."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("cannot write ") for line in lines), lines
    assert os.listdir(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 2000
