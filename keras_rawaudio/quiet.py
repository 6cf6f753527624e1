"""Keep what C code writes to stderr out of sight."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

STDERR = 2  # the number that C knows it by
_LOCK = threading.RLock()  # stderr is the whole process's


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Send what C and C++ code writes to stderr nowhere; Python's own errors are raised as ever."""
    with _LOCK:
        try:
            saved = os.dup(STDERR)
        except OSError:  # it is closed
            yield
            return
        try:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), STDERR)
                yield
        finally:
            os.dup2(saved, STDERR)
            os.close(saved)
