"""One stream of pages to many listeners."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator


class TooManyListenersError(Exception):
    """There are as many listeners as there may be."""


class Broadcast:
    """Hands each page to each listener, and drops those that fall too far behind.

    A page is one `bytes` object for all, and a listener has a queue of limited length, so that
    memory does not grow. All methods belong to the thread of the event loop.

    Args:
        max_listeners: how many there may be at once.
        burst: pages that a new listener gets at once, so that it starts with a full buffer.
        queue: pages that may wait for a listener before it is dropped; more than `burst`.

    Attributes:
        headers: bytes that each listener gets first.
        dropped: how many fell too far behind.
        refused: how many came when there was no room.
        sent: bytes handed to all listeners together.

    Example:
        >>> async def listen():
        ...     broadcast = Broadcast(max_listeners=1)
        ...     broadcast.headers = b"head"
        ...     broadcast.publish(b"page")
        ...     pages = broadcast.listen()
        ...     return [await anext(pages), await anext(pages)]
        >>> asyncio.run(listen())
        [b'head', b'page']
    """

    def __init__(self, max_listeners: int, burst: int = 4, queue: int = 12) -> None:
        self.headers = b""
        self.dropped = self.refused = self.sent = 0
        self._max_listeners, self._queue = max_listeners, queue
        self._recent: deque[bytes] = deque(maxlen=burst)
        self._listeners: set[asyncio.Queue[bytes | None]] = set()
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    def publish(self, page: bytes) -> None:
        """Queue a page for everybody."""
        self._recent.append(page)
        for pages in list(self._listeners):
            if pages.qsize() >= self._queue:
                self.dropped += 1
                self._end(pages)
            else:
                pages.put_nowait(page)

    def close(self) -> None:
        """End all listening."""
        self._closed = True
        for pages in list(self._listeners):
            self._end(pages)

    def listen(self) -> AsyncIterator[bytes]:
        """The stream for one more listener, from now on.

        Raises:
            TooManyListenersError: there is no room.
        """
        if len(self._listeners) >= self._max_listeners:
            self.refused += 1
            raise TooManyListenersError
        pages: asyncio.Queue[bytes | None] = asyncio.Queue()
        if self._closed:
            pages.put_nowait(None)
        else:
            self._listeners.add(pages)
            for page in self._recent:
                pages.put_nowait(page)
        return self._stream(pages)

    async def _stream(self, pages: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
        try:
            page = await pages.get()
            if page is not None:  # the headers are there before the first page
                yield self.headers
            while page is not None:
                self.sent += len(page)
                yield page
                page = await pages.get()
        finally:
            self._listeners.discard(pages)

    def _end(self, pages: asyncio.Queue[bytes | None]) -> None:
        self._listeners.discard(pages)
        while not pages.empty():
            pages.get_nowait()
        pages.put_nowait(None)
