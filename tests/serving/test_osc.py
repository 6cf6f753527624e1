"""OSC: from a datagram to the samples, and the answers to mistakes."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from keras_rawaudio_serving import ServingError
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.live_controls import LiveControls
from keras_rawaudio_serving.osc import OscInput
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from .sound_system import SoundSystem

Toy = Callable[..., Path]


class Sender:
    """An OSC client that also receives what is answered."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(10)

    def answer(self) -> str:
        message = OscMessage(self.socket.recv(65536))
        assert message.address == "/error"
        return str(message.params[0])


@pytest.fixture
def sender(live: LiveControls) -> Iterator[Sender]:
    with OscInput("127.0.0.1", 0, live) as osc:
        sender = Sender(osc.port)
        yield sender
        sender.socket.close()


def message(address: str, *values: object) -> OscMessage:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)  # type: ignore[arg-type]
    return builder.build()


def wait_for(live: LiveControls, expected: list[float]) -> None:
    until = time.monotonic() + 10
    while not np.allclose(live.values["temperature"], expected):
        assert time.monotonic() < until, live.values
        time.sleep(0.005)


def test_a_message_sets_one_value_or_one_per_stream(live: LiveControls, sender: Sender) -> None:
    sender.socket.send(message("/temperature", 0.5).dgram)
    wait_for(live, [0.5, 0.5])
    sender.socket.send(message("/temperature", 1, 0.75).dgram)
    wait_for(live, [1.0, 0.75])


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (message("/tempi", 1.0).dgram, "no control 'tempi': this file has temperature"),
        (message("/temperature", 9.0).dgram, "temperature is 9: it must be"),
        (message("/temperature", float("nan")).dgram, "temperature is nan"),
        (message("/temperature").dgram, "0 values for 2 streams"),
        (message("/temperature", 1.0, 1.0, 1.0).dgram, "3 values for 2 streams"),
        (message("/temperature", "hot").dgram, "/temperature takes numbers"),
        (b"hello", "not an OSC packet"),
        (b"#bundle\0", "not an OSC packet"),
        # A size below zero leads some parsers round and round.
        (b"#bundle\0" + struct.pack(">Qi", 1, -4), "not an OSC packet"),
        (b"#bundle\0" + struct.pack(">Qi", 1, 0), "not an OSC packet"),
        (b"#bundle\0" + struct.pack(">Qi", 1, 400) + b"/a\0\0", "not an OSC packet"),
    ],
)
def test_mistakes_are_answered(
    live: LiveControls, sender: Sender, sent: bytes, expected: str
) -> None:
    sender.socket.send(sent)
    assert expected in sender.answer()
    sender.socket.send(message("/temperature", 0.5).dgram)  # and it goes on
    wait_for(live, [0.5, 0.5])


def test_odd_packets_print_nothing(
    sender: Sender, recwarn: pytest.WarningsRecorder, caplog: pytest.LogCaptureFixture
) -> None:
    sender.socket.send(message("/temperature", 1.0).dgram.replace(b",f", b",z"))
    assert "0 values" in sender.answer()
    builder = OscMessageBuilder("/temperature")
    builder.add_arg(1e300, "d")
    sender.socket.send(builder.build().dgram)
    assert sender.answer().startswith("temperature is 1e+300")
    assert not recwarn.list
    assert not caplog.records


def test_bundles_wait_for_their_time(live: LiveControls, sender: Sender) -> None:
    later = time.time() + 0.3
    inner = OscBundleBuilder(IMMEDIATELY)
    inner.add_content(message("/temperature", 0.25))
    outer = OscBundleBuilder(later)  # type: ignore[arg-type]
    outer.add_content(message("/temperature", 0.5))
    sender.socket.send(outer.build().dgram)
    sender.socket.send(inner.build().dgram)
    wait_for(live, [0.25, 0.25])
    wait_for(live, [0.5, 0.5])
    assert time.time() >= later
    far = OscBundleBuilder(time.time() + 1e6)  # type: ignore[arg-type]
    far.add_content(message("/temperature", 0.5))
    sender.socket.send(far.build().dgram)
    assert "60 s ahead at most" in sender.answer()


def test_an_answer_is_not_answered(live: LiveControls, sender: Sender) -> None:
    """Two programs that answer each other's errors would never end."""
    sender.socket.send(message("/error", "no").dgram)
    sender.socket.send(message("/temperature", 9.0).dgram)
    assert "temperature is 9" in sender.answer()


def test_bundles_in_bundles_end(live: LiveControls, sender: Sender) -> None:
    data = message("/temperature", 0.5).dgram
    for _ in range(2000):
        data = b"#bundle\0" + struct.pack(">Qi", 1, len(data)) + data
    sender.socket.send(data)
    assert "not an OSC packet" in sender.answer()


def test_osc_plays_a_piece(
    toy: Toy, sound: SoundSystem, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a datagram to the loudspeaker: what was calm becomes ten times as loud."""
    sound.speed = 4.0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            while not ended.wait(0.02):
                if sum(np.count_nonzero(part) for part in list(sound.parts)) > 2000:
                    client.sendto(message("/temperature", 1.5).dgram, ("127.0.0.1", port))

    ended = threading.Event()
    thread = threading.Thread(target=send)
    thread.start()
    text = f"--play --seconds 4 --temperature 0.15 --osc {port}"
    try:
        assert main([str(toy()), *text.split()]) == 0
    finally:
        ended.set()
        thread.join()
    output = sound.output[:, 0].astype(float)
    output = output[output != 0]  # without what was not there in time
    before, after = np.std(output[:1600]), np.std(output[-8000:])
    assert 8 < after / before < 12
    assert f"OSC on 127.0.0.1:{port}: /temperature" in capsys.readouterr().err


def test_a_port_in_use_is_one_line(live: LiveControls) -> None:
    with (
        OscInput("127.0.0.1", 0, live) as osc,
        pytest.raises(ServingError, match=f"--osc 127.0.0.1:{osc.port}: Address already in use"),
    ):
        OscInput("127.0.0.1", osc.port, live)
