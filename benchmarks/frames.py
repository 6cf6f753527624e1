"""Frames and sequences of 2016: the forecast of training beside what it takes; JSON lines.

python benchmarks/frames.py
python benchmarks/frames.py --only 800x8000 --minutes 1 --set data.length=800000
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import ROOT, machine, print_line, run_main, say

# Frame, frames in a sequence.
SEQUENCES = (
    (4000, 50),
    (1000, 50),
    (1000, 100),
    (4000, 100),
    (800, 8000),
    (40, 10_000),
    (100, 7000),
    (40, 40_000),
    (40_000, 40),
    (8000, 25),
)
RATE, SHIFT = 8000, 1000
LONGEST_WINDOW = 400_000  # samples
MOST_STEPS = 100  # of truncated backpropagation
ESTIMATE = re.compile(r"an epoch: (\d+) steps, about ([\d:]+); memory: about ([\d.]+) GB")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recipe", default="frame-gru")
    parser.add_argument("--only", nargs="+", metavar="FRAMExFRAMES", help="such as 4000x50")
    parser.add_argument("--minutes", type=float, default=0.2, help="of training each (0.2)")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="recipe values")
    return parser


def truncated(frame: int, frames: int) -> int:
    """Samples in a window: what divides the sequence and is neither too long nor too many steps."""
    most = min(MOST_STEPS, max(1, LONGEST_WINDOW // frame))
    return frame * next(n for n in range(min(most, frames), 0, -1) if frames % n == 0)


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio.recipes import parse_overrides

    parse_overrides(options.set)  # refuse at once
    chosen = [s for s in SEQUENCES if not options.only or "{}x{}".format(*s) in options.only]
    for frame, frames in chosen:
        say(f"{frames} frames of {frame}")
        with tempfile.TemporaryDirectory() as folder:
            print_line(measure(frame, frames, Path(folder), options))


def measure(
    frame: int, frames: int, folder: Path, options: argparse.Namespace
) -> dict[str, object]:
    """Train on noise that is just long enough, by the real command."""
    import soundfile

    from keras_rawaudio.recipes import parse_overrides

    train_part = frame * frames + 11 * SHIFT
    random = np.random.default_rng(0)
    noise = random.integers(-9999, 9999, int(train_part / 0.8) + 10).astype(np.int16)
    soundfile.write(folder / "noise.wav", noise, RATE)
    values = {
        "tiers.0.frame_size": frame,
        "data.length": truncated(frame, frames),
        "data.sequence": frame * frames,
        "training.sample_seconds": 0,
    }
    named = parse_overrides(options.set)
    length = named.get("data.length", values["data.length"])
    values = {key: value for key, value in values.items() if key not in named}
    command = [sys.executable, str(ROOT / "train.py"), "--audio", str(folder / "noise.wav")]
    command += ["--run", str(folder / "run"), "--cache", str(folder / "cache")]
    command += ["--recipe", options.recipe, "--minutes", str(options.minutes)]
    command += ["--shift", str(SHIFT), "--set", *(f"{k}={v}" for k, v in values.items())]
    with (folder / "stderr.txt").open("w+") as stderr:
        process = subprocess.Popen([*command, *options.set], stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        stderr.seek(0)
        text = stderr.read()
    found = ESTIMATE.search(text)
    if process.returncode or not found:
        return {"frame": frame, "frames": frames, "failed": text.strip()[-300:]}
    forecast_seconds = 0
    for part in found[2].split(":"):
        forecast_seconds = 60 * forecast_seconds + int(part)
    last = (folder / "run" / "log.csv").read_text().splitlines()
    row = dict(zip(last[0].split(","), last[-1].split(","), strict=True))
    steps = int(row["step"])
    return {
        "benchmark": "frames",
        "frame": frame,
        "frames": frames,
        "window": length,
        "steps_per_epoch": int(found[1]),
        "forecast_seconds_per_epoch": forecast_seconds,
        "seconds_per_epoch": round(
            60 * float(row["minutes"]) / max(1, steps - 1) * int(found[1]), 1
        ),
        "forecast_memory_gb": float(found[3]),
        "memory_gb": round(usage.ru_maxrss / 1e6, 2),
        "machine": machine(),
    }


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
