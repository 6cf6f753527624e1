"""The HTTP protocol of `keras-rawaudio-serve`: connections that keep it waiting are closed."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from keras_rawaudio_serving import http_protocol


@contextmanager
def served(app: Any) -> Iterator[socket.socket]:
    """An application behind the protocol of `keras-rawaudio-serve`, in a thread."""
    config = uvicorn.Config(
        app, http=http_protocol.TimedProtocol, lifespan="off", log_level="error"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield listening
        finally:
            server.should_exit = True
            thread.join()


def test_connections_that_wait_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a request, with half of one, with half a body; not one that is answered."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "POST":
            await receive()
            await receive()  # the rest of the body, which does not come
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for number in range(8):
            await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
            await asyncio.sleep(0.1)
        await send({"type": "http.response.body"})

    monkeypatch.setattr(http_protocol, "PATIENCE", 0.2)
    with served(app) as listening:
        for text in (
            b"",
            b"GET /",
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1",
        ):
            with socket.create_connection(listening.getsockname(), 10) as client:
                client.sendall(text)
                assert client.recv(1000) == b""
        with socket.create_connection(listening.getsockname(), 10) as client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(1000), b""))
            assert answer.endswith(b"7\r\n0\r\n\r\n") or answer.endswith(b"01234567")


def test_a_client_that_asks_again_on_the_same_connection_is_kept() -> None:
    """It waits at both looks, and answered requests lie between them."""

    class Request:
        more_body = False

        def __init__(self, answered: bool = True) -> None:
            self.response_complete = answered

    async def closed(*cycles: Any) -> bool:
        protocol, closing = object.__new__(http_protocol.TimedProtocol), []
        protocol.transport = SimpleNamespace(
            is_closing=lambda: False, close=lambda: closing.append(True)
        )
        for protocol.cycle in cycles:
            protocol._look()
        return bool(closing)

    one = Request()
    assert asyncio.run(closed(one, one))
    assert asyncio.run(closed(None, None))
    assert not asyncio.run(closed(one, Request(), None, Request()))
    busy = Request(answered=False)
    assert not asyncio.run(closed(busy, busy))
