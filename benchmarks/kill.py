"""Kill trainings at random moments and resume them: does the end stay the same? One JSON line.

python benchmarks/kill.py --kills 1000
python benchmarks/kill.py --minutes 10 --add-to kills.json

A tiny model validates and saves after every step, and does little else, so that most moments lie
inside a write. Each
process is killed by SIGKILL, a few of them before the first step, the others after a random time of
the processor, which does not depend on what else the machine does. Whenever a run comes to its end,
its checkpoint and its log are compared with those of an undisturbed run, bit for bit. With
`--add-to`, each call takes the next seed, adds what it found to a file, and prints the sum.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, print_line

RECIPE = {
    "name": "tiny",
    "description": "",
    "codec": {"name": "mulaw", "levels": 16},
    "tiers": [{"frame_size": 64, "units": 6}],
    "head": {"kind": "categorical", "hidden_units": 8, "layers": 1},
    "data": {"length": 64, "batch": 4},
    "training": {"sample_seconds": 0.0, "warmup_steps": 3},
}
EARLY = 0.1  # of the kills come before the first step
TIMED = ("minutes", "samples_per_second")  # columns of the log that no two runs share


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    parser.add_argument("--epochs", type=int, default=4, help="of each run")
    parser.add_argument(
        "--longest", type=float, default=1.0, help="processor seconds from the first step"
    )
    parser.add_argument("--seed", type=int, help="0, or the one after those that ran")
    parser.add_argument("--add-to", type=Path, metavar="FILE.json", help="what each seed found")
    return parser


def main(options: argparse.Namespace) -> int:
    # No operation runs in this process: a forked child could not use TensorFlow then.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from keras_rawaudio.data.corpus.synthesis import write_demo_piece
    from keras_rawaudio.files import replacing
    from keras_rawaudio.training.train import train  # noqa: F401 - loaded once, before the forks

    before = found_before(options.add_to)
    seed = next_seed(before) if options.seed is None else options.seed
    if any(one["seed"] == seed for one in before):
        raise SystemExit(f"seed {seed} is in {options.add_to} already; leave --seed out")
    chance = random.Random(seed)
    began = time.monotonic()
    kills, points, runs, wrong = 0, set(), 0, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        piece = write_demo_piece(folder / "piece.wav", 4.0, 2000)
        whole = folder / "whole"
        finish(start(piece, whole, options.epochs)[0])
        expected = result(whole)
        run = folder / "run0"
        while kills < options.kills and time.monotonic() - began < 60 * options.minutes:
            child, stepping = start(piece, run, options.epochs)
            early = chance.random() < EARLY
            wait(stepping, chance.uniform(0, 1) if early else None)
            if not early:
                use(child, chance.uniform(0, options.longest))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            os.close(stepping)
            if os.WIFSIGNALED(status):
                kills += 1
                points.add((runs, resume_point(run)))
                continue
            if status:
                wrong.append(f"{run.name}: exit code {os.waitstatus_to_exitcode(status)}")
            elif differing := compare(result(run), expected):
                wrong.append(f"{run.name}: {differing}")
            runs += 1
            run = folder / f"run{runs}"
        # The last run is brought to its end, too.
        if resume_point(run) is not None:
            finish(start(piece, run, options.epochs)[0])
            if differing := compare(result(run), expected):
                wrong.append(f"{run.name}: {differing}")
            runs += 1
    found = {
        "seed": seed,
        "kills": kills,
        "resume_points": len(points),
        "steps_of_a_run": expected["steps"],
        "runs_compared": runs,
        "wrong": wrong,
        "minutes": round((time.monotonic() - began) / 60, 1),
        "machine": machine(),
    }
    if options.add_to:
        with replacing(options.add_to) as partial:
            partial.write_text(json.dumps([*before, found], indent=1) + "\n")
    print_line({"benchmark": "kill", **found, "sum": added([*before, found])})
    return 1 if wrong else 0


def found_before(path: Path | None) -> list[dict[str, Any]]:
    """What the calls before this one added to the file."""
    return json.loads(path.read_text()) if path and path.is_file() else []


def next_seed(found: list[dict[str, Any]]) -> int:
    """The one after those that ran."""
    return max((one["seed"] for one in found), default=-1) + 1


def added(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The sum over seeds."""
    counted = ("kills", "resume_points", "runs_compared")
    sums = {name: sum(one[name] for one in found) for name in counted}
    return {"seeds": len(found), **sums, "wrong": sum(len(one["wrong"]) for one in found)}


