"""Controls from outside: OSC and MIDI, through to the samples."""

import json
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import mido
import numpy as np
import pytest
from keras_rawaudio_serving import Sampler, ServingError
from keras_rawaudio_serving.cli import main
from keras_rawaudio_serving.live_controls import LiveControls
from keras_rawaudio_serving.midi import (
    Knob,
    MidiInput,
    default_knobs,
    learn_knobs,
    read_knobs,
    write_knobs,
)
from keras_rawaudio_serving.osc import OscInput
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from .sound_system import SoundSystem

Toy = Callable[..., Path]


@pytest.fixture
def sampler(toy: Toy) -> Sampler:
    return Sampler.load(toy(), random_seed=1, streams=2)


@pytest.fixture
def live(sampler: Sampler) -> LiveControls:
    return LiveControls(sampler)


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


def test_values_reach_the_samples_between_blocks(toy: Toy) -> None:
    """Before `apply` nothing changes; after it, audio is that of the new value."""
    one, other = (Sampler.load(toy(), random_seed=1) for _ in range(2))
    live = LiveControls(one)
    first = one.generate(0.1)
    live.set("temperature", [0.5])
    np.testing.assert_array_equal(one.temperature, [1.0])
    live.apply()
    expected_first = other.generate(0.1)
    other.temperature = 0.5
    np.testing.assert_array_equal(first, expected_first)
    np.testing.assert_array_equal(one.generate(0.1), other.generate(0.1))


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


def test_knobs_turn_controls(live: LiveControls, monkeypatch: pytest.MonkeyPatch) -> None:
    port = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr(mido, "get_input_names", lambda: ["nanoKONTROL2 20:0", "Keystation 24:0"])
    monkeypatch.setattr(mido, "open_input", lambda name, callback: port)
    with MidiInput("nano", {"temperature": Knob(21, 3)}, live) as midi:
        for channel, control, value in ((2, 21, 64), (2, 22, 0), (3, 21, 0)):
            midi.receive(
                mido.Message("control_change", channel=channel, control=control, value=value)
            )
        midi.receive(mido.Message("note_on", note=21))
        np.testing.assert_allclose(live.values["temperature"], [1.0, 1.0])
        midi.receive(mido.Message("control_change", channel=2, control=21, value=127))
        maximum = live.known["temperature"].maximum
        np.testing.assert_allclose(live.values["temperature"], [maximum, maximum])
    with pytest.raises(ServingError, match="no such port: nanoKONTROL2"):
        MidiInput("Harp", {}, live)
    with pytest.raises(ServingError, match="2 ports of this name"):
        MidiInput(":0", {}, live)


def test_no_midi_system_is_one_line(live: LiveControls, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise RuntimeError("error creating\nALSA client")

    monkeypatch.setattr(mido, "get_input_names", broken)
    with pytest.raises(ServingError, match="no MIDI system: error creating ALSA client"):
        MidiInput("nano", {}, live)


def test_knobs_are_learned_and_read_again(tmp_path: Path) -> None:
    moves = [
        mido.Message("note_off", note=1),
        mido.Message("control_change", channel=0, control=7, value=1),
        mido.Message("control_change", channel=0, control=7, value=2),  # still the first knob
        mido.Message("note_on", note=60, velocity=9),  # leaves out the second
        mido.Message("control_change", channel=9, control=7, value=1),
    ]
    shown: list[str] = []
    knobs = learn_knobs(moves, ["temperature", "tempo", "level"], shown.append)
    assert knobs == {"temperature": Knob(7, 1), "level": Knob(7, 10)}
    assert shown[0] == "temperature: move its knob, or press a key to leave it out"
    write_knobs(tmp_path / "knobs.json", knobs)
    assert read_knobs(tmp_path / "knobs.json", ["temperature", "tempo", "level"]) == knobs
    assert [path.name for path in tmp_path.iterdir()] == ["knobs.json"]
    with pytest.raises(ServingError, match="cannot write"):
        write_knobs(tmp_path / "none" / "knobs.json", knobs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tempo: 1", "is not JSON"),
        ("[1]", "give"),
        ('{"tempi": {"cc": 1}}', "no control tempi"),
        ('{"temperature": 3}', "temperature: give"),
        ('{"temperature": {"channel": 3}}', "temperature: give"),
        ('{"temperature": {"cc": 128}}', "cc is 128, not 0 to 127"),
        ('{"temperature": {"cc": 1, "channel": 0}}', "channel is 0, not 1 to 16"),
        ('{"temperature": {"cc": true}}', "cc is True"),
        ('{"temperature": {"cc": 1}, "level": {"cc": 1}}', "another control has this knob"),
    ],
)
def test_a_bad_map_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "knobs.json"
    path.write_text(text)
    with pytest.raises(ServingError, match=expected):
        read_knobs(path, ["temperature", "level"])
    with pytest.raises(ServingError, match="cannot read"):
        read_knobs(tmp_path / "none.json", ["temperature"])


@pytest.mark.skipif(os.name == "nt", reason="FIFOs and devices")
def test_a_map_that_never_ends_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "large.json").touch()
    os.truncate(tmp_path / "large.json", 1 << 40)
    for path in (tmp_path / "fifo.json", tmp_path / "large.json", Path("/dev/zero")):
        with pytest.raises(ServingError, match="cannot read"):
            read_knobs(path, ["temperature"])


def test_learning_from_the_command_line(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Port(list):  # type: ignore[type-arg]
        def __enter__(self) -> "Port":
            return self

        def __exit__(self, *_: object) -> None: ...

    moved = Port([mido.Message("control_change", channel=4, control=33, value=1)])
    monkeypatch.setattr(mido, "get_input_names", lambda: ["nano"])
    monkeypatch.setattr(mido, "open_input", lambda name: moved)
    path = tmp_path / "knobs.json"
    assert main([str(toy()), "--midi", "nano", "--midi-learn", str(path)]) == 0
    assert json.loads(path.read_text())["temperature"] == {"cc": 33, "channel": 5}
    assert "temperature: move its knob" in capsys.readouterr().err


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--play --osc x", "give PORT or HOST:PORT"),
        ("--play --osc 70000", "give PORT or HOST:PORT"),
        ("--play --osc 192.0.2.1:9000", "--osc 192.0.2.1:9000: Cannot assign"),
        ("--osc 9000 --out new.wav --seconds 1", "--osc needs --play or --out -"),
        ("--midi nano --out new.wav --seconds 1", "--midi needs --play or --out -"),
        ("--play --midi-map knobs.json", "--midi-map needs --midi PORT"),
        ("--midi-learn knobs.json", "--midi-learn needs --midi PORT"),
    ],
)
def test_one_line_for_each_mistake(
    toy: Toy, sound: SoundSystem, capsys: pytest.CaptureFixture[str], text: str, expected: str
) -> None:
    assert main([str(toy()), *text.split()]) == 2
    assert expected in capsys.readouterr().err.strip().splitlines()[-1]


def test_a_port_in_use_is_one_line(live: LiveControls) -> None:
    with (
        OscInput("127.0.0.1", 0, live) as osc,
        pytest.raises(ServingError, match=f"--osc 127.0.0.1:{osc.port}: Address already in use"),
    ):
        OscInput("127.0.0.1", osc.port, live)


def test_default_knobs_follow_the_file() -> None:
    assert default_knobs(["a", "b"]) == {"a": Knob(20), "b": Knob(21)}
