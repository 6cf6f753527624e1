"""The command line: `keras-rawaudio-generate MODEL --seconds 30 --out new.wav`."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .command import Parser, Say, add_control_argument, run_command
from .errors import ServingError
from .metadata import MAX_SECONDS, MAX_STREAMS
from .progress import ProgressBar
from .stage import add_stage_arguments, check_stage, learn, live_block, open_controls, open_speaker

if TYPE_CHECKING:
    import numpy as np

    from .audio import Seed
    from .output import Output
    from .sampler import Sampler

PROGRAM = "keras-rawaudio-generate"
FILE_BLOCK, LIVE_BLOCK = 0.5, 0.1
WEB_PORT = 8765


def build_parser() -> argparse.ArgumentParser:
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
        help="keep the K best of the streams, by health and likelihood, and say why",
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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0, 2 for bad input, 130 for Ctrl-C)."""
    args = build_parser().parse_args(argv)
    return run_command(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if args.web is not None:
        _play_in_browser(args)
        return
    from .output import check_room, output_paths, refuse_inputs

    began = time.perf_counter()
    to_file = args.out not in (None, "-")
    _check(args, to_file)
    if to_file:  # before the model is even opened
        paths = output_paths(args.out, args.keep or args.streams)
        refuse_inputs(paths, args.model, args.seed_audio, args.curves, args.refiner)
    from .control_curves import read_curves
    from .sampler import Sampler

    curves = read_curves(args.control, args.curves, args.temperature)
    sampler = Sampler.load(
        args.model,
        streams=args.streams,
        temperature=_temperatures(args.temperature),
        music=args.music,
        random_seed=args.random_seed,
        provider=args.provider,
        threads=args.threads,
        score=args.keep is not None,
    )
    if args.midi_learn:
        return learn(args, sampler)
    if to_file:
        samples = round(args.seconds * sampler.sample_rate) * sampler.channels
        check_room(args.out, samples, args.streams)  # all of them lie there until the end
    say = Say(args.quiet)
    curves.check(sampler)
    curves.apply(sampler, 0.0)
    slow = to_file and not args.curves
    block = args.block or live_block(args, FILE_BLOCK if slow else LIVE_BLOCK)
    blocks = sampler.stream(args.seconds, block)
    if args.refiner:
        blocks = _revised(args, sampler, blocks, say)
    seed = _seed(args, sampler, say)
    with ExitStack() as stack:
        outputs = _open_outputs(args, sampler, say, stack)
        if args.play:
            outputs.append(open_speaker(args, sampler, block, say, stack))
        controls = open_controls(args, sampler, say, stack)
        _introduce(args, sampler, say)
        if seed is not None:
            sampler.prime(seed.audio)
            if args.keep_seed:
                import numpy as np

                for output in outputs:
                    output.write(np.stack([seed.audio] * args.streams))
        made = 0
        bar = None
        worst = 0.0
        started = time.perf_counter()
        mark = started
        for audio in blocks:
            worst = max(worst, (time.perf_counter() - mark) * sampler.sample_rate / audio.shape[1])
            for output in outputs:
                output.write(audio)
            made += audio.shape[1]
            # The bar comes after the first block: its import shall not delay the first sound.
            bar = bar or ProgressBar(args, sampler.sample_rate)
            bar.show(made, time.perf_counter() - started)
            if args.curves:
                curves.apply(sampler, made / sampler.sample_rate)
            controls.apply()
            mark = time.perf_counter()
        if bar is not None:
            bar.close()
    seconds, spent = made / sampler.sample_rate, time.perf_counter() - started
    total = time.perf_counter() - began
    streams = f" x {args.streams} streams" if args.streams > 1 else ""
    tail = "" if to_file else f"; slowest block {worst:.2f} of its own length"
    say(
        f"{args.out or 'loudspeaker'}: {seconds:g} s{streams} at {sampler.sample_rate} Hz in "
        f"{total:.1f} s, {seconds * args.streams / spent:.1f} times real time{tail}"
    )


def _play_in_browser(args: argparse.Namespace) -> None:
    from .web_page import play_in_browser

    plain = build_parser().parse_args([args.model, "--web", str(args.web)])
    plain.quiet = args.quiet
    if args != plain:
        raise ServingError("--web takes no other flags than --quiet: the page has them")
    play_in_browser(args.model, args.web, Say(args.quiet))


def _check(args: argparse.Namespace, to_file: bool) -> None:
    """What can be refused before anything is opened."""
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


def _temperatures(words: list[str] | None) -> list[float]:
    try:
        return [float(w) for w in ",".join(words or ["1"]).replace(" ", ",").split(",") if w]
    except ValueError:
        raise ServingError(f"--temperature {' '.join(words or [])}: not a number") from None


def _seed(args: argparse.Namespace, sampler: "Sampler", say: Say) -> "Seed | None":
    if args.seed_audio is None:
        return None
    from .audio import read_seed

    seed = read_seed(
        args.seed_audio,
        sampler.sample_rate,
        args.seed_start,
        args.seed_seconds,
        sampler.channels,
    )
    if seed.missing_seconds:
        say(
            f"the seed is {seed.missing_seconds:g} s shorter than asked: "
            f"{args.seed_audio} ends there"
        )
    return seed


def _revised(
    args: argparse.Namespace, sampler: "Sampler", blocks: "Iterator[np.ndarray]", say: Say
) -> "Iterator[np.ndarray]":
    from .refiner import Refiner

    refiner = Refiner(args.refiner, sampler.sample_rate, args.threads)
    say(f"revised, {1000 * refiner.latency / sampler.sample_rate:.0f} ms later")
    return refiner.stream(blocks)


def _open_outputs(
    args: argparse.Namespace, sampler: "Sampler", say: Say, stack: ExitStack
) -> "list[Output]":
    from .output import FileOutput, PipeOutput

    outputs: list[Output] = []
    if args.out == "-":
        outputs.append(stack.enter_context(PipeOutput()))
    elif args.keep is not None:
        from .stream_ranker import RankedFiles

        outputs.append(stack.enter_context(RankedFiles(args.out, sampler, args.keep, say)))
    elif args.out is not None:
        outputs.append(
            stack.enter_context(
                FileOutput(args.out, args.streams, sampler.sample_rate, sampler.channels)
            )
        )
    return outputs


def _introduce(args: argparse.Namespace, sampler: "Sampler", say: Say) -> None:
    if sampler.metadata.deterministic:
        if args.temperature is not None:
            say("this model is deterministic: --temperature has no effect")
        if args.streams > 1:
            say("this model is deterministic: all streams will be alike")
    elif args.random_seed is None:
        say(f"--random-seed {sampler.random_seed} makes the same again")
    if args.provider == "auto":
        from .generator import cuda_is_available

        streams = f"{args.streams} stream" + "s" * (args.streams > 1)
        if sampler.provider == "cuda":
            say(f"{streams}: on CUDA")
        elif cuda_is_available():
            say(f"{streams}: on the CPU, the faster one for so few, or for models of codes")


if __name__ == "__main__":
    sys.exit(main())
