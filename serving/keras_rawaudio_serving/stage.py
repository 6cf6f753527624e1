"""The flags of the stage: a sound device, and controls by OSC and MIDI."""

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .command import Say, missing_extra
from .errors import ServingError

if TYPE_CHECKING:
    from .live_controls import LiveControls
    from .play import Speaker
    from .sampler import Sampler

LATENCY = 0.3


def add_stage_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags to the parser of `keras-rawaudio-generate`."""
    add = parser.add_argument_group("on the stage").add_argument
    add("--device", metavar="D", help="sound device: its number, or a part of its name")
    add("--list-devices", action=_ListDevices, help="show sound devices and MIDI ports, and exit")
    add(
        "--latency",
        type=float,
        metavar="S",
        help=f"seconds of audio made ahead ({LATENCY}): less follows the controls sooner",
    )
    add(
        "--osc",
        metavar="[HOST:]PORT",
        help="set controls by OSC messages such as /temperature 0.9, from this machine unless a "
        "host is given (needs the extra: stage)",
    )
    add("--midi", metavar="PORT", help="set controls by MIDI (needs the extra: stage)")
    add("--midi-map", metavar="FILE", help="YAML: which knob turns which control")
    add("--midi-learn", metavar="FILE", help="ask for a knob for each control, write FILE, exit")


def check_stage(args: argparse.Namespace) -> None:
    """Refuse what does not go together, before anything is opened."""
    live = args.play or args.out == "-"
    for flag, value in (("--device", args.device), ("--latency", args.latency)):
        if value is not None and not args.play:
            raise ServingError(f"{flag} needs --play")
    for flag, value in (("--osc", args.osc), ("--midi", args.midi)):
        if value is not None and not (live or args.midi_learn):
            raise ServingError(f"{flag} needs --play or --out -")
    for flag, value in (("--midi-map", args.midi_map), ("--midi-learn", args.midi_learn)):
        if value is not None and args.midi is None:
            raise ServingError(f"{flag} needs --midi PORT")
    if args.latency is not None and not 0 < args.latency <= 60:
        raise ServingError(f"--latency is {args.latency:g}: it must be more than 0 and at most 60")
    if args.osc is not None:
        osc_address(args.osc)


def osc_address(text: str) -> tuple[str, int]:
    """Host and port of `9000` or `0.0.0.0:9000`.

    Raises:
        ServingError: not such a text.

    Example:
        >>> osc_address("9000")
        ('127.0.0.1', 9000)
    """
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise ServingError(f"--osc {text}: give PORT or HOST:PORT, with a port up to 65535")
    return host or "127.0.0.1", int(port)


def live_block(args: argparse.Namespace, default: float) -> float:
    """Seconds per block by default: two of them fit into the latency."""
    latency = LATENCY if args.latency is None else args.latency
    return min(default, latency / 2) if args.play else default


def open_speaker(
    args: argparse.Namespace, sampler: "Sampler", block: float, say: Say, stack: ExitStack
) -> "Speaker":
    """Open the device and say how late it sounds; in the end, say how often audio was missing."""
    from .audio_device import AudioDevice
    from .play import Speaker

    # A buffer of less than two blocks would run dry while a block is made.
    block = max(block, sampler.frame / sampler.sample_rate)
    latency = max(LATENCY if args.latency is None else args.latency, 2 * block)
    channels = args.streams * sampler.channels
    device = AudioDevice(args.device, channels, sampler.sample_rate, latency / 4)
    converted = "" if device.sample_rate == sampler.sample_rate else ", converted"
    say(
        f"{device.name} at {device.sample_rate} Hz{converted}; latency {latency:.3f} s made ahead "
        f"and {device.latency:.3f} s of the device"
    )
    speaker = Speaker(device, channels, sampler.sample_rate, latency)
    stack.callback(
        lambda: say(f"{speaker.underruns} underruns, {device.underruns} reported by the driver")
    )
    return stack.enter_context(speaker)


def open_controls(
    args: argparse.Namespace, sampler: "Sampler", say: Say, stack: ExitStack
) -> "LiveControls":
    """Open the inputs that were asked for; they set the controls that are returned."""
    from .live_controls import LiveControls

    live = LiveControls(sampler)
    if args.osc is not None:
        try:
            from .osc import OscInput
        except ImportError as error:
            raise missing_extra("--osc", "stage", error) from None
        host, port = osc_address(args.osc)
        osc = stack.enter_context(OscInput(host, port, live))
        say(f"OSC on {host}:{osc.port}: {' '.join('/' + name for name in live.known)}")
    if args.midi is not None:
        from .midi import MidiInput, default_knobs, read_knobs

        names = list(live.known)
        knobs = read_knobs(args.midi_map, names) if args.midi_map else default_knobs(names)
        stack.enter_context(MidiInput(args.midi, knobs, live))
        shown = ", ".join(f"{name} by controller {knob.cc}" for name, knob in knobs.items())
        say(f"MIDI from {args.midi}: {shown}")
    return live


def learn(args: argparse.Namespace, sampler: "Sampler") -> None:
    """Ask the player for a knob for each control, and write the file."""
    from .live_controls import LiveControls
    from .midi import check_new_knobs, learn_knobs, open_port, write_knobs

    names = list(LiveControls(sampler).known)
    check_new_knobs(args.midi_learn, names)
    with open_port(args.midi) as port:
        knobs = learn_knobs(port, names, lambda text: print(text, file=sys.stderr, flush=True))
    write_knobs(args.midi_learn, knobs)


class _ListDevices(argparse.Action):
    """Like `--version`: prints and exits."""

    def __init__(self, option_strings: Sequence[str], dest: str, **options: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **options)

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: Any, values: Any, flag: Any = None
    ) -> None:
        from .audio_device import list_devices
        from .midi import port_names

        lines, problems = [], []
        for title, listed in (("sound", list_devices), ("MIDI", port_names)):
            try:
                lines += [f"{title}: {line}" for line in listed()] or [f"{title}: none"]
            except ServingError as error:
                problems.append(str(error))
        if len(problems) == 2:
            parser.exit(2, f"{parser.prog}: {'; '.join(problems)}\n")
        print("\n".join(lines))
        parser.exit(0, "".join(f"{problem}\n" for problem in problems))
