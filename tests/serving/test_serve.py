"""`keras-rawaudio-serve`, in a process of its own."""

import io
import json
import os
import selectors
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from keras_rawaudio_serving import serve

from .server_process import TOKEN, Server
from .test_controls import LEVEL
from .toy_generators import RATE, build_stereo_toy, build_toy

Toy = Callable[..., Path]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = tmp_path_factory.mktemp("model") / "generator.onnx"
    onnx.save(build_toy(), str(path))
    running = Server(path, "--listeners", 2, "--random-seed", 1)
    try:
        yield running
        assert running.stop() == 130
    finally:
        running.process.kill()


def test_a_stream_that_plays(server: Server) -> None:
    with urllib.request.urlopen(server.url + "stream.ogg", timeout=20) as reply:
        assert reply.headers["Content-Type"] == "audio/ogg"
        data = b""
        while data.count(b"OggS") < 5:  # two of headers, one each second
            data += reply.read1(65536)
    audio, rate = soundfile.read(io.BytesIO(data[: data.rindex(b"OggS")]))
    assert rate == RATE
    assert len(audio) > RATE
    assert np.std(audio) > 0.05


def test_page_health_and_metrics(server: Server) -> None:
    assert b'src="stream.ogg"' in server.get("")
    assert json.loads(server.get("health"))["status"] == "ok"
    assert server.metric("audio_seconds_total") > 0
    head = urllib.request.Request(server.url + "stream.ogg", method="HEAD")
    with urllib.request.urlopen(head, timeout=20) as reply:
        assert reply.headers["Content-Type"] == "audio/ogg"


def test_controls_need_the_token(server: Server) -> None:
    status, reply = server.post(b'{"temperature": 0.5}')
    assert (status, reply[0]["name"], reply[0]["value"]) == (200, "temperature", 0.5)
    for token in (None, "wrong", "secret", "s\xe8cret"):
        assert server.post(b'{"temperature": 0.7}', token)[0] == 401
    assert json.loads(server.get("controls"))[0]["value"] == 0.5


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"tempi": 1}', "no control 'tempi'"),
        (b'{"temperature": 99}', "temperature is 99: it must be"),
        (b'{"temperature": NaN}', "temperature is nan"),
        (b'{"temperature": 0.9, "tempi": 1}', "no control 'tempi'"),
        (b'{"temperature": 2.0000001}', "temperature is 2.0000001: it must be 0.1 to 2"),
        (b'{"temperature": 0.9, "temperature": 0.8}', "temperature is there twice"),
        (b'{"temperature": "1.0"}', 'temperature is "1.0": give a number'),
        (b'{"temperature": true}', "temperature is true: give a number"),
        (b'{"temperature": null}', "temperature is null: give a number"),
        (b'{"temperature": [1]}', "temperature is [1]: give a number"),
        (b'{"temperature": 0.9, "\\ud800": true}', "\ud800 is true: give a number"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "\ud800 is there twice"),
        (b"[1]", "give JSON such as"),
        (b"\xff", "give JSON such as"),
        (b"[" * 60000, "give JSON such as"),
        (b" " * 100_000, "too long"),
    ],
)
def test_bad_controls_change_nothing(server: Server, body: bytes, message: str) -> None:
    server.post(b'{"temperature": 0.5}')
    status, reply = server.post(body)
    assert status in (400, 413)
    assert message in reply["error"]
    assert json.loads(server.get("controls"))[0]["value"] == 0.5


def test_a_body_that_ends_too_early_prints_nothing(toy: Toy) -> None:
    """Else `stop` would find more on stderr than the sum at the end."""
    running = Server(toy())
    try:
        for head in (b"Content-Length: 50", b"Transfer-Encoding: chunked"):
            with socket.create_connection(("127.0.0.1", running.port)) as client:
                bearer = b"Authorization: Bearer " + TOKEN.encode()
                lines = [b"POST /controls HTTP/1.1", b"Host: x", bearer, head, b"", b"zz\r\n"]
                client.sendall(b"\r\n".join(lines))
                time.sleep(0.2)
        assert running.stop() == 130
    finally:
        running.process.kill()


def test_no_room_is_answered_with_503(server: Server) -> None:
    until = time.monotonic() + 20
    while server.metric("listeners"):  # those of other tests
        assert time.monotonic() < until
        time.sleep(0.1)
    clients = [server.listen() for _ in range(2)]
    while server.metric("listeners") < 2:
        assert time.monotonic() < until
        time.sleep(0.05)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        server.get("stream.ogg")
    for client in clients:
        client.close()
    while server.metric("listeners"):
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_port_in_use_is_one_line(
    server: Server, toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert serve.main([str(toy()), "--port", str(server.port)]) == 2
    message = f"keras-rawaudio-serve: 127.0.0.1:{server.port}: Address already in use\n"
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--port", "70000"], "--port is 70000"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid: "),
        (["--listeners", "0"], "--listeners is 0"),
        (["--seed-audio", "none.wav", "--port", "0"], "none.wav"),
        (["--temperature", "0", "--port", "0"], "temperature is 0"),
    ],
)
def test_one_line_for_each_mistake(
    toy: Toy, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert serve.main([str(toy()), *words]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "the token is empty"),
        ("secret\r", "the token begins or ends with white space"),
        (" secret", "the token begins or ends with white space"),
        ("sec\nret", "or holds a line break"),
    ],
)
def test_a_token_that_keeps_nobody_or_everybody_out_is_refused(
    toy: Toy,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    token: str,
    message: str,
) -> None:
    monkeypatch.setenv(serve.TOKEN_VARIABLE, token)
    assert serve.main([str(toy()), "--host", "no.such.host.invalid"]) == 2
    assert message in capsys.readouterr().err


