"""A page on this machine that shows a training as it goes: curve, last sample, verdict."""

from __future__ import annotations

import csv
import json
import re
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.run_folder import RunFolder

FILES = re.compile(r"/(learning_curve\.png|samples/step-\d+\.(?:png|wav))")
KINDS = {"html": "text/html; charset=utf-8", "json": "application/json", "wav": "audio/wav"}
# The page may load nothing from elsewhere, whatever it holds.
POLICY = (
    "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data:; media-src blob:"
)
# Names under which a browser on this machine asks. Any other one is that of a page from elsewhere
# which was made to point here (DNS rebinding).
HOSTS = {"127.0.0.1", "localhost"}
CONNECTIONS = 16  # at once: what a training needs of file descriptors is left to it
ANSWER_SECONDS = 10.0  # a connection is closed after so long, however slowly it asks
LAST_LOOK = 2.5  # seconds that a page which is being watched has to fetch the last state


class LivePage:
    """Serves a run folder's newest curve, sample and verdict to browsers on this machine.

    A thread of its own answers, from what lies in the folder: training never waits for it.

    Args:
        run: the folder.
        port: to listen on; 0: any free one.

    Attributes:
        url: where the page is.
        progress: the line that the console shows at the moment.
        lines: the last lines that stayed there.

    Raises:
        UserError: the port is taken, or forbidden.
    """

    def __init__(self, run: RunFolder, port: int = 0) -> None:
        self.run = run
        self.progress = ""
        self.lines: deque[str] = deque(maxlen=100)
        self._ended = False
        self._asked = float("-inf")
        try:
            self._server = _Server(self, port)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"--live {port}: {reason}; take another port, or none") from None
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop; a page that is open in a browser is given the time to show the end."""
        self._ended = True
        if time.monotonic() - self._asked < LAST_LOOK:
            time.sleep(LAST_LOOK)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def state(self) -> dict[str, Any]:
        """What the page asks for every second."""
        self._asked = time.monotonic()
        row = self._last_row()
        step = row.get("step") or ""
        sample = f"step-{step:0>7}" if re.fullmatch("[0-9]{1,19}", step) else "none"
        drawn = None
        with suppress(OSError):
            drawn = self.run.curve.stat().st_mtime_ns
        return {
            "run": str(self.run.path),
            "progress": self.progress,
            "ended": self._ended,
            "lines": list(self.lines),
            "step": row.get("step"),
            "verdict": row.get("verdict"),
            "sample": sample if (self.run.samples / f"{sample}.wav").is_file() else None,
            "curve": drawn,
        }

    def _last_row(self) -> dict[str, str]:
        """Of the log; empty where there is none yet, or the file is damaged."""
        rows: list[dict[str, str]] = [{}]
        with suppress(OSError, ValueError, csv.Error):
            if self.run.log.is_file():  # and no pipe
                with self.run.log.open(newline="", encoding="utf-8") as file:
                    rows += csv.DictReader(file)
        return rows[-1]


class _Server(ThreadingHTTPServer):
    """A few connections at once, each for a short time, and nothing on the console."""

    def __init__(self, live: LivePage, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.live = live
        self._opened: dict[Any, float] = {}

    def process_request(self, request: Any, client_address: Any) -> None:
        if len(self._opened) >= CONNECTIONS:
            self.shutdown_request(request)
            return
        self._opened[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._opened.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        for request, opened in list(self._opened.items()):
            if time.monotonic() - opened > ANSWER_SECONDS:
                with suppress(OSError):  # it was closed meanwhile
                    request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: the console is the training's."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        live = self.server.live
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
            path = urlsplit(self.path).path
        except ValueError:  # a bracket that is not closed
            self.send_error(400)
            return
        if host not in HOSTS:
            self.send_error(403)
            return
        if path == "/":
            page = resources.files("keras_rawaudio.training") / "live.html"
            self._answer("html", page.read_bytes())
        elif path == "/state.json":
            self._answer("json", json.dumps(live.state()).encode())
        elif FILES.fullmatch(path) and _inside(live.run.path / path[1:], live.run.path):
            content = (live.run.path / path[1:]).read_bytes()
            self._answer(path.rsplit(".", 1)[-1], content)
        else:
            self.send_error(404)

    def _answer(self, kind: str, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", KINDS.get(kind, f"image/{kind}"))
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Security-Policy", POLICY)
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        with suppress(ConnectionError):  # the browser left
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the console is the training's."""


def _inside(path: Path, folder: Path) -> bool:
    """Whether it is a file in the folder, and no link to one outside of it."""
    return path.is_file() and path.resolve().is_relative_to(folder.resolve())


@contextmanager
def live_page(run: RunFolder, port: int | None) -> Iterator[LivePage | None]:
    """A `LivePage` for as long as the block lasts; none where `port` is None."""
    if port is None:
        yield None
        return
    page = LivePage(run, port)
    print(f"live: {page.url}", file=sys.stderr)
    try:
        yield page
    finally:
        page.close()
