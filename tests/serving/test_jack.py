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
