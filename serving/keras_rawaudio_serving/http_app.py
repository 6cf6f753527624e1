"""The HTTP side of `keras-rawaudio-serve`: the stream, its page, controls, health, metrics."""

import asyncio
import hmac
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route

from .broadcast import Broadcast, TooManyListenersError
from .control_curves import once
from .errors import ServingError
from .live_controls import LiveControls
from .producer import Producer
from .sampler import Sampler

MAX_BODY = 65536
_HEADERS = {"Cache-Control": "no-store"}


class StreamServer:
    """One sampler, one stream, and what may be asked about them.

    Args:
        sampler: of one stream.
        max_listeners: how many may listen at once.
        token: what a request must bear to set controls; without one nobody can.
        fail: called once, from another thread, if the sampler fails.

    Attributes:
        app: the ASGI application.
        broadcast, producer: of the stream.
    """

    def __init__(
        self, sampler: Sampler, max_listeners: int, token: str | None, fail: Callable[[], None]
    ) -> None:
        self._controls = LiveControls(sampler)
        self._token = token
        self._page = Path(__file__).with_name("listen.html").read_text(encoding="utf-8")
        self.broadcast = Broadcast(max_listeners)
        self.producer = Producer(sampler, self._controls, self._publish, fail)
        self._registry = CollectorRegistry()
        self._registry.register(self)  # type: ignore[arg-type, unused-ignore]
        self.app = Starlette(
            routes=[
                Route("/", self._index),
                Route("/stream.ogg", self._stream),
                Route("/controls", self._controls_now),
                Route("/controls", self._set_controls, methods=["POST"]),
                Route("/health", self._health),
                Route("/metrics", self._metrics),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Any) -> AsyncIterator[None]:
        self._loop = asyncio.get_running_loop()
        self.producer.start()
        try:
            yield
        finally:
            await asyncio.to_thread(self.producer.stop)

    def _publish(self, page: bytes, headers: bytes) -> None:
        def hand_over() -> None:
            self.broadcast.headers = headers
            self.broadcast.publish(page)

        self._loop.call_soon_threadsafe(hand_over)

    async def _index(self, request: Request) -> Response:
        return HTMLResponse(self._page)

    async def _stream(self, request: Request) -> Response:
        if request.method == "HEAD":
            return Response(media_type="audio/ogg", headers=_HEADERS)
        try:
            pages = self.broadcast.listen()
        except TooManyListenersError:
            text = "as many listen as may: try again later\n"
            return Response(text, 503, {"Retry-After": "30"}, "text/plain")
        return StreamingResponse(pages, media_type="audio/ogg", headers=_HEADERS)

    async def _controls_now(self, request: Request) -> Response:
        return _json(
            [
                {**control._asdict(), "value": float(self._controls.values[name][0])}
                for name, control in self._controls.known.items()
            ]
        )

    async def _set_controls(self, request: Request) -> Response:
        if self._token is None:
            return _refusal(403, "no token was given to keras-rawaudio-serve: controls are fixed")
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        # Starlette reads the bytes of a header as Latin-1; a token is UTF-8, or whatever was given.
        token = os.fsencode(self._token)
        if not hmac.compare_digest(given.encode("latin-1"), token):
            return _refusal(401, "the token is missing or wrong")
        body = b""
        try:
            async for part in request.stream():
                body += part
                if len(body) > MAX_BODY:
                    return _refusal(413, "too long")
        except ClientDisconnect:
            return _refusal(400, "the body ends too early")
        try:
            values = json.loads(body, object_pairs_hook=once)
            for name, value in values.items():
                if type(value) not in (int, float):
                    return _refusal(400, f"{name:.40} is {json.dumps(value):.40}: give a number")
                self._controls.check(name, [float(value)])  # all, before any is set
        except ServingError as error:
            return _refusal(400, str(error))
        except (ValueError, AttributeError, RecursionError, OverflowError):
            return _refusal(400, 'give JSON such as {"temperature": 0.9}')
        for name, value in values.items():
            self._controls.set(name, [float(value)])
        return await self._controls_now(request)

    async def _health(self, request: Request) -> Response:
        healthy = self.producer.healthy
        state = {"status": "ok" if healthy else "stalled", "listeners": self.broadcast.listeners}
        return _json(state, 200 if healthy else 503)

    async def _metrics(self, request: Request) -> Response:
        text = generate_latest(self._registry)
        return Response(text, media_type="text/plain; version=0.0.4", headers=_HEADERS)

    def collect(self) -> list[Any]:
        """The metrics, as prometheus-client asks for them."""
        broadcast, producer = self.broadcast, self.producer
        counters = {
            "listeners_dropped": ("Listeners that fell too far behind", broadcast.dropped),
            "listeners_refused": ("Listeners that found no room", broadcast.refused),
            "sent_bytes": ("Bytes handed to listeners", broadcast.sent),
            "audio_seconds": ("Audio generated", producer.seconds),
            "busy_seconds": ("Time that generating it took", producer.busy),
            "late": ("How often the sampler fell two seconds behind", producer.late),
        }
        return [
            GaugeMetricFamily("rawaudio_listeners", "Listeners now", broadcast.listeners),
            *(
                CounterMetricFamily(f"rawaudio_{name}", help_text, value)
                for name, (help_text, value) in counters.items()
            ),
        ]


def _refusal(status: int, text: str) -> Response:
    return _json({"error": text}, status)


def _json(value: object, status: int = 200) -> Response:
    # Not JSONResponse: a name may hold half a surrogate pair, which UTF-8 cannot carry.
    return Response(json.dumps(value), status, _HEADERS, "application/json")
