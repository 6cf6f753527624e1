"""Bad input of all kinds to every command: how much of it is refused? One JSON line.

python benchmarks/abuse.py
python benchmarks/abuse.py --only run.json --jobs 1 --show

A case is right if it ends within ten seconds with exit code 2, one line on stderr beside notes and
no traceback, leaves no file and changes none; some may also end well, with exit code 0. The seconds
are of the processor, so that a busy machine changes nothing. All but those about the process itself
run in the benchmark's own processes, each on one core and on a run of a few steps that it trains at
the beginning. The exit code is 1 where a case is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import io
import itertools
import json
import logging
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import abuse_folders
import abuse_inputs
import abuse_mixups
import abuse_models
import abuse_processes
import abuse_recipes
import abuse_settings
import abuse_uses
import abuse_values
import numpy as np
from abuse_case import LONGEST, RATE, RECIPE, Case, attempt, processor_seconds
from common import print_line

JOBS = 8  # at most: a container may have less of its cores' time than it has cores
MEMORY = 16 << 30  # bytes of addresses: what allocates more is found without harm


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one of N, of each group")
    parser.add_argument("--first", type=int, default=0, metavar="K", help="the first of these (0)")
    jobs = min(JOBS, len(os.sched_getaffinity(0)))
    parser.add_argument("--jobs", type=int, default=jobs, help=f"processes ({jobs})")
    parser.add_argument("--show", action="store_true", help="print each case's line")
    return parser


def main(options: argparse.Namespace) -> int:
    """Run the cases in several processes, each a part of each group, and sum up."""
    if options.jobs == 1:
        found = run(options)
        print_line(found)
        return 1 if found["wrong"] else 0
    began = time.monotonic()
    words = [sys.executable, __file__, "--jobs", "1", "--only", options.only]
    words += ["--show"] if options.show else []
    cores = sorted(os.sched_getaffinity(0))
    parts = []
    for job in range(options.jobs):
        every, first = options.every * options.jobs, options.first + options.every * job
        command = [*words, "--every", str(every), "--first", str(first)]
        on_one_core = functools.partial(os.sched_setaffinity, 0, {cores[job % len(cores)]})
        parts.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=on_one_core)
        )
    results = [json.loads(part.communicate()[0]) for part in parts]
    wrong = [name for part in results for name in part["wrong"]]
    print_line(
        {
            "benchmark": "abuse",
            **{count: sum(part[count] for part in results) for count in ("tried", "right")},
            "wrong": wrong,
            "slowest": max(part["slowest"] for part in results),
            "seconds": round(time.monotonic() - began),
        }
    )
    return 1 if wrong else 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Run the cases in this process."""
    from keras_rawaudio.cli.tensorflow_loader import load_tensorflow

    load_tensorflow()
    # It counts what many cases do in one process, and warns on a stream that is closed by then.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    began = time.monotonic()
    processor = processor_seconds()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.RLIM_INFINITY))
    wrong, tried, slowest = [], 0, (0.0, "")
    with tempfile.TemporaryDirectory() as name:
        base = Path(name) / "base"
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        make_base(base)
        # A slow processor takes long to train the run, and long to be wrong, too.
        longest = max(LONGEST, 2 * round(processor_seconds() - processor))
        # All of them are made here, in the folder that they read.
        for case in list(chosen(options)):
            tried += 1
            reason, line, seconds = attempt(case, base, Path(name) / "here", longest)
            if case.process is None:
                slowest = max(slowest, (round(seconds, 1), case.name))
            if options.show or reason:
                print(f"{case.name}: {reason or 'right'}: {line[:300]}", file=sys.stderr)
            wrong += [case.name] if reason else []
    return {
        "benchmark": "abuse",
        "tried": tried,
        "right": tried - len(wrong),
        "wrong": wrong,
        "slowest": slowest,
        "seconds": round(time.monotonic() - began),
    }


def make_base(base: Path) -> None:
    """Audio, a recipe, a run and an exported generator, which each case gets a copy of."""
    import soundfile

    from keras_rawaudio.cli import main as command
    from keras_rawaudio.data.corpus.synthesis import write_demo_piece

    base.mkdir(parents=True)
    write_demo_piece(base / "song.wav", 3.0, RATE)
    soundfile.write(base / "short.wav", np.sin(np.arange(100) / 9), RATE)
    (base / "tiny.yaml").write_text(RECIPE)
    os.chdir(base)
    for words in (
        "train --audio song.wav --recipe tiny.yaml --run run --epochs 1",
        "export --run run --out exported",
    ):
        with contextlib.redirect_stderr(io.StringIO()) as err:
            if command(words.split()):
                raise RuntimeError(f"{words}: {err.getvalue()}")
    shutil.copytree("run", "early")
    for path in Path("early").iterdir():
        if path.name not in ("request.json", "recipe.json", "run.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def chosen(options: argparse.Namespace) -> Iterator[Case]:
    """Of the cases that are asked for, every Nth of each group."""
    named = [case for case in cases() if options.only in case.name]
    for _, group in itertools.groupby(named, lambda case: case.name.partition("-")[0]):
        yield from itertools.islice(group, options.first, None, options.every)


def cases() -> Iterator[Case]:
    """All of them."""
    tables = (
        abuse_recipes,
        abuse_inputs,
        abuse_folders,
        abuse_models,
        abuse_uses,
        abuse_settings,
        abuse_values,
        abuse_mixups,
    )
    for group in itertools.chain.from_iterable(table.GROUPS for table in tables):
        for number, (command, prepare, harmless) in enumerate(group()):
            shown = " ".join(command)[:70]
            yield Case(f"{group.__name__}-{number} {shown}", command, prepare, harmless)
    yield from abuse_processes.cases()


if __name__ == "__main__":
    sys.exit(main(arguments().parse_args()))
