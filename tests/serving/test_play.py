"""The loudspeaker: a ring buffer, a device with a clock of its own, and the flags for both."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving import ServingError, play
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.output import interleaved
from keras_rawaudio_serving.play import Speaker

from .sound_system import SoundSystem, Stream

RATE = 8000
FRONT_DOOR = Path(__file__).resolve().parents[2] / "serving" / "generate.py"
Toy = Callable[..., Path]


class HandDevice:
    """A device that takes samples when the test says so."""

    def __init__(self, sample_rate: int = RATE) -> None:
        self.sample_rate = sample_rate
        self.log: list[str] = []

    def start(self, fill: Callable[[np.ndarray], None]) -> None:
        self.fill = fill
        self.log.append("start")

    def stop(self) -> None:
        self.log.append("stop")

    def abort(self) -> None:
        self.log.append("abort")

    def take(self, samples: int, channels: int = 1) -> list[int]:
        out = np.full((samples, channels), 99, np.int16)
        self.fill(out)
        return out[:, 0].tolist()


def ramp(start: int, stop: int) -> np.ndarray:
    """Audio that becomes the integers from `start` on."""
    return np.arange(start, stop, dtype=np.float32)[None] / 32768


def test_samples_go_round_the_ring_in_order() -> None:
    device = HandDevice()
    speaker = Speaker(device, 1, RATE, latency=10 / RATE)
    speaker.write(ramp(1, 9))
    assert device.log == ["start"]
    assert device.take(5) == [1, 2, 3, 4, 5]
    speaker.write(ramp(9, 16))  # past the end of a ring of ten
    assert device.take(10) == list(range(6, 16))
    assert speaker.underruns == 0


def test_missing_samples_are_silence_and_counted() -> None:
    device = HandDevice()
    speaker = Speaker(device, 1, RATE, latency=10 / RATE)
    speaker.write(ramp(1, 4))
    assert device.take(5) == [1, 2, 3, 0, 0]
    assert device.take(2) == [0, 0]
    speaker.write(ramp(4, 7))
    assert device.take(3) == [4, 5, 6]
    assert speaker.underruns == 2


def test_write_waits_for_room_and_the_end_for_the_device() -> None:
    device = HandDevice()
    speaker = Speaker(device, 1, RATE, latency=10 / RATE)
    taken: list[int] = []

    def clock() -> None:
        while len(taken) < 40:
            if device.log:
                taken.extend(device.take(4))
            time.sleep(0.002)

    thread = threading.Thread(target=clock)
    thread.start()
    with speaker:
        speaker.write(ramp(1, 33))
    assert device.log == ["start", "stop"]
    thread.join()
    assert taken[:32] == list(range(1, 33))
    assert taken[32:] == [0] * 8
    assert speaker.underruns == 0  # what comes after the end is not missing


def test_a_device_that_stops_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "STALL_SECONDS", 0.05)
    device = HandDevice()
    with (
        pytest.raises(ServingError, match="takes no more audio"),
        Speaker(device, 1, RATE, 0.01) as s,
    ):
        s.write(np.zeros((1, 1000), np.float32))
    assert device.log == ["start", "abort"]


def test_another_rate_is_converted() -> None:
    device = HandDevice(sample_rate=12000)
    speaker = Speaker(device, 2, RATE, latency=2.0)
    t = np.arange(RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 440 * t).astype(np.float32)
    for part in np.split(np.stack([tone, -tone]), 10, axis=1):
        speaker.write(part)
    speaker._ending = True
    speaker._resample(np.zeros((0, 2), np.float32), last=True)
    out = np.zeros((12000, 2), np.int16)
    device.fill(out)
    expected = 16384 * np.sin(2 * np.pi * 440 * np.arange(12000) / 12000)
    middle = slice(1000, 11000)
    np.testing.assert_allclose(out[middle, 0], expected[middle], atol=20)
    np.testing.assert_allclose(out[middle, 1], -expected[middle], atol=20)


def words(model: Path, text: str) -> list[str]:
    return [str(model), *text.split()]


def test_everything_reaches_the_device(
    toy: Toy, tmp_path: Path, sound: SoundSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    """In order and to its end; with --out, both."""
    out = tmp_path / "a.wav"
    text = f"--play --device Null --seconds 1.5 --random-seed 3 --out {out}"
    assert main(words(toy(), text)) == 0
    expected = soundfile.read(out, dtype="int16")[0]
    output = sound.output[:, 0]
    np.testing.assert_array_equal(output[output != 0], expected[expected != 0])
    assert sound.log == ["open at 8000", "stop", "close"]
    shown = capsys.readouterr().err
    assert "Null at 8000 Hz; latency 0.300 s made ahead and 0.005 s of the device" in shown
    assert "underruns, 0 reported by the driver" in shown


def test_the_device_decides_the_rate(
    toy: Toy, sound: SoundSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    sound.rates = (48000,)
    assert main(words(toy(), "--play --seconds 0.5 --latency 0.1 --streams 2")) == 0
    assert sound.log[0] == "open at 48000"
    assert "Null at 48000 Hz, converted; latency 0.100 s" in capsys.readouterr().err
    sounding = np.count_nonzero(np.abs(sound.output).max(axis=1))
    assert abs(sounding - 24000) < 500


def test_a_short_latency_holds_two_frames(
    toy: Toy, sound: SoundSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words(toy(frame=400), "--play --seconds 0.2 --latency 0.01")) == 0
    assert "latency 0.100 s made ahead" in capsys.readouterr().err


def test_late_samples_of_the_driver_are_counted(
    toy: Toy, sound: SoundSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    sound.late = True
    assert main(words(toy(), "--play --seconds 0.2")) == 0
    found = re.search(r"(\d+) reported by the driver", capsys.readouterr().err)
    assert found
    assert int(found[1]) > 0


def test_devices_are_listed(sound: SoundSystem, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--list-devices"])
    assert stop.value.code == 0
    assert "sound: 0: Null (Clock), 2 channels, 8000 Hz" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--play --device Harp", "--device Harp: No output device matching"),
        ("--play --device ²", "--device ²: No output device matching"),
        ("--play --streams 3", "does not take 3 channels at 8000 Hz"),
        ("--device 0 --out -", "--device needs --play"),
        ("--latency 1 --out new.wav --seconds 1", "--latency needs --play"),
        ("--play --latency 0", "--latency is 0"),
        ("--play --latency nan", "--latency is nan"),
    ],
)
def test_one_line_for_each_mistake(
    toy: Toy, sound: SoundSystem, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    assert main(words(toy(), text)) == 2
    shown = capsys.readouterr().err.strip().splitlines()
    assert message in shown[-1]
    assert shown[-1].startswith("keras-rawaudio-generate: ")
    assert sum(line.startswith("keras-rawaudio-generate: ") for line in shown) == 1


def test_no_device(
    toy: Toy,
    sound: SoundSystem,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def none(*_: object) -> None:
        raise RuntimeError("Error querying device -1")

    monkeypatch.setattr(sound, "query_devices", none)
    assert main(words(toy(), "--play")) == 2
    assert "--play found no sound device: Error querying device -1" in capsys.readouterr().err


def test_a_driver_that_goes_away_is_one_line(
    toy: Toy,
    sound: SoundSystem,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """PortAudio is left alone then: it would wait for the driver."""
    sound.speed = 0.0
    monkeypatch.setattr(play, "STALL_SECONDS", 0.1)
    assert main(words(toy(), "--play")) == 2
    assert "--play stopped: the sound device takes no more audio" in capsys.readouterr().err
    assert sound.log == ["open at 8000"]


def test_ctrl_c_says_how_often_audio_was_missing(toy: Toy, tmp_path: Path) -> None:
    """Playing without end ends so."""
    (tmp_path / "sounddevice.py").write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from sound_system import SoundSystem\n"
        "sys.modules['sounddevice'] = SoundSystem(speed=1.0)\n"
    )
    process = subprocess.Popen(
        [sys.executable, str(FRONT_DOOR), str(toy()), "--play"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "Null at 8000 Hz" in process.stderr.readline()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "underruns, 0 reported by the driver" in rest
    assert "Traceback" not in rest


def test_several_channels_are_interleaved() -> None:
    block = np.stack([ramp(1, 4)[0], ramp(11, 14)[0]])
    assert interleaved(block).tolist() == [[1, 11], [2, 12], [3, 13]]


@pytest.mark.parametrize("name", ["query_hostapis", "query_devices"])
def test_a_sound_system_that_does_not_answer_is_one_line(
    sound: SoundSystem,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("PortAudio not initialized")

    monkeypatch.setattr(sound, name, fail)
    with pytest.raises(SystemExit):
        main(["--list-devices"])
    assert "--list-devices: PortAudio not initialized" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["start", "stop"])
def test_a_device_that_does_not_start_or_stop_is_one_line(
    toy: Toy,
    sound: SoundSystem,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    def fail(stream: Stream) -> None:
        stream.stopping = True  # its thread ends
        raise RuntimeError("Unanticipated host error")

    monkeypatch.setattr(Stream, name, fail)
    assert main(words(toy(), "--play --seconds 0.1")) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert last.endswith(f"--play: Null does not {name}: Unanticipated host error")
