"""The flags of `keras-rawaudio-generate`, and what of them is refused at once."""

import argparse

from .command import Parser, add_control_argument
from .errors import ServingError
from .metadata import MAX_SECONDS, MAX_STREAMS
from .stage import add_stage_arguments, check_stage

PROGRAM = "keras-rawaudio-generate"
FILE_BLOCK, LIVE_BLOCK = 0.5, 0.1
WEB_PORT = 8765


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command."""
    parser = Parser(prog=PROGRAM, description="Make new audio with an exported generator.")
    add = parser.add_argument
    add("model", metavar="MODEL", help="generator.onnx, made by keras-rawaudio export")
    add("--seconds", type=float, help="how long; needed for a file, else until stopped")
    add(
        "--out",
        metavar="FILE|-",
        help=".wav, .flac or .ogg, 16 bits; several streams become "
        "new-1.wav, new-2.wav, ...; - writes raw s16le to a pipe, streams and channels interleaved",
    )
    add("--play", action="store_true", help="play it (needs the extra: sounddevice)")
    add(
        "--web",
        type=int,
        nargs="?",
        const=WEB_PORT,
        metavar="PORT",
        help=f"play it in the browser, on a page served from here (port {WEB_PORT})",
    )
    add("--seed-audio", metavar="FILE", help="audio that the model continues, at any rate")
    add("--seed-start", type=float, default=0.0, metavar="S", help="where the seed starts (0)")
    add(
        "--seed-seconds",
        type=float,
        metavar="S",
        help="its length (1, or the rest of the file where that is less)",
    )
    add("--keep-seed", action="store_true", help="put the seed before the new audio")
    add(
        "--temperature",
        nargs="+",
        action="extend",
        metavar="T",
        help="of sampling, 0.1 to 2 (1): one value or one per stream",
    )
    add_control_argument(parser)
    add(
        "--music",
        nargs="+",
        action="extend",
        metavar="NAME",
        help="of a file that was trained on several: a name, or weights such as night=0.7,day=0.3; "
        "one for all streams or one per stream (one at random for each stream)",
    )
    add("--curves", metavar="FILE", help="controls over time: .json or .csv, see the docs")
    add("--streams", type=int, default=1, metavar="N", help="independent streams (1)")
    add(
        "--keep",
        type=int,
        metavar="K",
        help="keep the K best of the streams, by health, then by likelihood where the file has it",
    )
    add("--refiner", metavar="FILE", help="refiner.onnx, which revises the audio in windows")
    add("--random-seed", type=int, metavar="N", help="same number, same file; default: a new one")
    add(
        "--provider",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto takes CUDA where it is available and faster: 16 streams per thread or more",
    )
    add("--threads", type=int, default=1, metavar="N", help="processor threads (1)")
    add(
        "--block",
        type=float,
        metavar="S",
        help=f"seconds per block ({FILE_BLOCK} for a file, "
        f"{LIVE_BLOCK} for a pipe or --play); the first is at most 0.1",
    )
    add("--quiet", action="store_true", help="errors only")
    add_stage_arguments(parser)
    return parser


def check_arguments(args: argparse.Namespace, to_file: bool) -> None:
    """Refuse what can be refused before anything is opened.

    Args:
        args: from `build_parser`.
        to_file: whether `--out` is a file.

    Raises:
        ServingError: flags that do not go together, or a number out of its range.
    """
    check_stage(args)
    if args.midi_learn:
        return
    if args.out is None and not args.play:
        raise ServingError("nowhere to put the audio: give --out FILE, --out -, --play or --web")
    if args.seconds is None and to_file:
        raise ServingError("how long? give --seconds")
    if not 1 <= args.streams <= MAX_STREAMS:
        raise ServingError(f"--streams is {args.streams}: it must be from 1 to {MAX_STREAMS}")
    if args.seed_audio is None and (args.keep_seed or args.seed_start or args.seed_seconds):
        raise ServingError("--seed-start, --seed-seconds and --keep-seed need --seed-audio")
    if args.keep is not None:
        if not to_file or args.play:
            raise ServingError("--keep chooses at the end: it needs --out FILE, and no --play")
        if not 1 <= args.keep <= args.streams:
            raise ServingError(f"--keep is {args.keep}: it must be 1 to --streams ({args.streams})")
    for flag, value in (("--seconds", args.seconds), ("--block", args.block)):
        if value is not None and not 0 < value <= MAX_SECONDS:
            raise ServingError(
                f"{flag} is {value:g}: it must be more than 0 and at most {MAX_SECONDS:g}"
            )
