"""The command line: `keras-rawaudio-generate MODEL --seconds 30 --out new.wav`."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from .arguments import FILE_BLOCK, LIVE_BLOCK, PROGRAM, build_parser, check_arguments
from .command import Say, run_command
from .errors import ServingError
from .progress import ProgressBar
from .stage import learn, live_block, open_controls, open_speaker

if TYPE_CHECKING:
    import numpy as np

    from .audio import Seed
    from .control_curves import ControlCurves
    from .live_controls import LiveControls
    from .output import Output
    from .refiner import Refiner
    from .sampler import Sampler


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code (0, 2 for bad input, 130 for Ctrl-C)."""
    args = build_parser().parse_args(argv)
    return run_command(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    if args.web is not None:
        _play_in_browser(args)
        return
    began = time.perf_counter()
    to_file = args.out not in (None, "-")
    check_arguments(args, to_file)
    if to_file:
        _check_paths(args)  # before the model is even opened
    from .control_curves import read_curves

    curves = read_curves(args.control, args.curves, args.temperature)
    if args.keep is not None and "level" in curves.points:
        raise ServingError(
            "--keep compares streams with the level of the piece: leave out the control level"
        )
    sampler = _load_sampler(args)
    if args.midi_learn:
        learn(args, sampler)
        return
    if to_file:
        _check_room(args, sampler)
    say = Say(args.quiet)
    curves.check(sampler)
    curves.apply(sampler, 0.0)
    block = args.block or _default_block(args, to_file)
    blocks = sampler.stream(args.seconds, block)
    refiner = _refiner(args, sampler, say) if args.refiner else None
    seed = _seed(args, sampler, say)
    with ExitStack() as stack:
        outputs = _open_outputs(args, sampler, block, seed, say, stack)
        controls = open_controls(args, sampler, say, stack)
        _introduce(args, sampler, say)
        if seed is not None:
            _begin_with(seed, args, sampler, outputs)
        started = time.perf_counter()
        blocks = _turned(blocks, sampler, curves if args.curves else None, controls)
        if refiner:
            blocks = refiner.stream(blocks)
        frames, slowest = _write_blocks(args, sampler, blocks, outputs)
    now = time.perf_counter()
    seconds = frames / sampler.sample_rate
    streams = f" x {args.streams} streams" if args.streams > 1 else ""
    tail = "" if to_file else f"; slowest block {slowest:.2f} of its own length"
    say(
        f"{args.out or 'loudspeaker'}: {seconds:g} s{streams} at {sampler.sample_rate} Hz in "
        f"{now - began:.1f} s, {seconds * args.streams / (now - started):.1f} times real time{tail}"
    )


def _check_paths(args: argparse.Namespace) -> None:
    from .output import output_paths, refuse_inputs

    paths = output_paths(args.out, args.keep or args.streams)
    refuse_inputs(paths, args.model, args.seed_audio, args.curves, args.refiner)


def _load_sampler(args: argparse.Namespace) -> "Sampler":
    from .sampler import Sampler

    return Sampler.load(
        args.model,
        streams=args.streams,
        temperature=_temperatures(args.temperature),
        music=args.music,
        random_seed=args.random_seed,
        provider=args.provider,
        threads=args.threads,
        score=args.keep is not None,
    )


def _check_room(args: argparse.Namespace, sampler: "Sampler") -> None:
    from .output import check_room

    samples = round(args.seconds * sampler.sample_rate) * sampler.channels
    check_room(args.out, samples, args.streams)  # all of them lie there until the end


def _default_block(args: argparse.Namespace, to_file: bool) -> float:
    """Seconds per block."""
    return live_block(args, FILE_BLOCK if to_file and not args.curves else LIVE_BLOCK)


def _begin_with(
    seed: "Seed", args: argparse.Namespace, sampler: "Sampler", outputs: "list[Output]"
) -> None:
    """Let the model read the seed, and write it where it is kept."""
    sampler.prime(seed.audio)
    if args.keep_seed:
        import numpy as np

        for output in outputs:
            output.write(np.stack([seed.audio] * args.streams))


def _turned(
    blocks: "Iterator[np.ndarray]",
    sampler: "Sampler",
    curves: "ControlCurves | None",
    controls: "LiveControls",
) -> "Iterator[np.ndarray]":
    """The sampler's blocks; its controls are turned before the next one is made."""
    made = 0
    for audio in blocks:
        yield audio
        made += audio.shape[1]
        if curves:
            curves.apply(sampler, made / sampler.sample_rate)
        controls.apply()


def _write_blocks(
    args: argparse.Namespace,
    sampler: "Sampler",
    blocks: "Iterator[np.ndarray]",
    outputs: "list[Output]",
) -> tuple[int, float]:
    """Write the audio block by block.

    Returns:
        Frames of each stream, and the time of the slowest block as a part of its own length.
    """
    made, slowest = 0, 0.0
    bar = None
    started = mark = time.perf_counter()
    for audio in blocks:
        spent = time.perf_counter() - mark
        slowest = max(slowest, spent * sampler.sample_rate / audio.shape[1])
        for output in outputs:
            output.write(audio)
        made += audio.shape[1]
        # The bar comes after the first block: its import shall not delay the first sound.
        bar = bar or ProgressBar(args, sampler.sample_rate)
        bar.show(made, time.perf_counter() - started)
        mark = time.perf_counter()
    if bar is not None:
        bar.close()
    return made, slowest


def _play_in_browser(args: argparse.Namespace) -> None:
    from .web_page import play_in_browser

    plain = build_parser().parse_args([args.model, "--web", str(args.web)])
    plain.quiet = args.quiet
    if args != plain:
        raise ServingError("--web takes no other flags than --quiet: the page has them")
    play_in_browser(args.model, args.web, Say(args.quiet))


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


def _refiner(args: argparse.Namespace, sampler: "Sampler", say: Say) -> "Refiner":
    from .refiner import Refiner

    refiner = Refiner(args.refiner, sampler.sample_rate, args.threads)
    say(f"revised, {1000 * refiner.latency / sampler.sample_rate:.0f} ms later")
    return refiner


def _open_outputs(
    args: argparse.Namespace,
    sampler: "Sampler",
    block: float,
    seed: "Seed | None",
    say: Say,
    stack: ExitStack,
) -> "list[Output]":
    from .output import FileOutput, PipeOutput

    outputs: list[Output] = []
    if args.out == "-":
        outputs.append(stack.enter_context(PipeOutput()))
    elif args.keep is not None:
        from .stream_ranker import RankedFiles

        read = len(seed.audio) if seed and args.keep_seed else 0
        outputs.append(stack.enter_context(RankedFiles(args.out, sampler, args.keep, say, read)))
    elif args.out is not None:
        outputs.append(
            stack.enter_context(
                FileOutput(args.out, args.streams, sampler.sample_rate, sampler.channels)
            )
        )
    if args.play:
        outputs.append(open_speaker(args, sampler, block, say, stack))
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
