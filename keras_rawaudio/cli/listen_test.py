"""Make a blind listening test as one HTML page, or sum up the answers to it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from keras_rawaudio.cli.arguments import number, whole
from keras_rawaudio.errors import UserError

TRIALS, SECONDS, DIFFERENCE = 6, 8.0, 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `listen-test`."""
    make = parser.add_argument_group("to make a test").add_argument
    what = "a run folder, an exported file, an audio file or a folder of them"
    make("--real", type=Path, metavar="AUDIO", help="the recording: an audio file, or a folder")
    make("--a", type=Path, metavar="PATH", help=f"a system: {what}")
    make("--b", type=Path, metavar="PATH", help="a second system to compare it with")
    make("--out", type=Path, metavar="FOLDER", help="a new folder: index.html and key.json")
    words = f"pairs of each kind for each system ({TRIALS})"
    make("--trials", type=whole(2, 50), default=TRIALS, help=words)
    words = f"length of a clip ({SECONDS:g})"
    make("--seconds", type=number(1, 60), default=SECONDS, help=words)
    words = "of excerpts, draws and pairs (0)"
    make("--random-seed", type=whole(0, 2**32 - 1), default=0, metavar="N", help=words)
    read = parser.add_argument_group("to read the answers").add_argument
    words = "key.json of the test, and the files that listeners saved"
    read("--results", nargs="+", action="extend", type=Path, metavar="FILE.json", help=words)
    parser.add_argument(
        "--difference",
        type=number(0.01, 0.5),
        default=DIFFERENCE,
        help=f"from one half, of a share that is to be found ({DIFFERENCE:g}: 60 %% is)",
    )


def run(options: argparse.Namespace) -> int:
    """Write the test, or print what the answers say."""
    made = {name: getattr(options, name) for name in ("real", "a", "out")}
    if options.results:
        if any(made.values()) or options.b:
            raise UserError("--results reads a test and --real, --a, --b, --out make one: not both")
        from keras_rawaudio.listening.results import results

        print(results(options.results, options.difference))
        return 0
    missing = [f"--{name}" for name, value in made.items() if value is None]
    if missing:
        raise UserError(f"missing: {', '.join(missing)}; or read answers with --results")

    from keras_rawaudio.cli.tensorflow_loader import load_tensorflow
    from keras_rawaudio.listening.make_test import KEY, PAGE, make_test
    from keras_rawaudio.listening.proportion import answers_needed

    systems = [path for path in (options.a, options.b) if path is not None]
    if any((path / "run.json").is_file() for path in systems):
        load_tensorflow()
    key = make_test(
        options.real, systems, options.out, options.trials, options.seconds, options.random_seed
    )
    needed = answers_needed(options.difference)
    print(
        f"wrote {options.out / PAGE}: {len(key.trials)} questions, {len(key.clips)} clips of "
        f"{key.seconds:g} s at {key.sample_rate} Hz and {key.loudness_lufs:g} LUFS; send it to "
        f"listeners\nwrote {options.out / KEY}: keep it\n"
        f"a share of {0.5 + options.difference:.0%} takes {needed} answers per question and system "
        f"to be found: {-(-needed // options.trials)} listeners",
        file=sys.stderr,
    )
    return 0
