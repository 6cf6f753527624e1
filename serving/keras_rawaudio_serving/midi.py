"""Controls by MIDI: which knob turns what, and the port that receives it."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .audio import silent_stderr
from .command import missing_extra
from .errors import ServingError
from .live_controls import LiveControls
from .metadata import Control
from .scratch import Scratch, replace_all

# Numbers that MIDI leaves undefined, so that no device gives them another meaning.
FIRST_CC = 20
LARGEST = 1 << 20  # bytes of a file of knobs
# What PyYAML raises for a value that is not of the kind that its tag names.
NO_VALUE = (ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)


class Knob(NamedTuple):
    """A controller number, 0 to 127, and a channel, 1 to 16; None is any channel."""

    cc: int
    channel: int | None = None


class MidiInput:
    """Sets controls by the control changes of a MIDI port.

    Args:
        name: of the port, or a part of it that no other port has.
        knobs: which knob turns which control.
        controls: what the knobs set.

    Raises:
        ServingError: mido is missing, or there is no such port.

    Example:
        >>> with MidiInput("nano", {"temperature": Knob(21)}, live):  # doctest: +SKIP
        ...     play()
    """

    def __init__(self, name: str, knobs: Mapping[str, Knob], controls: LiveControls) -> None:
        self._controls = controls
        self._knobs = {knob: name for name, knob in knobs.items()}
        self._port = open_port(name, callback=self.receive)

    def __enter__(self) -> "MidiInput":
        return self

    def __exit__(self, *error: object) -> None:
        self._port.close()

    def receive(self, message: Any) -> None:
        """Take a message of mido; those that are not of a known knob change nothing."""
        if message.type != "control_change":
            return
        for channel in (message.channel + 1, None):
            name = self._knobs.get(Knob(message.control, channel))
            if name is not None:
                value = scaled(message.value, self._controls.known[name])
                self._controls.set(name, [value])


def scaled(value: int, control: Control) -> float:
    """The value of a control for 0 to 127: its range, with the default in the middle.

    Where the default is an end of the range, the range is even.

    Example:
        >>> tempo = Control("tempo", 0.5, 2.0, 1.0, "ratio", "")
        >>> [scaled(value, tempo) for value in (0, 32, 64, 127)]
        [0.5, 0.75, 1.0, 2.0]
    """
    low, middle, high = control.minimum, control.default, control.maximum
    if not low < middle < high:
        return low + (high - low) * value / 127
    if value < 64:
        return low + (middle - low) * value / 64
    return min(high, middle + (high - middle) * (value - 64) / 63)


def default_knobs(names: Iterable[str]) -> dict[str, Knob]:
    """Controllers 20, 21, ... on any channel, in the order of the file's controls.

    Example:
        >>> default_knobs(["temperature"])
        {'temperature': Knob(cc=20, channel=None)}
    """
    return {name: Knob(FIRST_CC + number) for number, name in enumerate(names)}


def read_knobs(path: str | Path, names: Sequence[str], any_name: bool = False) -> dict[str, Knob]:
    """Read a file with lines such as `tempo: {cc: 21, channel: 1}`; the channel may be left out.

    Args:
        path: of the YAML file.
        names: of the controls that there are.
        any_name: take controls of other models, too.

    Raises:
        ServingError: PyYAML is missing; no such file, not such a file, or a control that is not in
            `names`.
    """
    yaml = _yaml("--midi-map")

    class Loader(yaml.SafeLoader):  # type: ignore[name-defined]
        """Refuses a name that is there twice, of which YAML's own takes the last."""

        def construct_mapping(self, node: Any, deep: bool = False) -> Any:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            there = [key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode)]
            if twice := [name for name in there if there.count(name) > 1]:
                raise ServingError(f"{path}: {twice[0]:.40} is there twice; keep one")
            return super().construct_mapping(node, deep)

    try:
        if not Path(path).is_file():  # a pipe would wait, and a device may never end
            raise ServingError(f"cannot read {path}: there is no such file")
        if Path(path).stat().st_size > LARGEST:
            raise ServingError(f"cannot read {path}: it is larger than {LARGEST >> 20} MB")
        raw = yaml.load(Path(path).read_bytes(), Loader)
    except OSError as error:
        raise ServingError(f"cannot read {path}: {error.strerror}") from None
    except (yaml.YAMLError, *NO_VALUE):
        raise ServingError(f"{path} is not YAML") from None
    if not isinstance(raw, dict):
        raise ServingError(f"{path}: give temperature: {{cc: {FIRST_CC}}}")
    knobs: dict[str, Knob] = {}
    for name, entry in raw.items():
        if name not in names and not any_name:
            raise ServingError(f"{path}: no control {name!s:.40}: this file has {', '.join(names)}")
        if not isinstance(entry, dict) or "cc" not in entry or entry.keys() - {"cc", "channel"}:
            raise ServingError(f"{path}: {name}: give {{cc: 0 to 127, channel: 1 to 16}}")
        for key, low, high in (("cc", 0, 127), ("channel", 1, 16)):
            value = entry.get(key, low)
            if type(value) is not int or not low <= value <= high:
                raise ServingError(f"{path}: {name}: {key} is no number from {low} to {high}")
        knob = Knob(entry["cc"], entry.get("channel"))
        if knob in knobs.values():
            raise ServingError(f"{path}: {name}: another control has this knob")
        knobs[name] = knob
    return knobs


