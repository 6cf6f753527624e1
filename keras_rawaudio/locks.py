"""One process per folder: a lock that ends with its process, however that ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from keras_rawaudio.errors import UserError
from keras_rawaudio.files import replacing

if TYPE_CHECKING:
    from filelock import FileLock

LOCK = ".lock"
# The process that holds the lock, in a file of its own: Windows lets nobody read a locked one.
HOLDER = ".lock-holder"


@contextmanager
def exclusive(folder: Path, wait: bool = False, advice: str = "choose another") -> Iterator[None]:
    """Hold a folder for as long as the block lasts; make it where it is missing.

    A folder that ends up empty, and was made here, is removed with its lock.

    Args:
        folder: the folder.
        wait: until another process that holds it is done, with a line that names the process.
        advice: the end of the error's line where it cannot be written.

    Raises:
        UserError: another process holds it, or it cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp()) / "new"
        >>> with exclusive(folder):
        ...     folder.is_dir()
        True
        >>> folder.exists()
        False
    """
    from filelock import FileLock, Timeout

    # os.path: a path that is too long does not exist either.
    made = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(folder)
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if not wait:
                raise
            print(
                f"note: waiting for process {holder(folder)}, which uses {folder}", file=sys.stderr
            )
            lock.acquire()
        try:
            with replacing(folder / HOLDER) as partial:
                partial.write_text(str(os.getpid()), encoding="utf-8")
        except BaseException:
            _release(lock, folder)
            raise
    except Timeout:
        raise UserError(
            f"{folder} is in use by process {holder(folder)}; wait for it, or choose another folder"
        ) from None
    except UserError:
        _remove(made)
        raise
    except (OSError, ValueError, NotImplementedError) as error:
        _remove(made)
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"cannot write to {folder}: {reason}; {advice}") from None
    try:
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink()
        _release(lock, folder)
        _remove(made)


def holder(folder: Path) -> str:
    """The number of the process that holds a folder, as far as it is known."""
    path = folder / HOLDER
    try:
        return path.read_text(encoding="utf-8")[:20] if path.is_file() else "unknown"
    except (OSError, ValueError):
        return "unknown"


def _refuse_foreign(folder: Path) -> None:
    """Refuse files of these names that no process of ours left: they are emptied and removed."""
    lock, number = folder / LOCK, folder / HOLDER
    if lock.is_symlink():  # the file that it points to would be emptied
        raise OSError(f"{LOCK} is a link")
    if lock.is_file() and lock.stat().st_size > 0:
        raise OSError(f"{LOCK} is another program's")
    if number.is_file() and not holder(folder).isdecimal() and number.stat().st_size > 0:
        raise OSError(f"{HOLDER} is another program's")


def _release(lock: FileLock, folder: Path) -> None:
    with suppress(OSError):
        # Before the release: a process that waits for this very file sees that it is gone.
        (folder / LOCK).unlink()  # Windows removes no open file
    lock.release()


def _remove(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):  # it holds something
            folder.rmdir()
