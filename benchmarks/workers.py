"""What a training step costs 1, 2 and 4 processes that share its rows: a JSON line.

python benchmarks/workers.py
python benchmarks/workers.py --recipe raw --batch 64 --seconds 512 --wall

Each is the command `train` under a `TF_CONFIG` of this machine. Starting, compiling and validating
are not counted; adding up the gradients over the loopback interface is. Times are processor time of
the chief per step, which other programs change little, or with `--wall` by the clock. Then each
process has one core, in turn.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import machine, print_line, say

RATE = 16_000


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="raw")
    parser.add_argument("--batch", type=int, default=8, help="rows, of all processes in sum")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--seconds", type=float, default=128.0, help="of audio, trained on once")
    parser.add_argument("--wall", action="store_true", help="by the clock, a core per process")
    parser.add_argument("--train", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def main(options: argparse.Namespace) -> int:
    if options.train:
        return train(options.train, options.wall)
    from keras_rawaudio.data.corpus.synthesis import write_demo_piece

    results = []
    with tempfile.TemporaryDirectory() as name:
        piece = write_demo_piece(Path(name) / "piece.wav", options.seconds, RATE)
        for workers in options.workers:
            say(f"{workers} processes")
            run = Path(name) / f"run-{workers}"
            words = ["--audio", piece, "--run", run, "--cache", Path(name) / "cache"]
            words += ["--recipe", options.recipe, "--batch", options.batch, "--epochs", 1]
            words += ["--validate-every", 1000, "--sample-seconds", 0]
            train_together(workers, list(map(str, words)), options.wall)
            with (run / "log.csv").open() as file:
                row = list(csv.DictReader(file))[-1]
            seconds = 60 * float(row["minutes"]) / (int(row["step"]) - 1)  # the first one compiles
            parameters = json.loads((run / "run.json").read_text())["parameters"]
            results.append(
                {
                    "workers": workers,
                    "steps": int(row["step"]),
                    "seconds_per_step": round(seconds, 4),
                    "rows_per_second": round(options.batch / seconds, 2),
                }
            )
    print_line(
        {
            "benchmark": "workers",
            "recipe": options.recipe,
            "batch": options.batch,
            "clock": "wall" if options.wall else "processor",
            "parameters": parameters,
            "processes": results,
            **machine(),
        }
    )
    return 0


def train(words: list[str], wall: bool) -> int:
    """One process, whose clock is its processor time unless `wall`."""
    from keras_rawaudio.cli import main as command
    from keras_rawaudio.training import throughput

    if not wall:
        throughput.CLOCK = time.process_time
    return command(["train", *words])


def train_together(workers: int, words: list[str], wall: bool) -> None:
    """Run `train` in so many processes, with `wall` each on one core."""
    from keras_rawaudio.training.workers import TF_CONFIG, free_ports

    usual = os.sched_getaffinity(0)
    cores = sorted(usual, reverse=True)
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    processes = []
    for index in range(workers):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**os.environ, TF_CONFIG: json.dumps(task)} if workers > 1 else os.environ
        command = [sys.executable, __file__, *["--wall"] * wall, "--train", *words]
        if wall:
            os.sched_setaffinity(0, {cores[index % len(cores)]})  # of the process that begins here
        processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))
    os.sched_setaffinity(0, usual)
    if any([process.wait() for process in processes]):
        sys.exit(f"{workers} processes did not end well")


if __name__ == "__main__":
    sys.exit(main(arguments().parse_args()))