def learn_knobs(
    messages: Iterable[Any], names: Iterable[str], say: Callable[[str], None]
) -> dict[str, Knob]:
    """Ask for a knob for each control, and take the first new one that moves; a key skips.

    Args:
        messages: of a mido port.
        names: of the controls.
        say: shows a line to the player.

    Returns:
        The knob of each control that has one.

    Example:
        >>> from types import SimpleNamespace as Message  # as mido's
        >>> moved = Message(type="control_change", channel=0, control=7)
        >>> learn_knobs([moved], ["temperature"], lambda text: None)
        {'temperature': Knob(cc=7, channel=1)}
    """
    knobs: dict[str, Knob] = {}
    source = iter(messages)
    for name in names:
        say(f"{name}: move its knob, or press a key to leave it out")
        for message in source:
            if message.type == "note_on" and message.velocity:
                break
            if message.type == "control_change":
                knob = Knob(message.control, message.channel + 1)
                if knob not in knobs.values():
                    knobs[name] = knob
                    say(f"{name}: controller {knob.cc} on channel {knob.channel}")
                    break
    return knobs


def write_knobs(path: str | Path, knobs: Mapping[str, Knob]) -> None:
    """Write a file that `read_knobs` reads: whole, or not at all.

    Raises:
        ServingError: PyYAML is missing, or the file cannot be written.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ServingError(f"cannot write {path}: it is no file; choose another place")
    named = {name: knob._asdict() for name, knob in knobs.items()}
    text = _yaml("--midi-learn").safe_dump(named, sort_keys=False, default_flow_style=None)
    scratch = None
    try:
        scratch = Scratch(path)
        part = scratch.path / "0.yaml"
        part.write_text(text, encoding="utf-8")
        replace_all([(part, path)], scratch.path)
    except OSError as error:
        raise ServingError(f"cannot write {path}: {error.strerror}") from None
    finally:
        if scratch:
            scratch.remove()


def check_new_knobs(path: str | Path, names: Sequence[str]) -> None:
    """Refuse, before the player turns any knob, what `write_knobs` could not or must not write.

    Args:
        path: of the YAML file.
        names: of the controls that there are.

    Raises:
        ServingError: PyYAML is missing; the folder is, or cannot be written to; or there is
            something that is no file of knobs, such as the model.
    """
    _yaml("--midi-learn")
    path = Path(path)
    if not path.parent.is_dir():
        raise ServingError(f"cannot write {path}: no such folder: {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise ServingError(f"cannot write {path}: {path.parent} cannot be written to")
    if not os.path.lexists(path):
        return
    try:
        read_knobs(path, names, any_name=True)
    except ServingError:
        raise ServingError(
            f"cannot write {path}: it is there and no file of knobs; choose another place"
        ) from None


def _yaml(flag: str) -> Any:
    """The module, for what a flag asks for."""
    try:
        import yaml
    except ImportError as error:
        raise missing_extra(flag, "stage", error) from None
    return yaml


def port_names() -> list[str]:
    """Names of the MIDI inputs.

    Raises:
        ServingError: mido or its backend is missing, or there is no MIDI system.
    """
    try:
        import mido

        with silent_stderr():  # ALSA's own notes
            return list(mido.get_input_names())
    except ImportError as error:
        raise missing_extra("--midi", "stage", error) from None
    except Exception as error:  # the backends have no common class
        raise ServingError(f"--midi found no MIDI system: {' '.join(str(error).split())}") from None


def open_port(name: str, **options: Any) -> Any:
    """The mido input whose name contains `name`.

    Raises:
        ServingError: as `port_names`; no such port, or several.
    """
    names = port_names()
    found = [one for one in names if one == name] or [one for one in names if name in one]
    if len(found) != 1:
        what = f"{len(found)} ports of this name" if found else "no such port"
        shown = ", ".join(found or names) or "there is none"
        raise ServingError(f"--midi {name}: {what}: {shown}")
    import mido

    try:
        return mido.open_input(found[0], **options)
    except Exception as error:
        raise ServingError(f"--midi {name}: {' '.join(str(error).split())}") from None
