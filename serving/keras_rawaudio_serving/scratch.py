"""A folder for files in the making; where its process is killed, the next one removes it."""

import contextlib
import glob
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

ENDING = ".part"
MORE = 1 << 16  # bytes: more than a full disk may have left
KEPT = 40  # characters of the file's name: a longer one would be too long
MADE = re.compile(r"\d+\.(wav|flac|ogg|yaml)|old-\d+", re.IGNORECASE)  # what lies in one


class Scratch:
    """A locked folder beside the file that is being made, under a hidden name.

    The lock ends with its process. So a folder that another process can lock is a leftover.

    Args:
        final: the file that is being made. Leftovers of files of this name are removed first;
            a folder that holds anything else is somebody's own.

    Attributes:
        path: the folder.

    Raises:
        OSError: it cannot be made.

    Example:
        >>> scratch = Scratch(Path(tempfile.mkdtemp()) / "new.wav")
        >>> scratch.path.is_dir()
        True
        >>> scratch.remove()
        >>> scratch.path.is_dir()
        False
    """

    def __init__(self, final: Path) -> None:
        begin = f".{final.stem[-KEPT:]}-"
        for left in final.parent.glob(f"{glob.escape(begin)}*{ENDING}"):
            with contextlib.suppress(BlockingIOError):
                if left.is_dir() and (handle := _lock(left)) is not None:
                    with contextlib.suppress(OSError):
                        if all(MADE.fullmatch(name) for name in os.listdir(left)):
                            shutil.rmtree(left)
                    os.close(handle)
        self._handle: int | None = None
        while True:
            self.path = Path(tempfile.mkdtemp(ENDING, begin, final.parent))
            # Another process may take it for a leftover, and remove it before it is locked.
            with contextlib.suppress(BlockingIOError, FileNotFoundError):
                self.path.chmod(0o700)  # whatever the umask
                self._handle = _lock(self.path)
                if self.path.is_dir():
                    break

    def remove(self) -> None:
        """Remove the folder, with what is left in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def replace_all(moves: Sequence[tuple[Path, Path]], scratch: Path) -> None:
    """Move files to their final places: all of them, or those of before stay.

    They are on the disk before, and their names after.

    Args:
        moves: from where, and to where.
        scratch: a folder on the same disk, where what was there lies until all is done.
    """
    for part, _ in moves:
        sync(part)
    if len(moves) == 1:
        os.replace(*moves[0])
    else:
        _replace_each(moves, scratch)
    for folder in {final.parent for _, final in moves}:
        sync(folder)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir():
        with contextlib.suppress(OSError):  # not on every system, nor on every network's disk
            _sync(path, os.O_RDONLY)
    else:
        _sync(path, os.O_RDWR)


def _sync(path: Path, flags: int) -> None:
    number = os.open(path, flags)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _replace_each(moves: Sequence[tuple[Path, Path]], scratch: Path) -> None:
    done: list[tuple[Path, Path | None]] = []
    try:
        for number, (part, final) in enumerate(moves):
            old = None
            if os.path.lexists(final):
                old = scratch / f"old-{number}"
                try:
                    os.link(final, old, follow_symlinks=False)
                except (OSError, NotImplementedError):  # a disk without such links
                    shutil.copy2(final, old, follow_symlinks=False)
            done.append((final, old))
            os.replace(part, final)
    except BaseException:
        for final, old in reversed(done):
            with contextlib.suppress(OSError):
                os.replace(old, final) if old else final.unlink(missing_ok=True)
        raise


def is_kept(path: Path) -> bool:
    """Whether only another user may replace a file: each removes but his own there, as in /tmp."""
    if not hasattr(os, "geteuid"):
        return False
    folder = path.parent.stat()
    others = os.geteuid() not in (0, folder.st_uid, path.lstat().st_uid)
    return bool(folder.st_mode & stat.S_ISVTX) and others


def refusal(path: Path) -> str | None:
    """What the system has against more in a file: libsndfile calls all of it "System error".

    Args:
        path: of a file that is given up.
    """
    try:
        with path.open("ab") as file:
            file.write(bytes(MORE))
    except OSError as error:
        return error.strerror
    return None


def _lock(folder: Path) -> int | None:
    """A handle that holds the folder's lock; None where there are no locks.

    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):  # Windows has no such locks
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    except BlockingIOError:
        os.close(handle)
        raise
    except OSError:  # neither has every disk
        os.close(handle)
        return None
