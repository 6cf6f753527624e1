"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keras_rawaudio.errors import UserError, is_out_of_memory

PARTIAL = ".partial-"  # how the names of files in the making begin
KEPT = 40  # characters of the final name, with its ending: a longer name would be too long


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that becomes `path` when the block ends well, and vanishes if not.

    What was written is on the disk before the name changes, so that a crash leaves the old file or
    the new one. The temporary name keeps the ending, and the folder is made where it is missing.

    Raises:
        UserError: it cannot be written, be it that the disk is full, or that the path is a folder
            or a device, which a file must not take the place of.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "notes.txt"
        >>> with replacing(path) as partial:
        ...     _ = partial.write_text("whole")
        >>> path.read_text()
        'whole'
    """
    refuse_other_kinds(path)
    partial = partial_path(path)
    with without_empty_parents(path):
        try:
            with write_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                yield partial
                sync(partial)
                os.replace(partial, path)
                sync(path.parent)
        finally:
            with suppress(OSError):
                partial.unlink(missing_ok=True)


def partial_path(path: Path) -> Path:
    """The temporary path beside a final one, of this process.

    Example:
        >>> partial_path(Path("a/notes.txt")) == Path(f"a/.partial-{os.getpid()}-notes.txt")
        True
    """
    return path.with_name(f"{PARTIAL}{os.getpid()}-{path.name[-KEPT:]}")


@contextmanager
def without_empty_parents(path: Path) -> Iterator[None]:
    """Remove the folders above a path that the block has made and left empty."""
    made = [folder for folder in path.parents if not os.path.exists(folder)]
    try:
        yield
    finally:
        for folder in made:
            with suppress(OSError):  # it holds something
                folder.rmdir()


def refuse_other_kinds(path: Path) -> None:
    """Refuse to write where a folder, a pipe or a device is.

    Raises:
        UserError: there is something, and it is no file.
    """
    if not path.name or (path.exists() and not path.is_file()):
        raise UserError(f"cannot write {path}: it is no file; choose another place")


def refuse_unwritable(path: Path) -> None:
    """Refuse before the work what `replacing` would refuse after it.

    Raises:
        UserError: the folder takes no new file, or what is there may not be replaced.
    """
    refuse_other_kinds(path)
    folder = next(parent for parent in path.parents if os.path.exists(parent))
    with write_errors(path), tempfile.TemporaryFile(dir=folder):
        pass
    refuse_immovable(path)


def refuse_input(path: Path, *inputs: Path) -> None:
    """Refuse to write over what is read.

    Raises:
        UserError: `path` is the same file as one of the inputs.
    """
    if path.exists() and any(one.exists() and path.samefile(one) for one in inputs):
        raise UserError(f"cannot write {path}: it is what is read; choose another place")


def is_partial(name: str) -> bool:
    """Whether a name is one that `partial_path` gives.

    Example:
        >>> [is_partial(name) for name in (".partial-12-notes.txt", ".partial-notes.txt")]
        [True, False]
    """
    return re.match(rf"{re.escape(PARTIAL)}\d+-", name) is not None


def refuse_immovable(path: Path) -> None:
    """Refuse to replace what only another user may move away.

    That is a file in a folder where each user may remove but his own, such as /tmp, or a folder
    that may not be written to.

    Raises:
        UserError: there is one.
    """
    if not os.path.lexists(path):
        return
    with write_errors(path):
        above, own = path.parent.stat(), path.lstat()
        user = os.geteuid() if hasattr(os, "geteuid") else 0
        sticky = above.st_mode & stat.S_ISVTX and user not in (0, above.st_uid, own.st_uid)
        if sticky or (stat.S_ISDIR(own.st_mode) and not os.access(path, os.W_OK)):
            raise PermissionError(errno.EPERM, "it is another user's")


@contextmanager
def write_errors(path: Path, advice: str = "choose another place") -> Iterator[None]:
    """Failures to write in the block, of whatever library, become one line.

    Args:
        path: what is written.
        advice: the end of the line.

    Raises:
        UserError: a file could not be written, be it that the disk is full.
    """
    try:
        yield
    except Exception as error:
        if (reason := write_failure(error)) is None:
            raise
        raise UserError(f"cannot write {path}: {reason}; {advice}") from None


def write_failure(error: BaseException | None) -> str | None:
    """Why a file could not be written; `None`: the error is of another kind.

    Libraries wrap the operating system's error, or raise one of their own for it.
    """
    while error is not None and not (isinstance(error, UserError) or is_out_of_memory(error)):
        if isinstance(error, OSError):
            return error.strerror or str(error).partition("\n")[0] or type(error).__name__
        # Of libsndfile, SQLite and TensorFlow's file system: of its errors, those with a code.
        module = type(error).__module__.partition(".")[0]
        if module in ("soundfile", "sqlite3") or (
            module == "tensorflow" and hasattr(error, "error_code")
        ):
            return str(error).partition("\n")[0]
        error = error.__cause__ or error.__context__
    return None


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir():
        with suppress(OSError):  # not on Windows, nor on every shared or network disk
            _sync(path, os.O_RDONLY)
    else:
        _sync(path, os.O_RDWR)


def _sync(path: Path, flags: int) -> None:
    number = os.open(path, flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def sync_tree(folder: Path) -> None:
    """`sync` for all that a folder holds, and for the folder."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
