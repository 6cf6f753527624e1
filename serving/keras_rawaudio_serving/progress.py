"""A progress bar on the terminal."""

import argparse
import sys
from typing import Any


class ProgressBar:
    """Progress in seconds of audio, with times real time (all streams together)."""

    def __init__(self, args: argparse.Namespace, sample_rate: int) -> None:
        self.rate, self.streams = sample_rate, args.streams
        self.bar: Any = None
        if not args.quiet and sys.stderr and sys.stderr.isatty():
            from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]

            ends = "{l_bar}{bar}| {n:.1f}/{total:.1f} s [{elapsed}<{remaining}{postfix}]"
            endless = "{n:.1f} s [{elapsed}{postfix}]"
            self.bar = tqdm(
                total=args.seconds, leave=False, bar_format=ends if args.seconds else endless
            )

    def show(self, samples: int, spent: float) -> None:
        if self.bar is not None:
            seconds = samples / self.rate
            times = seconds * self.streams / spent
            self.bar.set_postfix_str(f"{times:.1f} x real time", refresh=False)
            self.bar.update(seconds - self.bar.n)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
