"""Draw and measure a piece before anything is learned from it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from keras_rawaudio.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `explore`."""
    parser.add_argument("audio", type=Path, metavar="FILE", help="an audio file")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="the folder to write into"
    )


def run(options: argparse.Namespace) -> int:
    """Look, write, and say the most of it in a line."""
    if not options.audio.is_file():
        raise UserError(f"no such file: {options.audio}; check the path")

    from keras_rawaudio.analysis import explore

    found = explore(options.audio, options.out)
    print(
        f"{found['seconds']:.1f} s at {found['sample_rate']} Hz, peak {found['peak']:.3f}, "
        f"standard deviation {found['standard_deviation']:.3f}; "
        f"silent head {found['silent_head_samples']} samples, "
        f"fade-out {found['fade_out_samples']}; wrote {options.out}",
        file=sys.stderr,
    )
    return 0
