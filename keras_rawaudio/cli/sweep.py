"""Train many runs with settings that a search chooses, and compare them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from keras_rawaudio.cli.tensorflow_loader import load_tensorflow


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `sweep`."""
    parser.add_argument("file", type=Path, metavar="SWEEP.yaml", help="audio, recipe, search")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where runs and page go (sweeps/ and its name)"
    )
    parser.add_argument(
        "--engine",
        choices=("optuna", "ray"),
        default="optuna",
        help="optuna: here, one after the other (default); ray: on Ray's workers",
    )


def run(options: argparse.Namespace) -> int:
    """Train or go on, then print the tables."""
    from keras_rawaudio.sweeps import read_sweep

    read_sweep(options.file)  # refuse at once, before TensorFlow is loaded
    load_tensorflow()

    from keras_rawaudio.sweeps.sweep import PAGE, sweep

    out = options.out or Path("sweeps") / options.file.stem
    try:
        tables = sweep(options.file, out, options.engine)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
        return 130
    print(tables)
    print(f"wrote {out / PAGE}", file=sys.stderr)
    return 0
