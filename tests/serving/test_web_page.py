"""The page's files: served on loopback, or bundled with a model into one."""

import base64
import gzip
import http.client
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from keras_rawaudio_serving import ServingError, web_page
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.web_page import MODEL, RUNTIME, bundle, page_server

Toy = Callable[..., Path]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of three lines, where the built one would lie."""
    folder = tmp_path / "web"
    folder.mkdir()
    html = '<html><body>é\n<script type="module">run()</script>\n</body></html>'
    (folder / "index.html").write_text(html, encoding="utf-8")
    (folder / RUNTIME).write_bytes(gzip.compress(b"wasm"))
    monkeypatch.setattr(web_page, "FOLDER", folder)
    return folder


@contextmanager
def served(model: Path) -> Iterator[int]:
    with page_server(model) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def answer(port: int, path: str, host: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host} if host else {})
    return connection.getresponse()


def test_three_files_are_served_and_nothing_else(toy: Toy, built: Path) -> None:
    model = toy()
    with served(model) as port:
        page = answer(port, "/")
        assert page.status == 200
        # A browser shares memory between threads of such a page alone.
        assert page.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert page.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert page.read() == (built / "index.html").read_bytes()
        assert answer(port, "/generator.onnx").read() == model.read_bytes()
        assert gzip.decompress(answer(port, "/ort.wasm.gz").read()) == b"wasm"
        for path in ("/../setup.cfg", "/web_page.py", "/index.html/x"):
            assert answer(port, path).status == 404
        assert answer(port, "/", host=f"localhost:{port}").status == 200
        # A name that somebody else's page has made to point here.
        assert answer(port, "/generator.onnx", host=f"example.org:{port}").status == 404


def test_connections_that_break_off_print_nothing(
    toy: Toy, built: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A page that is closed while it loads, and bytes that are no request."""
    abort = struct.pack("ii", 1, 0)
    with served(toy()) as port:
        for text in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01" + bytes(100) + b"\r\n\r\n", b""):
            client = socket.create_connection(("127.0.0.1", port))
            client.sendall(text)
            time.sleep(0.1)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
            client.close()
        assert answer(port, "/").status == 200
    assert capfd.readouterr().err == ""


def test_a_bundle_holds_the_model_and_the_runtime(toy: Toy, built: Path) -> None:
    model = toy()
    page = bundle(model)
    inside = dict(re.findall(r'<script type="text/plain" id="(.+?)">(.*?)</script>', page))
    assert gzip.decompress(base64.b64decode(inside[MODEL])) == model.read_bytes()
    assert gzip.decompress(base64.b64decode(inside[RUNTIME])) == b"wasm"
    assert page.index(MODEL) < page.index("run()")  # the script finds them
    assert "é" in page


def test_a_copy_without_the_page(toy: Toy, built: Path, capsys: pytest.CaptureFixture) -> None:
    (built / "index.html").unlink()
    with pytest.raises(ServingError, match="make web"):
        bundle(toy())
    assert main([str(toy()), "--web", "0"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_bad_input_is_one_line(toy: Toy, built: Path, capsys: pytest.CaptureFixture) -> None:
    with page_server(toy()) as server:
        cases = {
            "no such model": ["nowhere.onnx", "--web"],
            "not a keras-rawaudio generator": [str(toy("other.onnx", metadata=None)), "--web"],
            "no other flags": [str(toy()), "--web", "--seconds", "3"],
            "give a free one": [str(toy()), "--web", str(server.server_port)],
            "port 70000": [str(toy()), "--web", "70000"],
        }
        for expected, flags in cases.items():
            assert main(flags) == 2
            error = capsys.readouterr().err
            assert expected in error
            assert error.count("\n") == 1


@pytest.mark.skipif(not (web_page.FOLDER / "index.html").exists(), reason="make web builds it")
def test_the_command_serves_until_stopped(toy: Toy) -> None:
    command = [sys.executable, str(ROOT / "serving" / "generate.py"), str(toy()), "--web", "0"]
    environment = os.environ | {"BROWSER": "true"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line
        assert answer(int(found[1]), "/generator.onnx").status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
        assert process.stderr.read() == ""
