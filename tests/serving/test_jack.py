"""A real sound system: JACK with a driver that plays into nothing."""

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


class Jack:
    """A server at 48 kHz, and the environment in which programs find it."""

    def __init__(self) -> None:
        name = f"test{os.getpid()}"
        self.env = {**os.environ, "JACK_DEFAULT_SERVER": name, "JACK_NO_AUDIO_RESERVATION": "1"}
        self.process = subprocess.Popen(
            ["jackd", "--no-realtime", "-n", name, "-d", "dummy", "-r", "48000", "-p", "1024"],
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *words: object, **more: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, str(FRONT_DOOR), *map(str, words)],
            env={**self.env, **more},
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def jack() -> Iterator[Jack]:
    pytest.importorskip("sounddevice")
    jack = Jack()
    until = time.monotonic() + 20
    try:
        while "system" not in jack.run("--list-devices").stdout:
            if jack.process.poll() is not None or time.monotonic() > until:
                pytest.skip("jackd does not start here")
            time.sleep(0.2)
        yield jack
    finally:
        jack.process.kill()
        jack.process.wait()


def test_playing_through_jack(toy: Toy, jack: Jack) -> None:
    began = time.monotonic()
    done = jack.run(toy(), "--play", "--device", "system", "--seconds", 3)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began > 3  # in the device's time
    assert "system at 48000 Hz, converted; latency 0.300 s made ahead and 0.0" in done.stderr
    assert "loudspeaker: 3 s at 8000 Hz" in done.stderr


def test_knobs_through_jack(toy: Toy, tmp_path: Path, jack: Jack) -> None:
    """A MIDI port of another program is found, its knob is learned, and it plays."""
    rtmidi = pytest.importorskip("rtmidi")
    if rtmidi.API_UNIX_JACK not in rtmidi.get_compiled_api():
        pytest.skip("rtmidi knows no JACK here")
    backend = {"MIDO_BACKEND": "mido.backends.rtmidi/UNIX_JACK"}
    code = (
        "import time, mido\n"
        "port = mido.open_output('knobs', virtual=True)\n"
        "while True:\n"
        "    port.send(mido.Message('control_change', channel=3, control=30, value=127))\n"
        "    time.sleep(0.1)\n"
    )
    sender = subprocess.Popen([sys.executable, "-c", code], env={**jack.env, **backend})
    try:
        until = time.monotonic() + 20
        while "knobs" not in jack.run("--list-devices", **backend).stdout:
            assert time.monotonic() < until
        knobs = tmp_path / "knobs.yaml"
        done = jack.run(toy(), "--midi", "knobs", "--midi-learn", knobs, **backend)
        assert done.returncode == 0, done.stderr
        assert "temperature: {cc: 30, channel: 4}\n" in knobs.read_text()
        words = ["--play", "--seconds", 1, "--midi", "knobs", "--midi-map", knobs]
        done = jack.run(toy(), *words, **backend)
        assert done.returncode == 0, done.stderr
        assert "MIDI from knobs: temperature by controller 30" in done.stderr
    finally:
        sender.kill()
        sender.wait()


def test_a_server_that_dies_is_one_line(toy: Toy, jack: Jack) -> None:
    """PortAudio never returns from closing such a stream."""
    command = [sys.executable, str(FRONT_DOOR), str(toy()), "--play"]
    player = subprocess.Popen(command, env=jack.env, stderr=subprocess.PIPE, text=True)
    try:
        assert player.stderr is not None
        while not player.stderr.readline().startswith("system at"):
            assert player.poll() is None
        time.sleep(1)
        jack.process.kill()
        rest = player.communicate(timeout=60)[1]
    finally:
        player.kill()
    assert player.returncode == 2, rest
    assert "--play stopped: the sound device takes no more audio" in rest
