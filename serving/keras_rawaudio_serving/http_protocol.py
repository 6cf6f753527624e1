"""Connections of `keras-rawaudio-serve` that keep it waiting are closed."""

import asyncio
from typing import Any

from uvicorn.protocols.http.auto import AutoHTTPProtocol

PATIENCE = 10.0  # seconds
LAST_PATIENCE = 2.0  # seconds, when the server ends


class TimedProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type, unused-ignore]
    """uvicorn's protocol, which by itself waits for a request, or the rest of one, without end.

    A connection for whose client the server has waited at two looks, `PATIENCE` apart, is closed.
    Else a hundred idle ones would keep everybody out.
    """

    _waited_in: Any = None  # the request at the last look, if the server waited for its client

    def connection_made(self, transport: Any) -> None:
        """Look at the connection for as long as it lasts."""
        super().connection_made(transport)
        asyncio.get_running_loop().call_later(PATIENCE, self._look)

    def shutdown(self) -> None:
        """End when the answer is sent, or soon: the client may send or read no more."""
        super().shutdown()
        asyncio.get_running_loop().call_later(LAST_PATIENCE, self.transport.abort)

    def _look(self) -> None:
        cycle: Any = self.cycle
        waits = cycle is None or cycle.response_complete or cycle.more_body
        if self.transport.is_closing():
            return
        # Without a request a connection counts as one that waits, from its first look on.
        place = (cycle,) if waits else None
        if place and place == self._waited_in:
            self.transport.close()
            return
        self._waited_in = place
        asyncio.get_running_loop().call_later(PATIENCE, self._look)
