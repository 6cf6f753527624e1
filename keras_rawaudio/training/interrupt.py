"""Ends a loop between two steps when the user presses Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """Whether somebody asked a loop to stop.

    Attributes:
        requested: look at it between two steps.
    """

    def __init__(self) -> None:
        self.requested = False

    @contextmanager
    def catching(self) -> Iterator[None]:
        """Ctrl-C sets `requested`; a second one ends the process."""

        def stop(number: int, frame: FrameType | None) -> None:
            self.requested = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # Not print: it may be in the middle of a line of its own.
            os.write(2, b"\nstopping, once what is under way is done; Ctrl-C again: at once\n")

        try:
            before = signal.signal(signal.SIGINT, stop)
        except ValueError:  # not in the main thread, which alone receives signals
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
