"""Files that appear whole or not at all, and take the place of files alone."""

import errno
import os
import stat

import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.files import (
    refuse_immovable,
    refuse_unwritable,
    replacing,
    sync,
    write_failure,
)


def test_a_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("notes.txt", "old")]


def test_what_is_no_failure_to_write_is_not_called_one():
    """A mistake in our own code is not the disk's."""

    def error(module, **attributes):
        return type("Error", (Exception,), {"__module__": module, **attributes})("why\nwhere")

    assert write_failure(error("soundfile")) == "why"
    assert write_failure(error("tensorflow.python.framework.errors_impl", error_code=8)) == "why"
    assert write_failure(error("tensorflow.python.framework.errors_impl")) is None
    assert write_failure(error("tensorflow.python.autograph.impl.api")) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a POSIX system")
def test_a_pipe_stays_a_pipe(tmp_path):
    """A rename would put a file in the place of a pipe, or of /dev/null."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(UserError, match="it is no file"), replacing(path):
        pass
    assert stat.S_ISFIFO(path.stat().st_mode)
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_not_replaced(tmp_path):
    for path in (tmp_path, tmp_path.root):
        with pytest.raises(UserError, match="it is no file"), replacing(type(tmp_path)(path)):
            pass


def test_a_failure_leaves_no_folder_that_was_made_for_the_file(tmp_path):
    """Of folders within folders, the last one alone was removed."""
    path = tmp_path / "a" / "b" / ("x" * 256)
    with pytest.raises(UserError, match="File name too long"), replacing(path) as partial:
        partial.write_text("new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("letter", ["x", "\N{MUSICAL SYMBOL G CLEF}"])
def test_every_name_that_the_system_takes_is_written(tmp_path, letter):
    """The temporary name beside it was longer, and so too long."""
    name = letter * ((255 - len(".png")) // len(letter.encode())) + ".png"
    with replacing(tmp_path / name) as partial:
        assert partial.suffix == ".png"
        partial.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="a POSIX system")
def test_another_users_file_in_a_sticky_folder_is_refused_before_the_work(tmp_path, monkeypatch):
    path = tmp_path / "page.html"
    refuse_unwritable(path)
    path.write_text("another's")
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    refuse_unwritable(path)
    tmp_path.chmod(0o1777)
    with pytest.raises(UserError, match="another user's"):
        refuse_unwritable(path)
    monkeypatch.undo()
    refuse_immovable(path)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_place_that_takes_no_file_is_refused_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a" / "page.html", tmp_path / ("x" * 256)):
        with pytest.raises((UserError, OSError), match=r"Not a directory|File name too long"):
            refuse_unwritable(path)
    refuse_unwritable(tmp_path / "new" / "page.html")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_synchronised_stops_nothing(tmp_path, monkeypatch):
    """As on shared folders of virtual machines; a file that cannot be is an error."""
    seen = []

    def refuse(number):
        seen.append(stat.S_ISDIR(os.fstat(number).st_mode))
        if seen[-1]:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(os, "fsync", refuse)
    with replacing(tmp_path / "notes.txt") as partial:
        partial.write_text("new")
    assert (tmp_path / "notes.txt").read_text() == "new"
    assert seen == [False, True]
    monkeypatch.setattr(os, "fsync", lambda number: os.close(number) or os.fstat(number))
    with pytest.raises(OSError, match="Bad file descriptor"):
        sync(tmp_path / "notes.txt")
