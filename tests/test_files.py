"""Files that appear whole or not at all, and take the place of files alone."""

import os
import stat

import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.files import replacing, write_failure


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
    path = tmp_path / "a" / "b" / ("x" * 245)
    with pytest.raises(UserError, match="File name too long"), replacing(path) as partial:
        partial.write_text("new")
    assert list(tmp_path.iterdir()) == []
