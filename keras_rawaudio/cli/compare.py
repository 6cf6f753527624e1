"""Compare runs, task by task: scores, measures, costs, and the settings that differ."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `compare`."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders; others are skipped")
    parser.add_argument("--out", type=Path, metavar="PAGE.html", help="write a page, too")


def run(options: argparse.Namespace) -> int:
    """Print the tables."""
    from keras_rawaudio.reports.compare import compare

    tables, skipped = compare(options.runs, options.out)
    print(tables)
    if skipped:
        print(f"not runs, or damaged, skipped: {', '.join(skipped)}", file=sys.stderr)
    if options.out:
        print(f"wrote {options.out}", file=sys.stderr)
    return 0
