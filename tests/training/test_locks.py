"""One process per folder."""

import errno
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.locks import HOLDER, LOCK, exclusive

HOLD = """
import os, sys, time
from pathlib import Path
from keras_rawaudio.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print(os.getpid(), flush=True)
    time.sleep(100)
"""


def test_the_second_process_is_refused_until_the_first_one_dies(tmp_path):
    """Pitfall 30: two processes never work in one folder."""
    folder = tmp_path / "run"
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    pid = other.stdout.readline().strip()
    for _ in range(2):
        with pytest.raises(UserError, match=rf"run is in use by process {pid};"), exclusive(folder):
            pass
    other.kill()
    other.wait()
    assert sorted(os.listdir(folder)) == [LOCK, HOLDER]
    with exclusive(folder):
        assert (folder / HOLDER).read_text() == str(os.getpid())
    assert os.listdir(folder) == []


def test_only_what_was_made_is_removed(tmp_path):
    """Pitfall 30: clean-up leaves what it did not make."""
    (tmp_path / "there").mkdir()
    with exclusive(tmp_path / "there" / "new" / "run"):
        pass
    assert os.listdir(tmp_path / "there") == []
    with exclusive(tmp_path / "there" / "run"):
        (tmp_path / "there" / "run" / "a").write_text("a")
    assert sorted(os.listdir(tmp_path / "there" / "run")) == ["a"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"cannot write to .*file/run"),
        exclusive(tmp_path / "file" / "run"),
    ):
        pass
    with pytest.raises(UserError, match="cannot write to"), exclusive(tmp_path / ("x" * 999)):
        pass
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="FIFOs and links")
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_holder_that_is_no_file_is_refused_at_once(tmp_path, make):
    make(tmp_path / HOLDER)
    with pytest.raises(UserError, match="lock-holder: it is no file"), exclusive(tmp_path):
        pass
    assert os.listdir(tmp_path) == [HOLDER]
    (tmp_path / HOLDER).rename(tmp_path / "elsewhere")
    with exclusive(tmp_path):  # the first attempt released the lock
        pass


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege")
@pytest.mark.parametrize("name", [LOCK, HOLDER])
def test_what_a_link_leads_to_stays_as_it_is(tmp_path, name):
    (tmp_path / "diary").write_text("dear diary")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).symlink_to(tmp_path / "diary")
    with suppress(UserError), exclusive(folder):
        pass
    assert (tmp_path / "diary").read_text() == "dear diary"


@pytest.mark.parametrize("name", [LOCK, HOLDER])
def test_a_file_of_another_program_stays(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(UserError, match=f"{name} is another program's"), exclusive(tmp_path):
        pass
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]


def test_a_full_disk_releases_the_lock(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match="No space left"), exclusive(tmp_path / "run"):
        pass
    assert os.listdir(tmp_path) == []
    monkeypatch.undo()
    with exclusive(tmp_path / "run"):
        pass
