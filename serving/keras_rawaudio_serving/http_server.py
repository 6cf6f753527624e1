"""uvicorn's server, which ends at the first signal and prints nothing of it."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import uvicorn

from .broadcast import Broadcast


class Server(uvicorn.Server):  # type: ignore[misc, unused-ignore]
    """A server of one stream.

    Args:
        config: of uvicorn.
        broadcast: ended before the connections are, whose listeners would else hold the end up.
    """

    def __init__(self, config: uvicorn.Config, broadcast: Broadcast) -> None:
        super().__init__(config)
        self._broadcast = broadcast

    async def shutdown(self, sockets: Any = None) -> None:
        """End the stream, then the connections."""
        self._broadcast.close()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the server; a second signal would leave the sampler's thread behind."""
        if not self.should_exit:
            super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGHUP as the signals that uvicorn knows, unless it is ignored, as under nohup."""
        hangup = getattr(signal, "SIGHUP", None)  # Windows has none
        handler = signal.getsignal(hangup) if hangup else None
        with super().capture_signals():
            if hangup is None or not callable(handler):
                yield
                return
            signal.signal(hangup, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(hangup, handler)
