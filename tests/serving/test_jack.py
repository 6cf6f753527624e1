"""A real sound system: JACK with a driver that plays into nothing."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FRONT_DOOR = Path(__file__).resolve().parents[2] / "serving" / "generate.py"
Toy = Callable[..., Path]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("jackd") is None, reason="jackd is not installed"),
]


@pytest.fixture
def jack() -> Iterator[dict[str, str]]:
    """The environment in which programs find a JACK server at 48 kHz."""
    pytest.importorskip("sounddevice")
    name = f"test{os.getpid()}"
    env = {**os.environ, "JACK_DEFAULT_SERVER": name, "JACK_NO_AUDIO_RESERVATION": "1"}
    server = subprocess.Popen(
        ["jackd", "--no-realtime", "-n", name, "-d", "dummy", "-r", "48000", "-p", "1024"],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 20
    try:
        while "system" not in _run(env, "--list-devices").stdout:
            if server.poll() is not None or time.monotonic() > until:
                pytest.skip("jackd does not start here")
            time.sleep(0.2)
        yield env
    finally:
        server.terminate()
        server.wait()


def _run(env: dict[str, str], *words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(FRONT_DOOR), *map(str, words)]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)


def test_playing_through_jack(toy: Toy, jack: dict[str, str]) -> None:
    began = time.monotonic()
    done = _run(jack, toy(), "--play", "--device", "system", "--seconds", 3)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began > 3  # in the device's time
    assert "system at 48000 Hz, converted; latency 0.300 s made ahead and 0.0" in done.stderr
    assert "loudspeaker: 3 s at 8000 Hz" in done.stderr


def test_knobs_through_jack(toy: Toy, tmp_path: Path, jack: dict[str, str]) -> None:
    """A MIDI port of another program is found, its knob is learned, and it plays."""
    rtmidi = pytest.importorskip("rtmidi")
    if rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api():
        pytest.skip("rtmidi knows no JACK here")
    env = {**jack, "MIDO_BACKEND": "mido.backends.rtmidi/UNIX_JACK"}
    code = (
        "import time, mido\n"
        "port = mido.open_output('knobs', virtual=True)\n"
        "while True:\n"
        "    port.send(mido.Message('control_change', channel=3, control=30, value=127))\n"
        "    time.sleep(0.1)\n"
    )
    sender = subprocess.Popen([sys.executable, "-c", code], env=env)
    try:
        until = time.monotonic() + 20
        while "knobs" not in _run(env, "--list-devices").stdout:
            assert time.monotonic() < until
        knobs = tmp_path / "knobs.json"
        done = _run(env, toy(), "--midi", "knobs", "--midi-learn", knobs)
        assert done.returncode == 0, done.stderr
        assert json.loads(knobs.read_text())["temperature"] == {"cc": 30, "channel": 4}
        words = ["--play", "--seconds", 1, "--midi", "knobs", "--midi-map", knobs]
        done = _run(env, toy(), *words)
        assert done.returncode == 0, done.stderr
        assert "MIDI from knobs: temperature by controller 30" in done.stderr
    finally:
        sender.kill()
        sender.wait()