def test_the_music_is_chosen_at_the_start(album: Toy) -> None:
    running = Server(album(), "--music", "sea=3,day=1")
    try:
        values = {each["name"]: each["value"] for each in json.loads(running.get("controls"))}
        assert values["music/night"] == 0
        assert (values["music/day"], values["music/sea"]) == (0.25, 0.75)
        assert running.stop() == 130
    finally:
        running.process.kill()


def test_controls_are_set_at_the_start(toy: Toy) -> None:
    running = Server(toy(frame=4, controls=[LEVEL]), "--control", "level=1.5")
    try:
        values = {each["name"]: each["value"] for each in json.loads(running.get("controls"))}
        assert values == {"level": 1.5}
        assert running.stop() == 130
    finally:
        running.process.kill()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--control", "level=9"], "must be -2 to 2"),
        (["--control", "pitch=1"], "this file has level"),
        (["--control", "level"], "give NAME=VALUE"),
        (["--control", "temperature=1", "--temperature", "1"], "given twice"),
    ],
)
def test_a_control_that_the_file_has_not_is_refused(
    toy: Toy, capsys: pytest.CaptureFixture[str], words: list[str], line: str
) -> None:
    model = toy(frame=4, controls=[LEVEL])
    assert serve.main([str(model), "--port", "0", *words]) == 2
    assert line in capsys.readouterr().err


def test_a_model_that_fails_ends_the_server(toy: Toy) -> None:
    running = Server(toy(gain=float("inf")))
    assert "the model gave NaN" in running.process.communicate(timeout=60)[1]
    assert running.process.returncode == 2


def test_the_extra_is_named(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "keras_rawaudio_serving.http_server", raising=False)
    assert serve.main([str(toy())]) == 2
    assert "pip install './serving[serve]'" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
def test_a_hundred_listeners(tmp_path: Path) -> None:
    """None waits long, one that does not read is dropped, and memory is flat."""
    path = tmp_path / "stereo.onnx"
    onnx.save(build_stereo_toy(sample_rate=48000), str(path))
    running = Server(path, "--listeners", 101)
    try:
        slow = running.listen(receive_buffer=2048)  # and never reads
        selector = selectors.DefaultSelector()
        now = time.monotonic()
        latest, longest, received = {}, {}, {}
        for _ in range(100):
            client = running.listen()
            selector.register(client, selectors.EVENT_READ)
            latest[client], longest[client], received[client] = now, 0.0, 0
        memory = []
        end = now + 60
        while (dropped := running.metric("listeners_dropped_total")) < 1 or now < end - 45:
            assert now < end, "the slow one is still there"
            for key, _ in selector.select(timeout=0.5):
                client: Any = key.fileobj
                data = client.recv(65536)
                assert data, "a listener was sent away"
                now = time.monotonic()
                longest[client] = max(longest[client], now - latest[client])
                latest[client], received[client] = now, received[client] + len(data)
            now = time.monotonic()
            if now > end - 52:
                memory.append(running.memory())
        assert dropped == 1
        assert running.metric("listeners") == 100
        assert max(longest.values()) < 4
        assert min(received.values()) > 0.8 * max(received.values())
        assert max(memory) - memory[0] < 10
        assert running.metric("late_total") == 0
        for client in [slow, *latest]:
            client.close()
        assert running.stop() == 130
    finally:
        running.process.kill()


@pytest.mark.slow
def test_the_page_plays_in_a_browser(server: Server) -> None:
    """The player goes on, and a slider moves the control behind the token."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on the path")
    rights = ["--no-sandbox"] if getattr(os, "geteuid", lambda: 1)() == 0 else []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=rights)
        page = browser.new_page()
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server.url)
        start = page.evaluate(
            "async () => { const p = document.getElementById('player'); p.muted = true;"
            " await p.play(); return p.currentTime; }"
        )
        page.wait_for_function(
            "start => document.getElementById('player').currentTime > start + 3", arg=start
        )
        page.click("summary")
        page.fill("#token", "wrong")
        slider = page.locator("input[type=range]")
        slider.fill("1.5")
        page.wait_for_function("document.getElementById('status').textContent.includes('token')")
        page.fill("#token", TOKEN)
        slider.fill("1.6")
        until = time.monotonic() + 10
        while abs(json.loads(server.get("controls"))[0]["value"] - 1.6) > 0.01:
            assert time.monotonic() < until
            time.sleep(0.05)
        page.evaluate("document.getElementById('player').pause()")
        while server.metric("listeners"):  # a paused player does not stay
            assert time.monotonic() < until
            time.sleep(0.1)
        assert not wrong
        browser.close()


def test_a_label_that_is_no_unicode_is_shown(album: Toy) -> None:
    """Of a file whose name is no UTF-8."""
    shares = {"caf\udce9": 0.5, "day": 0.25, "noon": 0.25}
    running = Server(album(music={"names": [*shares], "shares": [*shares.values()]}))
    try:
        names = [control["name"] for control in json.loads(running.get("controls"))]
        assert "music/caf\udce9" in names
        assert running.stop() == 130
    finally:
        running.process.kill()
