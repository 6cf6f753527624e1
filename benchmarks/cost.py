"""What a recipe costs, and how that grows with seconds, streams and hours of audio: JSON lines.

python benchmarks/cost.py --recipes raw default --plot cost.png

Generating: fresh weights, exported, on one thread. Training: `train.py` on a synthesised piece,
repeated to so many hours, in a process of its own. Times are processor time where the name says
`core`: other programs change it less.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from common import ROOT, export_fresh, generation_speed, machine, print_line, run_main, say
from generation import cold_start, peak_memory

PIECE_SECONDS = 30.0  # that repeats
# What pip brings for playing, and for training.
INSTALLS = {"playing": "keras-rawaudio-serving", "training": "keras-rawaudio"}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--recipes", nargs="*", default=["raw", "default"], help="none: packages alone")
    add("--sample-rate", type=int, default=16_000)
    add("--streams", type=int, nargs="+", default=[1, 4, 16], help="generated at once")
    add("--seconds", type=float, nargs="+", default=[2.0, 8.0], help="of one stream")
    add("--hours", type=float, nargs="+", default=[0.02, 0.1, 0.5], help="of audio to learn from")
    add("--minutes", type=float, default=0.1, help="of training steps (0.1)")
    add("--plot", type=Path, metavar="FILE", help="draw how costs grow")
    return parser


def main(options: argparse.Namespace) -> None:
    rows = []
    for row in costs(options):
        rows.append(row)
        print_line(row | {"machine": machine()})
    if options.plot:
        plot(rows, options)


def costs(options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    """Everything that is measured, a row at a time."""
    for use, name in INSTALLS.items():
        yield {"cost": "install", "for": use, **install_size(name)}
    with tempfile.TemporaryDirectory() as folder:
        for recipe in options.recipes:
            yield from generating(recipe, Path(folder), options)
        for hours in options.hours if options.recipes else ():
            piece = repeated_piece(Path(folder) / f"{hours:g}.wav", hours, options.sample_rate)
            for recipe in options.recipes:
                yield training(recipe, piece, hours, options)


def install_size(name: str) -> dict[str, Any]:
    """Packages that a distribution needs here, itself included, and the size of their files."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    left, found = [name], {}
    while left:
        key = canonicalize_name(left.pop())
        if key in found:
            continue
        try:
            distribution = metadata.distribution(key)
        except metadata.PackageNotFoundError:
            continue
        paths = (Path(str(file.locate())) for file in distribution.files or ())
        found[key] = sum(path.stat().st_size for path in paths if path.is_file())
        needed = map(Requirement, distribution.requires or ())
        left += [r.name for r in needed if not r.marker or r.marker.evaluate({"extra": ""})]
    return {"packages": len(found), "megabytes": round(sum(found.values()) / 1e6)}


def generating(recipe: str, folder: Path, options: argparse.Namespace) -> Iterable[dict[str, Any]]:
    """One stream for each of the seconds, then each number of streams for the fewest seconds."""
    from keras_rawaudio.recipes import load_recipe

    path = export_fresh(load_recipe(recipe), folder, options.sample_rate)
    settings = [(1, seconds) for seconds in options.seconds]
    settings += [(streams, min(options.seconds)) for streams in options.streams if streams > 1]
    for streams, seconds in settings:
        say(f"{recipe}: {streams} streams of {seconds:g} s")
        speed = generation_speed(path, streams, 1, seconds)
        yield {
            "cost": "generating",
            "recipe": recipe,
            "streams": streams,
            "seconds": seconds,
            "core_seconds_per_second_of_sound": round(
                speed["cpu_us_per_sample"] * speed["sample_rate"] / 1e6, 4
            ),
            **cold_start(path, speed),
            "file_megabytes": round(path.stat().st_size / 1e6, 2),
        }


def repeated_piece(path: Path, hours: float, rate: int) -> Path:
    """A synthesised piece, again and again for so many hours."""
    import soundfile

    from keras_rawaudio.data.corpus.synthesis import synthesise

    piece = synthesise(PIECE_SECONDS, rate)
    left = round(3600 * hours * rate)
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        while left > 0:
            file.write(piece[:left])
            left -= len(piece)
    return path


def training(recipe: str, piece: Path, hours: float, options: argparse.Namespace) -> dict[str, Any]:
    """A short training: speed of its steps, what comes on top of them, and memory."""
    from keras_rawaudio.errors import UserError
    from keras_rawaudio.training.run_folder import RunFolder

    say(f"{recipe}: {hours:g} hours of audio")
    run = piece.with_name(f"{recipe}-{hours:g}")
    words = ["--audio", piece, "--run", run, "--recipe", recipe, "--minutes", options.minutes]
    words += ["--sample-seconds", 0, "--cache", piece.with_name("cache")]
    command = [sys.executable, str(ROOT / "train.py"), *map(str, words)]
    before = os.times()
    memory = None
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            memory = peak_memory(process.pid) or memory
            time.sleep(0.2)
    after = os.times()
    if process.returncode:
        raise UserError(f"train.py failed on {hours:g} hours with {recipe}; see above")
    core = after.children_user + after.children_system
    core -= before.children_user + before.children_system
    folder = RunFolder.open(run)
    with folder.log.open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    seconds, steps = 60 * float(last["minutes"]), int(last["step"])
    return {
        "cost": "training",
        "recipe": recipe,
        "hours": hours,
        "milliseconds_per_step": round(1e3 * seconds / steps, 1),
        "core_seconds_in_all": round(core, 1),
        "seconds_of_steps": round(seconds, 1),
        "peak_memory_mb": memory,
        "run_megabytes": round(
            sum(f.stat().st_size for f in run.rglob("*") if f.is_file()) / 1e6, 1
        ),
    }


def plot(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    """Generating over streams and seconds, training over hours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    few = min(options.seconds)
    by_streams = [r for r in rows if r["cost"] == "generating" and r["seconds"] == few]
    by_seconds = [r for r in rows if r["cost"] == "generating" and r["streams"] == 1]
    by_hours = [r for r in rows if r["cost"] == "training"]
    panels = [
        (by_streams, "streams", "core_seconds_per_second_of_sound", "core s per s of sound"),
        (by_streams, "streams", "peak_memory_mb", "memory while playing, MB"),
        (by_seconds, "seconds", "peak_memory_mb", "memory while playing, MB"),
        (by_streams, "streams", "first_audio_seconds", "first sound after, s"),
        (by_hours, "hours", "core_seconds_in_all", "core s of a short training"),
        (by_hours, "hours", "peak_memory_mb", "memory in training, MB"),
    ]
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (chosen, x, y, words) in zip(figure.subplots(2, 3).flat, panels, strict=True):
        for recipe in options.recipes:
            own = sorted((r for r in chosen if r["recipe"] == recipe), key=lambda r: r[x])
            places = [r[x] for r in own]
            axes.plot(places, [r[y] for r in own], "o-", label=recipe)
            axes.set_xticks(places, [f"{place:g}" for place in places])
        highest = max((r[y] for r in chosen), default=1)
        axes.set(xlabel=x, ylabel=words, ylim=(0, 1.15 * highest))
        axes.grid(alpha=0.3)
    figure.axes[0].legend()
    figure.suptitle(f"{machine()['cpu']}, {options.sample_rate} Hz", fontsize=9)
    figure.savefig(options.plot, dpi=100)


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
