"""The live page: what it shows while a training goes on, and that it ends with it."""

import contextlib
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from importlib import resources

import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.training import live, throughput
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.train import train


@pytest.fixture(autouse=True)
def no_last_look(monkeypatch):
    monkeypatch.setattr(live, "LAST_LOOK", 0.0)


@pytest.fixture
def pages(monkeypatch):
    """Every page that is opened, as it is opened."""
    opened = []
    make = live.LivePage.__init__

    def remember(page, *arguments):
        make(page, *arguments)
        opened.append(page)

    monkeypatch.setattr(live.LivePage, "__init__", remember)
    return opened


def fetch(page, path=""):
    with urllib.request.urlopen(page.url + path, timeout=100) as answer:
        return answer.read(), dict(answer.headers)


def state_of(page):
    return json.loads(fetch(page, "state.json")[0])


@pytest.mark.slow
def test_a_training_as_it_is_seen(tmp_path, piece, cache, tiny, pages, monkeypatch, capsys):
    """Nothing to show at first; then curve, sample, verdict; and nobody answers afterwards."""
    states = []
    learn = TrainingStep.__call__

    def look(*arguments):
        states.append(state_of(pages[-1]))
        return learn(*arguments)

    monkeypatch.setattr(TrainingStep, "__call__", look)
    monkeypatch.setattr(throughput, "LOOK_EVERY", 0.0)
    run, recipe = tmp_path / "run", tiny(sample_seconds=2.0)
    assert train([piece], run, recipe, Budget(epochs=1), cache=cache, live=0)
    assert states[0]["sample"] is states[0]["curve"] is states[0]["verdict"] is None
    assert f"live: {pages[0].url}" in capsys.readouterr().err
    assert resume(run, Budget(epochs=2), live=0)
    seen = states[-1]
    row = (run / "log.csv").read_text().splitlines()[1].split(",")
    assert seen["step"] in row
    assert seen["verdict"] in row
    assert (run / "samples" / f"{seen['sample']}.wav").is_file()
    assert seen["curve"]
    assert "k/s  train" in seen["progress"]
    assert not any(state["ended"] for state in states)
    for page in pages:
        with pytest.raises(urllib.error.URLError):
            fetch(page)
    assert not [t for t in threading.enumerate() if "serve_forever" in t.name]


def test_what_is_served_and_what_is_not(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.samples.mkdir(parents=True)
    (run.samples / "step-0000012.wav").write_bytes(b"RIFF")
    (run.samples / "step-0000012.png").write_bytes(b"PNG")
    run.log.write_text("step,verdict\n5,healthy\n12,noise from the start\n")
    run.description.write_text("{}")
    with live.live_page(run, 0) as page:
        page.lines.append("a line")
        state = state_of(page)
        assert (state["sample"], state["verdict"]) == ("step-0000012", "noise from the start")
        assert (state["lines"], state["curve"]) == (["a line"], None)
        for name, content, kind in (
            ("samples/step-0000012.wav", b"RIFF", "audio/wav"),
            ("samples/step-0000012.png?123", b"PNG", "image/png"),
        ):
            body, headers = fetch(page, name)
            assert (body, headers["Content-Type"]) == (content, kind)
            assert headers["Cache-Control"] == "no-store"
        others = ["run.json", "log.csv", "samples/../run.json", "samples/step-0000013.wav", "x"]
        for name in [*others, "learning_curve.png"]:
            with pytest.raises(urllib.error.HTTPError, match="404"):
                fetch(page, name)


def test_the_page_needs_nothing_from_elsewhere(tmp_path):
    run = RunFolder(tmp_path)
    with live.live_page(run, 0) as page:
        body, headers = fetch(page)
        assert page.url.startswith("http://127.0.0.1:")
    assert body == (resources.files(live.__package__) / "live.html").read_bytes()
    assert not re.search(rb"https?:|//\w", body)
    assert headers["Content-Security-Policy"].startswith("default-src 'self';")


def test_a_port_in_use_is_refused_before_the_work(tmp_path, piece, cache, tiny):
    with live.live_page(RunFolder(tmp_path), 0) as page:
        port = int(page.url.rstrip("/").rsplit(":")[-1])
        with pytest.raises(UserError, match=rf"--live {port}: .*; take another port"):
            train([piece], tmp_path / "run", tiny(), Budget(epochs=1), cache=cache, live=port)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="--live 65536"):
        live.LivePage(RunFolder(tmp_path), 65536)


