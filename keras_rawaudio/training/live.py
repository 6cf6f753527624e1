"""A page on this machine that shows a training as it goes: curve, last sample, verdict."""

from __future__ import annotations

import csv
import json
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.run_folder import RunFolder

FILES = re.compile(r"/(learning_curve\.png|samples/step-\d+\.(?:png|wav))")
KINDS = {"html": "text/html; charset=utf-8", "json": "application/json", "wav": "audio/wav"}
# Whatever the page may come to hold: nothing from anywhere else.
POLICY = (
    "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data:; media-src blob:"
)
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
        page = self

        class Handler(_Handler):
            live = page

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
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
        rows: list[dict[str, str]] = [{}]
        with suppress(OSError), self.run.log.open(newline="") as file:
            rows += csv.DictReader(file)
        row = rows[-1]
        sample = f"step-{int(row.get('step', 0)):07d}"
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


class _Handler(BaseHTTPRequestHandler):
    live: LivePage

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/":
            page = resources.files("keras_rawaudio.training") / "live.html"
            self._answer("html", page.read_bytes())
        elif path == "/state.json":
            self._answer("json", json.dumps(self.live.state()).encode())
        elif FILES.fullmatch(path) and (self.live.run.path / path[1:]).is_file():
            content = (self.live.run.path / path[1:]).read_bytes()
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
