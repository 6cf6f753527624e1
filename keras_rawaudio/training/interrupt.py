"""Ctrl-C, and the signals that end a process from outside: save and clear up."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

# Ctrl-C; `kill` and a preempted machine; a closed terminal (not on Windows).
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
AGAIN = 0.1  # seconds after which a signal that Python dropped is given again
CONTINUING = [signal.SIGCONT] if hasattr(signal, "SIGCONT") else []


class Interrupt:
    """Whether somebody asked a loop to stop.

    Attributes:
        requested: look at it between two steps.
        continued: the process stood still (Ctrl-Z) and goes on; its reader sets it back.
    """

    def __init__(self) -> None:
        self.requested = self.continued = False

    @contextmanager
    def catching(self) -> Iterator[None]:
        """The first signal sets `requested`; a second one raises `KeyboardInterrupt`."""

        def stop(number: int, frame: FrameType | None) -> None:
            self.requested = True
            for other in SIGNALS:
                signal.signal(other, signal.default_int_handler)
            with suppress(OSError):  # the terminal may be closed
                # Not `print`: the signal may come in the middle of another one.
                os.write(2, b"\nstopping, once what is under way is done; Ctrl-C again: at once\n")

        def go_on(number: int, frame: FrameType | None) -> None:
            self.continued = True

        with _handling(stop), _handling(go_on, CONTINUING):
            yield


@contextmanager
def ending_as_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `KeyboardInterrupt` in the block, so that it clears up.

    Python drops what is raised while it removes an object, and prints a traceback. A signal that
    comes then is given again, as SIGTERM, a moment later.
    """
    before = sys.unraisablehook

    def again(unraisable: sys.UnraisableHookArgs) -> None:
        if not isinstance(unraisable.exc_value, KeyboardInterrupt):
            before(unraisable)
            return
        later = threading.Timer(AGAIN, _thread.interrupt_main, [signal.SIGTERM])
        later.daemon = True
        later.start()

    sys.unraisablehook = again
    try:
        with _handling(signal.default_int_handler):
            yield
    finally:
        sys.unraisablehook = before


@contextmanager
def waiting() -> Iterator[None]:
    """Signals wait until the block is done, then raise `KeyboardInterrupt`; for short blocks."""
    came: list[int] = []
    with _handling(lambda number, frame: came.append(number)):
        yield
    if came:
        raise KeyboardInterrupt


@contextmanager
def _handling(
    handler: Callable[[int, FrameType | None], Any], numbers: Sequence[int] = SIGNALS
) -> Iterator[None]:
    before: dict[int, Any] = {}
    try:
        for number in numbers:
            # What is ignored stays ignored, as SIGHUP under nohup.
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    except ValueError:  # not in the main thread, which alone receives signals
        pass
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
