"""MIDI: knobs that turn controls, how they are learned, and files of them."""

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mido
import numpy as np
import pytest
from keras_rawaudio_serving import ServingError
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

Toy = Callable[..., Path]


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
    write_knobs(tmp_path / "knobs.yaml", knobs)
    assert read_knobs(tmp_path / "knobs.yaml", ["temperature", "tempo", "level"]) == knobs
    assert [path.name for path in tmp_path.iterdir()] == ["knobs.yaml"]
    with pytest.raises(ServingError, match="cannot write"):
        write_knobs(tmp_path / "none" / "knobs.yaml", knobs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{tempo", "is not YAML"),
        ("[1]", "give"),
        ('{"tempi": {"cc": 1}}', "no control tempi"),
        ('{"temperature": 3}', "temperature: give"),
        ('{"temperature": {"channel": 3}}', "temperature: give"),
        ('{"temperature": {"cc": 128}}', "cc is no number from 0 to 127"),
        ('{"temperature": {"cc": 1, "channel": 0}}', "channel is no number from 1 to 16"),
        ("temperature: {cc: yes}", "cc is no number"),
        ("temperature: {cc: 0x" + "f" * 9000 + "}", "cc is no number"),
        ("temperature: {cc: !!int ''}", "is not YAML"),
        ("temperature: !!bool x", "is not YAML"),
        ("temperature: !!timestamp x", "is not YAML"),
        ("temperature: !!float 1" + ":59" * 400 + ".5", "is not YAML"),
        ("? [temperature]\n: 1", "is not YAML"),
        ('{"temperature": {"cc": 1}, "level": {"cc": 1}}', "another control has this knob"),
    ],
)
def test_a_bad_map_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "knobs.yaml"
    path.write_text(text)
    with pytest.raises(ServingError, match=expected):
        read_knobs(path, ["temperature", "level"])
    with pytest.raises(ServingError, match="cannot read"):
        read_knobs(tmp_path / "none.yaml", ["temperature"])


@pytest.mark.skipif(os.name == "nt", reason="FIFOs and devices")
def test_a_map_that_never_ends_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "large.yaml").touch()
    os.truncate(tmp_path / "large.yaml", 1 << 40)
    for path in (tmp_path / "fifo.yaml", tmp_path / "large.yaml", Path("/dev/zero")):
        with pytest.raises(ServingError, match="cannot read"):
            read_knobs(path, ["temperature"])


def test_a_file_of_knobs_takes_no_place_of_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "knobs.yaml")
    with pytest.raises(ServingError, match="it is no file; choose another place"):
        write_knobs(tmp_path / "knobs.yaml", {"temperature": Knob(20)})
    assert (tmp_path / "knobs.yaml").is_fifo()


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
    path = tmp_path / "knobs.yaml"
    assert main([str(toy()), "--midi", "nano", "--midi-learn", str(path)]) == 0
    assert path.read_text() == "temperature: {cc: 33, channel: 5}\n"
    assert "temperature: move its knob" in capsys.readouterr().err


def test_default_knobs_follow_the_file() -> None:
    assert default_knobs(["a", "b"]) == {"a": Knob(20), "b": Knob(21)}


def test_what_is_no_file_of_knobs_is_refused_before_a_knob_is_asked_for(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The model itself was replaced by the knobs, and a missing folder was found after them."""
    monkeypatch.setattr(mido, "get_input_names", lambda: pytest.fail("it asks for knobs"))
    model = toy()
    (tmp_path / "notes.yaml").write_text("my: notes")
    before = model.read_bytes()
    for path in (model, tmp_path / "notes.yaml", tmp_path / "none" / "knobs.yaml"):
        assert main([str(model), "--midi", "nano", "--midi-learn", str(path)]) == 2
        assert f"cannot write {path}" in capsys.readouterr().err
    assert model.read_bytes() == before
    assert (tmp_path / "notes.yaml").read_text() == "my: notes"


def test_knobs_that_are_not_written_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_knobs(tmp_path / "knobs.yaml", {"temperature": Knob(20)})
    assert list(tmp_path.iterdir()) == []
