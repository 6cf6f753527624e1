"""The page that plays a model in a browser: served from here, or as one file to send away."""

import base64
import contextlib
import gzip
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from .errors import ServingError
from .model_file import read_model

FOLDER = Path(__file__).parent / "web"
PAGE, RUNTIME, MODEL = "index.html", "ort.wasm.gz", "generator.onnx"
_TYPES = {
    PAGE: "text/html; charset=utf-8",
    RUNTIME: "application/gzip",
    MODEL: "application/octet-stream",
}


def page_files() -> dict[str, bytes]:
    """The built page and the runtime that it loads, by name.

    Raises:
        ServingError: this copy of the package came without them.
    """
    try:
        return {name: (FOLDER / name).read_bytes() for name in (PAGE, RUNTIME)}
    except FileNotFoundError:
        raise ServingError(
            "this copy has no page for the browser: build it with make web (needs npm), or install "
            "the wheel of keras-rawaudio-serving"
        ) from None


def bundle(model: str | Path) -> str:
    """The page as one HTML file, with a model and the runtime inside.

    Args:
        model: an exported `generator.onnx`.

    Returns:
        HTML that opens from a disk, and asks no network.

    Raises:
        ServingError: no such model, not ONNX, or no page in this copy.
    """
    files = page_files()
    inside = {RUNTIME: files[RUNTIME], MODEL: gzip.compress(read_model(Path(model)))}
    parts = [
        f'<script type="text/plain" id="{name}">{base64.b64encode(data).decode()}</script>\n'
        for name, data in inside.items()
    ]
    # Before the page's own script, which reads them.
    before, script, after = files[PAGE].decode("utf-8").partition('<script type="module">')
    return "".join([before, *parts, script, after])


def page_server(model: str | Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of the page with a model, for this machine's browser alone.

    Args:
        model: an exported `generator.onnx`.
        port: of the loopback address; 0 takes a free one.

    Returns:
        The server, bound and not yet running: call its `serve_forever`.

    Raises:
        ServingError: no such model, not ONNX, no page in this copy, or the port is in use.
    """
    files = page_files() | {MODEL: read_model(Path(model))}

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Print nothing: a page was closed while it was loading."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.partition("?")[0].removeprefix("/") or PAGE
            # Another host name may be a foreign page's, which was made to point here.
            own = [f"{host}:{server.server_port}" for host in ("127.0.0.1", "localhost")]
            if self.headers["Host"] not in own or name not in files:
                self.send_error(HTTPStatus.NOT_FOUND)
                return
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Type", _TYPES[name])
            self.send_header("Content-Length", str(len(files[name])))
            self.send_header("Cache-Control", "no-cache")
            # With these two a browser lets the page's threads share memory.
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # a page that was closed
                self.wfile.write(files[name])

        def log_message(self, *_: object) -> None:
            pass

    try:
        server = Server(("127.0.0.1", port), Handler)
    except (OSError, OverflowError):
        raise ServingError(f"cannot serve on port {port}: give a free one, --web PORT") from None
    return server


def play_in_browser(model: str | Path, port: int, say: Callable[[str], None]) -> None:
    """Open the page with a model in this machine's browser, and serve it until stopped.

    Args:
        model: an exported `generator.onnx`.
        port: see `page_server`.
        say: called with a line that names the address.

    Raises:
        ServingError: see `page_server`, or a file that is not a generator of ours.
    """
    import webbrowser

    from .generator import Generator

    Generator(Path(model), streams=1, provider="cpu", threads=1)  # refuse what is not ours
    with page_server(model, port) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
        say(f"playing in the browser: {url} (Ctrl-C stops)")
        webbrowser.open(url)
        server.serve_forever()
