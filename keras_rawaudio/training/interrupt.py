"""Ctrl-C, and the signals that end a process from outside: save and clear up."""

from __future__ import annotations

import _thread
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

# Ctrl-C; `kill` and a preempted machine; a closed terminal (not on Windows).
SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
# Seconds in which a second signal counts as the first: a terminal and a parent process may each
# send one, and what clears up is not to be stopped.
REPEATED = 1.0
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
        """The first signal sets `requested`; a later one raises `KeyboardInterrupt`."""
        raising = _Raising()

        def stop(number: int, frame: FrameType | None) -> None:
            if self.requested:
                raising(number, frame)
                return
            self.requested = True
            raising.last = time.monotonic()
            with suppress(OSError):  # the terminal may be closed
                # Not `print`: the signal may come in the middle of another one.
                os.write(2, b"\nstopping, once what is under way is done; Ctrl-C again: at once\n")

        def go_on(number: int, frame: FrameType | None) -> None:
            self.continued = True

        with _handling(stop), _handling(go_on, CONTINUING):
            yield


class _Raising:
    """Raises `KeyboardInterrupt` at a signal, but not at one that repeats it."""

    def __init__(self) -> None:
        self.last = -math.inf  # when it raised

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if (now := time.monotonic()) - self.last > REPEATED:
            self.last = now
            raise KeyboardInterrupt


@contextmanager
def ending_as_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP raise `KeyboardInterrupt` in the block, so that it clears up.

    Python drops what is raised while it removes an object, and prints a traceback. A signal that
    comes then is given again, as SIGTERM, a moment later.
    """
    before, raising = sys.unraisablehook, _Raising()
    timers: list[threading.Timer] = []

    def again() -> None:
        raising.last = -math.inf  # it is not repeated: the first one was dropped
        if hasattr(signal, "pthread_kill"):  # it ends a sleep, too
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        else:
            _thread.interrupt_main(signal.SIGTERM)

    def dropped(unraisable: sys.UnraisableHookArgs) -> None:
        if isinstance(unraisable.exc_value, KeyboardInterrupt):
            timers.append(threading.Timer(AGAIN, again))
            timers[-1].daemon = True
            timers[-1].start()
        elif raising.last == -math.inf:
            before(unraisable)  # not of what a signal left half-made

    sys.unraisablehook = dropped
    try:
        with _handling(raising):
            yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()


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
