"""Evaluate generated files beside the real one, on one HTML page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from keras_rawaudio.cli.arguments import DAY, number
from keras_rawaudio.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `evaluate-audio`."""
    add = parser.add_argument
    add("--real", required=True, type=Path, metavar="FILE", help="what it was learned from")
    files: dict[str, Any] = {"nargs": "+", "action": "extend", "type": Path, "metavar": "FILE"}
    add("--generated", required=True, **files, help="new audio")
    add("--out", required=True, type=Path, metavar="PAGE.html", help="the page to write")
    add("--seed-audio", type=Path, metavar="FILE", help="the file that the seed came from")
    add("--seed-start", type=number(0, DAY), metavar="S", help="where the seed starts (0)")
    add("--seed-seconds", type=number(1e-3, DAY), metavar="S", help="its length (1)")
    add("--keep-seed", action="store_true", help="the generated files begin with the seed")


def run(options: argparse.Namespace) -> int:
    """Evaluate, and print the findings."""
    about_seed = (options.seed_start, options.seed_seconds)
    if (options.keep_seed or about_seed != (None, None)) and not options.seed_audio:
        raise UserError("--seed-audio is missing: name the file that the seed came from")

    from keras_rawaudio.reports.audio_report import Seed, evaluate_audio

    seed = None
    if options.seed_audio:
        start = options.seed_start or 0.0
        seed = Seed(options.seed_audio, start, options.seed_seconds, options.keep_seed)
    for name, found in evaluate_audio(options.real, options.generated, options.out, seed):
        print(f"{name}: {', '.join(found)}", file=sys.stderr)
    print(f"wrote {options.out}", file=sys.stderr)
    return 0
