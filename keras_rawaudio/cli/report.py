"""Show a run on one HTML page: curves, sound, measures, verdicts, settings."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from keras_rawaudio.cli.arguments import number
from keras_rawaudio.cli.tensorflow_loader import load_tensorflow

SECONDS = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `report`."""
    add = parser.add_argument
    add("--run", required=True, metavar="FOLDER", help="a run folder")
    add("--out", type=Path, metavar="PAGE.html", help="the page (report.html in the run folder)")
    words = f"of audio to draw, 1 or more ({SECONDS:g}; 0: none)"
    add("--seconds", type=number(0, 3600), default=SECONDS, help=words)


def run(options: argparse.Namespace) -> int:
    """Write the page, and say where it is."""
    from keras_rawaudio.training.run_folder import RunFolder

    RunFolder.open(options.run)  # refuse at once, before TensorFlow is loaded
    load_tensorflow()

    from keras_rawaudio.reports.report import write_report

    path = write_report(options.run, options.out, options.seconds)
    print(f"wrote {path}", file=sys.stderr)
    return 0