def start(piece: Path, run: Path, epochs: int) -> tuple[int, int]:
    """A process that trains, or resumes where there is a checkpoint.

    Returns:
        Its number, and a file descriptor from which a byte can be read once it takes steps.
    """
    reading, writing = os.pipe()
    if child := os.fork():
        os.close(writing)
        return child, reading
    code = 1
    try:
        with (run.parent / f"{run.name}.err").open("ab") as errors:
            os.dup2(errors.fileno(), 2)
        fit(piece, run, epochs, writing)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


def fit(piece: Path, run: Path, epochs: int, writing: int) -> None:
    import tensorflow as tf

    from keras_rawaudio import plots
    from keras_rawaudio.recipes import recipe_from_json
    from keras_rawaudio.training import throughput, trainer
    from keras_rawaudio.training.csv_log import CsvLog
    from keras_rawaudio.training.gate_statistics import GateStatistics
    from keras_rawaudio.training.resume import resume
    from keras_rawaudio.training.schedule import Budget
    from keras_rawaudio.training.train import train
    from keras_rawaudio.training.validation_policy import ValidationPolicy

    throughput.LOOK_EVERY = 0.0
    ValidationPolicy.pause = lambda *arguments: 0.0  # type: ignore[method-assign]
    # What is tested is what is on the disk: no time goes into compiling, estimates and drawing.
    tf.config.run_functions_eagerly(True)
    trainer.announce = lambda *arguments: None  # type: ignore[attr-defined]
    plots.learning_curve = lambda rows, path, *rest: path.write_text(str(len(rows)))  # type: ignore[assignment]
    GateStatistics.__call__ = lambda self: {}  # type: ignore[method-assign]
    append = CsvLog.append

    def stepping(self: CsvLog, row: dict[str, Any]) -> None:
        os.write(writing, b".")
        append(self, row)

    CsvLog.append = stepping  # type: ignore[method-assign]
    if resume_point(run) is None:
        recipe, budget = recipe_from_json(RECIPE), Budget(epochs=epochs)
        train([piece], run, recipe, budget, cache=run.parent / "cache")
    else:
        resume(run)


def wait(stepping: int, seconds: float | None) -> None:
    """Until the process takes steps, or has ended, or so many seconds have passed."""
    import select

    select.select([stepping], [], [], seconds)


def use(child: int, seconds: float) -> None:
    """Until the process has used so many more seconds of the processor, or has ended."""
    end = processor_seconds(child) + seconds
    while processor_seconds(child) < end:
        time.sleep(0.002)


def processor_seconds(child: int) -> float:
    """How long a process has run, as Linux counts it; infinite where it has ended."""
    fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
    ticks = float("inf") if fields[0] == "Z" else int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def finish(child: int) -> None:
    if os.waitpid(child, 0)[1]:
        raise RuntimeError("the undisturbed run failed")


def resume_point(run: Path) -> int | None:
    """The step of the checkpoint that a resume would take; `None`: there is none."""
    for name in ("training_state.npz", "training_state.previous.npz"):
        try:
            with np.load(run / name) as saved:
                return int(json.loads(str(saved["progress"]))["steps"])
        except FileNotFoundError:
            continue
    return None


def result(run: Path) -> dict[str, Any]:
    """What a run ended with: its checkpoint, its log, and the names in its folder."""
    import csv

    with np.load(run / "training_state.npz") as saved:
        arrays = {name: saved[name].tobytes() for name in saved.files if name != "progress"}
    with (run / "log.csv").open() as file:
        log = [{k: v for k, v in row.items() if k not in TIMED} for row in csv.DictReader(file)]
    names = sorted(p.name for p in run.iterdir())
    return {"arrays": arrays, "log": log, "names": names, "steps": resume_point(run)}


def compare(found: dict[str, Any], expected: dict[str, Any]) -> str:
    """The parts that differ; empty where all agree."""
    return ", ".join(name for name in expected if found[name] != expected[name])


if __name__ == "__main__":
    sys.exit(main(arguments().parse_args()))
