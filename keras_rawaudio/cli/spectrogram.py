"""Draw spectrograms of audio files, one above the other."""

from __future__ import annotations

import argparse
from pathlib import Path

from keras_rawaudio.cli.arguments import DAY, number
from keras_rawaudio.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `spectrogram`."""
    parser.add_argument("audio", nargs="+", metavar="FILE", help="audio files")
    parser.add_argument("--out", required=True, metavar="FILE.png", help="the picture to write")
    parser.add_argument("--seconds", type=number(1e-3, DAY), help="draw this much from each start")


def run(options: argparse.Namespace) -> int:
    """Read, draw, save."""
    import soundfile

    panels, rates = [], set()
    for name in options.audio:
        if not Path(name).is_file():
            raise UserError(f"no such file: {name}; check the path")
        try:
            rate = soundfile.info(name).samplerate
            frames = -1 if options.seconds is None else round(options.seconds * rate)
            audio, rate = soundfile.read(name, frames, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise UserError(f"cannot read {name}: {error}; is it an audio file?") from None
        panels.append((Path(name).name, audio.mean(axis=1)))
        rates.add(rate)
    if len(rates) > 1:
        listed = ", ".join(str(r) for r in sorted(rates))
        raise UserError(f"the files have different rates ({listed} Hz); draw them apart")

    from keras_rawaudio.plots import spectrogram_figure

    try:
        spectrogram_figure(panels, rates.pop(), Path(options.out))
    except (OSError, ValueError) as error:  # a ValueError: a format that Matplotlib lacks
        reason = getattr(error, "strerror", None) or str(error).split(" (")[0]
        raise UserError(f"cannot write {options.out}: {reason}; choose another") from None
    return 0
