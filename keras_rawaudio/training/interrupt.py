"""Ctrl-C, and the signals that end a process from outside: save and clear up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

# Ctrl-C; `kill` and a preempted machine; a closed terminal (not on Windows).
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Interrupt:
    """Whether somebody asked a loop to stop.

    Attributes:
        requested: look at it between two steps.
    """

    def __init__(self) -> None:
        self.requested = False

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

        with _handling(stop):
            yield


@contextmanager
def ending_as_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `KeyboardInterrupt` in the block, so that it clears up."""
    with _handling(signal.default_int_handler):
        yield


@contextmanager
def waiting() -> Iterator[None]:
    """Signals wait until the block is done, then raise `KeyboardInterrupt`; for short blocks."""
    came: list[int] = []
    with _handling(lambda number, frame: came.append(number)):
        yield
    if came:
        raise KeyboardInterrupt


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], Any]) -> Iterator[None]:
    before: dict[int, Any] = {}
    try:
        for number in SIGNALS:
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
