"""How `keras-rawaudio-serve` ends: `Server.stop` finds nothing but the sum at the end on stderr."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from keras_rawaudio_serving import __main__

from .server_process import TOKEN, Server

Toy = Callable[..., Path]


@pytest.mark.parametrize(
    ("signals", "code"),
    [
        ([signal.SIGTERM], 143),
        ([signal.SIGHUP], 129),
        ([signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGTERM, signal.SIGHUP], 143),
    ],
)
def test_a_service_is_stopped_while_somebody_listens(
    toy: Toy, signals: list[signal.Signals], code: int
) -> None:
    running = Server(toy())
    try:
        with running.listen() as client:
            assert client.recv(100).startswith(b"HTTP/1.1 200")
            for number in signals[:-1]:
                running.process.send_signal(number)
                time.sleep(0.05)
            assert running.stop(signals[-1]) == code
    finally:
        running.process.kill()


def test_a_client_that_waits_does_not_hold_up_the_end(toy: Toy) -> None:
    running = Server(toy())
    head = f"POST /controls HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
    try:
        with running.connect() as client:
            client.sendall(head.encode() + b"Content-Length: 50\r\n\r\nhalf")
            time.sleep(0.2)
            assert running.stop(signal.SIGTERM) == 143
    finally:
        running.process.kill()


def test_ctrl_c_while_the_code_is_read_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("keras_rawaudio_serving.serve.main", interrupted)
    assert __main__.serve() == 130
