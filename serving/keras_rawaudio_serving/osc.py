"""Controls by Open Sound Control, over UDP."""

import contextlib
import heapq
import itertools
import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator

from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from .errors import ServingError
from .live_controls import LiveControls

_BUNDLE = b"#bundle\0"
_IMMEDIATELY = 1
_NTP_EPOCH = 2_208_988_800  # seconds from 1900, where OSC counts from, to 1970
_DEPTH = 8  # of bundles in bundles
_MAX_PENDING = 1024
_MAX_AHEAD = 60.0  # seconds


class OscInput:
    """Sets controls by messages such as `/tempo 1.2`.

    A message has one number for all streams, or one per stream. The messages of a bundle are
    applied together, at its time. Each mistake is answered to its sender by `/error` with one line.

    Args:
        host: address to bind, 127.0.0.1 for this machine alone.
        port: UDP port; 0 takes a free one.
        controls: what the messages set.

    Attributes:
        port: as bound.

    Raises:
        ServingError: the port is in use, or the address is not of this machine.

    Example:
        >>> with OscInput("127.0.0.1", 9000, live):  # doctest: +SKIP
        ...     play()

    Reference:
        M. Wright, "The Open Sound Control 1.0 Specification" (2002).
    """

    def __init__(self, host: str, port: int, controls: LiveControls) -> None:
        self._controls = controls
        logging.getLogger().addFilter(_is_not_of_a_packet)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except (OSError, OverflowError, UnicodeError) as error:
            self._socket.close()
            reason = getattr(error, "strerror", None) or error
            raise ServingError(f"--osc {host}:{port}: {reason}") from None
        self.port: int = self._socket.getsockname()[1]
        self._pending: list[tuple[float, int, tuple[str, int], OscMessage]] = []
        self._count = itertools.count()  # keeps messages of one time in order
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._stopping = False

    def __enter__(self) -> "OscInput":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stopping = True
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while not self._stopping:
            due = self._pending[0][0] - time.time() if self._pending else 0.1
            self._socket.settimeout(min(max(due, 0.001), 0.1))
            with contextlib.suppress(OSError):  # time-out; an answer was not delivered
                self._receive(*self._socket.recvfrom(65536))
            while self._pending and self._pending[0][0] <= time.time():
                _, _, sender, message = heapq.heappop(self._pending)
                self._apply(message, sender)

    def _receive(self, data: bytes, sender: tuple[str, int]) -> None:
        now = time.time()
        try:
            found = list(_messages(data, now))
        except Exception:  # python-osc has several for damaged packets
            self._answer(sender, "this is not an OSC packet")
            return
        if any(when > now + _MAX_AHEAD for when, _ in found):
            self._answer(sender, f"a bundle may lie {_MAX_AHEAD:g} s ahead at most")
        elif len(self._pending) + len(found) > _MAX_PENDING:
            self._answer(sender, f"more than {_MAX_PENDING} messages are waiting for their time")
        else:
            for when, message in found:
                heapq.heappush(self._pending, (when, next(self._count), sender, message))

    def _apply(self, message: OscMessage, sender: tuple[str, int]) -> None:
        if message.address == "/error":  # an answer: two servers would answer without end
            return
        try:
            values = [float(value) for value in message.params]
            self._controls.set(message.address.removeprefix("/"), values)
        except (TypeError, ValueError):
            self._answer(sender, f"{message.address} takes numbers")
        except ServingError as error:
            self._answer(sender, str(error))

    def _answer(self, sender: tuple[str, int], text: str) -> None:
        builder = OscMessageBuilder("/error")
        builder.add_arg(text)
        with contextlib.suppress(OSError):  # the sender is gone
            self._socket.sendto(builder.build().dgram, sender)


def _is_not_of_a_packet(record: logging.LogRecord) -> bool:
    """What python-osc logs of odd packets, which may be many, is not for the console."""
    return record.module not in ("osc_message", "osc_bundle")


def _messages(data: bytes, when: float, depth: int = 0) -> Iterator[tuple[float, OscMessage]]:
    """Each message of a packet with its time, in seconds since 1970."""
    if not data.startswith(_BUNDLE):
        yield when, OscMessage(data)
        return
    (stamp,) = struct.unpack_from(">Q", data, 8)
    if stamp != _IMMEDIATELY:
        when = stamp / 2**32 - _NTP_EPOCH
    at = 16
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        end = at + 4 + size
        if not size or end > len(data) or depth == _DEPTH:
            raise ValueError("a damaged bundle")
        yield from _messages(data[at + 4 : end], when, depth + 1)
        at = end
