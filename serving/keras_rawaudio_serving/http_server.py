"""uvicorn's server for one stream, which ends at the first signal and prints nothing of it."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

import uvicorn

from .http_app import StreamServer
from .http_protocol import TimedProtocol
from .sampler import Sampler


class HttpServer(uvicorn.Server):  # type: ignore[misc, unused-ignore]
    """Serves one stream until the process is stopped, or the sampler fails.

    Args:
        sampler: of one stream.
        max_listeners: how many may listen at once.
        token: as of `StreamServer`.

    Attributes:
        streaming: what is served.
    """

    def __init__(self, sampler: Sampler, max_listeners: int, token: str | None) -> None:
        self.streaming = StreamServer(sampler, max_listeners, token, self._stop)
        super().__init__(
            uvicorn.Config(
                self.streaming.app,
                http=TimedProtocol,
                ws="none",
                log_level="error",  # odd requests get an answer, and no line in the log
                access_log=False,
                limit_concurrency=max_listeners + 32,
                timeout_graceful_shutdown=5,
            )
        )

    def _stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: Any = None) -> None:
        """Close the connections, of the listeners first: they would hold it up."""
        self.streaming.broadcast.close()
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