def test_the_end_can_be_seen(tmp_path, monkeypatch):
    """A page that is being watched is served a little longer, and shown that it is over."""
    page = live.LivePage(RunFolder(tmp_path))
    monkeypatch.setattr(live, "LAST_LOOK", 60.0)
    slept = []
    monkeypatch.setattr(live.time, "sleep", lambda s: slept.append((s, state_of(page)["ended"])))
    assert state_of(page)["ended"] is False
    page.close()
    assert slept == [(60.0, True)]


def ask(page, text, timeout=20):
    """Send bytes of one's own, and read the answer to its end."""
    port = int(page.url.rstrip("/").rsplit(":")[-1])
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(text)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def test_a_page_from_elsewhere_is_refused(tmp_path):
    """Its name may point to this machine; the Host header tells."""
    with live.live_page(RunFolder(tmp_path), 0) as page:
        for host in ("evil.example", "evil.example:80", "", "127.0.0.1.evil.example", "[", "a@b"):
            answer = ask(page, f"GET /state.json HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert not answer.startswith(b"HTTP/1.0 200"), host
        assert ask(page, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 403")
        for host in ("localhost:1234", "127.0.0.1"):
            answer = ask(page, f"GET /state.json HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            assert answer.startswith(b"HTTP/1.0 200"), host


def test_odd_requests_print_nothing(tmp_path, capfd):
    with live.live_page(RunFolder(tmp_path), 0) as page:
        capfd.readouterr()
        for text in (
            b"\r\n",
            b"\xff\xfe\x00\r\n\r\n",
            b"GET\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
            b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: [\r\n\r\n",
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        ):
            with contextlib.suppress(ConnectionError):
                ask(page, text)
        assert state_of(page)["ended"] is False
        assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_slow_clients_cost_few_descriptors_for_a_short_time(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "ANSWER_SECONDS", 0.5)
    with live.live_page(RunFolder(tmp_path), 0) as page:
        port = int(page.url.rstrip("/").rsplit(":")[-1])
        clients = [
            socket.create_connection(("127.0.0.1", port)) for _ in range(2 * live.CONNECTIONS + 1)
        ]
        try:
            for client in clients:
                with contextlib.suppress(ConnectionError):
                    client.sendall(b"GET /")  # and no more
            time.sleep(0.3)
            assert len(page._server._opened) <= live.CONNECTIONS
            began = time.monotonic()
            while page._server._opened:
                assert time.monotonic() - began < 10
                time.sleep(0.1)
            assert state_of(page)["ended"] is False
        finally:
            for client in clients:
                client.close()


def test_links_out_of_the_run_are_not_served(tmp_path):
    run = RunFolder(tmp_path / "run")
    run.samples.mkdir(parents=True)
    (tmp_path / "secret.wav").write_bytes(b"secret")
    (run.samples / "step-0000001.wav").symlink_to(tmp_path / "secret.wav")
    with live.live_page(run, 0) as page, pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(page, "samples/step-0000001.wav")


@pytest.mark.parametrize(
    "text", ["GET http://[ HTTP/1.0\r\n\r\n", "GET / HTTP/1.0\r\nHost: [\r\n\r\n"]
)
def test_a_bracket_that_is_not_closed_gets_an_answer(tmp_path, text):
    with live.live_page(RunFolder(tmp_path), 0) as page:
        assert ask(page, text.encode()).startswith(b"HTTP/1.0 400")


@pytest.mark.parametrize(
    "log",
    ["step\n1e3\n", "step\n" + "9" * 5000, 'step\n"open', "step\n" + "x" * 200_000, "step\n\xff"],
)
def test_a_damaged_log_is_no_end_of_the_page(tmp_path, log):
    run = RunFolder(tmp_path)
    run.log.write_bytes(log.encode("latin-1"))
    with live.live_page(run, 0) as page:
        assert state_of(page)["sample"] is None
