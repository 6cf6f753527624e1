"""The examples of the stage, each in its own program, against a running sampler."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
import pytest

from ..serving.conftest import SERVING
from ..serving.toy_generators import RATE, build_toy

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "stage"

pytestmark = pytest.mark.slow


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


class Player:
    """A running `keras-rawaudio-generate` that takes OSC and writes to a pipe."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process, self.port = process, port

    def level(self, seconds: float = 0.5) -> float:
        """Standard deviation of the next samples."""
        assert self.process.stdout is not None
        data = self.process.stdout.read(2 * round(seconds * RATE))
        return float(np.std(np.frombuffer(data, "<i2")))

    def wait_for_level(self, low: float, high: float) -> None:
        until = time.monotonic() + 60
        while not low < (level := self.level()) < high:
            assert time.monotonic() < until, level
            time.sleep(0.02)


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    path = tmp_path / "generator.onnx"
    onnx.save(build_toy(), str(path))
    words = ["--out", "-", "--osc", "0", "--temperature", "0.2", "--random-seed", "1"]
    process = subprocess.Popen(
        [sys.executable, str(SERVING / "generate.py"), str(path), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    line = process.stderr.readline().decode()
    assert line.startswith("OSC on 127.0.0.1:"), line
    yield Player(process, int(line.split(":")[1]))
    process.kill()
    process.communicate()


@contextmanager
def program(*command: object, log: Path) -> Iterator[None]:
    """Run a program that does not end by itself."""
    # sclang brings a browser, which refuses to start its sandbox for root.
    headless = {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}
    env = {**os.environ, **headless, "XDG_RUNTIME_DIR": str(log.parent)}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=env,
        )
        try:
            yield
        finally:
            process.kill()
            process.wait()


def copy(name: str, folder: Path, port: int) -> Path:
    """An example that sends to the port of the test."""
    text = (EXAMPLES / name).read_text()
    assert text.count("9000") >= 2
    path = folder / name
    path.write_text(text.replace("9000", str(port)))
    return path


def wait_for_text(log: Path, text: str) -> None:
    until = time.monotonic() + 60
    while text not in log.read_text(errors="replace").replace("\\", ""):
        assert time.monotonic() < until, log.read_text(errors="replace")
        time.sleep(0.05)


@needs("pd")
def test_pure_data(player: Player, tmp_path: Path) -> None:
    patch, log = copy("controls.pd", tmp_path, player.port), tmp_path / "pd.log"
    quiet = player.level()
    with program("pd", "-nogui", "-noaudio", "-stderr", "-send", "temperature 2", patch, log=log):
        player.wait_for_level(8 * quiet, 12 * quiet)
    with program("pd", "-nogui", "-noaudio", "-stderr", "-send", "temperature 9", patch, log=log):
        wait_for_text(log, "temperature is 9: it must be")


@needs("sclang")
def test_supercollider(player: Player, tmp_path: Path) -> None:
    """A glide by messages, a bundle with a time, and an answer."""
    example, log = copy("controls.scd", tmp_path, player.port), tmp_path / "sclang.log"
    end = "}.play(SystemClock);"
    mistake = '~generator.sendMsg("/temperature", 9);'
    example.write_text(example.read_text().replace(end, f"{end}\n{mistake}"))
    quiet = player.level()
    with program("sclang", "-D", example, log=log):
        player.wait_for_level(5.4 * quiet, 9 * quiet)  # 1.2
        wait_for_text(log, "generator: temperature is 9: it must be")
        player.wait_for_level(4.6 * quiet, 5.4 * quiet)  # 1.0
