"""Draw spectrograms of audio files, one above the other."""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from keras_rawaudio.cli.arguments import DAY, number
from keras_rawaudio.errors import UserError

if TYPE_CHECKING:
    import numpy as np


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `spectrogram`."""
    parser.add_argument("audio", nargs="+", metavar="FILE", help="audio files")
    parser.add_argument("--out", required=True, metavar="FILE.png", help="the picture to write")
    parser.add_argument("--seconds", type=number(1e-3, DAY), help="draw this much from each start")


def run(options: argparse.Namespace) -> int:
    """Read, draw, save."""
    from keras_rawaudio.files import refuse_input, refuse_unwritable, replacing

    out = Path(options.out)
    if not out.suffix:
        raise UserError(f"cannot write {out}: its name has no ending; give it one, such as .png")
    if not os.path.isdir(out.parent):
        raise UserError(f"cannot write {out}: No such file or directory; choose another")
    refuse_unwritable(out)
    refuse_input(out, *map(Path, options.audio))
    panels, rates = [], set()
    for path in map(Path, options.audio):
        if not path.is_file():
            raise UserError(f"no such file: {path}; check the path")
        audio, rate = read(path, options.seconds)
        if not len(audio):
            raise UserError(f"{path} holds no audio (0 samples); give another file")
        panels.append((path.name, audio))
        rates.add(rate)
    if len(rates) > 1:
        listed = ", ".join(str(r) for r in sorted(rates))
        raise UserError(f"the files have different rates ({listed} Hz); draw them apart")

    from keras_rawaudio.plots import spectrogram_figure

    try:
        with replacing(out) as partial:
            spectrogram_figure(panels, rates.pop(), partial)
    except ValueError as error:  # a format that Matplotlib lacks
        if isinstance(error, UserError):
            raise
        reason = str(error).split(" (")[0]
        raise UserError(f"cannot write {out}: {reason}; choose another") from None
    print(f"wrote {out}", file=sys.stderr)
    return 0


def read(path: Path, seconds: float | None) -> tuple[np.ndarray, int]:
    """The mono mix of a file's beginning, block by block: its header may claim any length."""
    import numpy as np

    from keras_rawaudio.data.corpus.decoding import decode, open_audio

    file = open_audio(path)
    most = math.inf if seconds is None else round(seconds * file.sample_rate)
    blocks, count = [np.zeros(0, np.float32)], 0
    for block in decode(file, file.sample_rate):
        blocks.append(block)
        count += len(block)
        if count >= most:
            break
    return np.concatenate(blocks)[: None if seconds is None else int(most)], file.sample_rate
