"""Whether the music that is named is recognised in what an exported generator plays.

python benchmarks/labels.py generator.onnx --pieces steps.wav walk.wav run.wav night.wav

Each piece is the audio of the label that has its name. Each label plays a few streams, from
nothing. A stream is recognised where its statistics, the mean and deviation over time of the
log-magnitude features that the codes are made of, are nearest to those of its own piece.

Beside it stands what the piece itself reaches: its excerpts of the same length, each compared with
the rest of it and with the other pieces. A JSON line last.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from common import print_line, print_table, run_main, say

EXCERPTS = 12  # of each piece


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="generator.onnx")
    parser.add_argument("--pieces", type=Path, nargs="+", required=True, help="NAME.wav per label")
    parser.add_argument("--seconds", type=float, default=40.0, help="of each stream (40)")
    parser.add_argument("--streams", type=int, default=4, help="of each label (4)")
    parser.add_argument("--random-seed", type=int, default=0)
    return parser


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio_serving.sampler import Sampler

    from keras_rawaudio.errors import UserError

    rows = []
    pieces: dict[str, np.ndarray] = {}
    for path in options.pieces:
        sampler = Sampler.load(
            options.model,
            streams=options.streams,
            random_seed=options.random_seed,
            threads=2,
            music=[path.stem],
        )
        rate, channels = sampler.sample_rate, sampler.channels
        pieces[path.stem] = features(read(path, rate, channels), rate)
        say(path.stem)
        audio = sampler.generate(options.seconds)
        rows.append({"label": path.stem, "streams": [features(each, rate) for each in audio]})
    if len(pieces) < 2:
        raise UserError("--pieces: one piece is always the nearest: give two or more")
    table = []
    for row in rows:
        name, streams = row["label"], row["streams"]
        table.append(
            {
                "label": name,
                "streams": len(streams),
                "recognised": sum(nearest(each, pieces) == name for each in streams),
                "excerpts": EXCERPTS,
                "excerpts_recognised": own_excerpts(name, pieces, len(streams[0])),
            }
        )
    print_table(table, tuple(table[0]))
    print_line({"benchmark": "labels", "model": str(options.model), "rows": table})


def read(path: Path, rate: int, channels: int) -> np.ndarray:
    """A piece as `(n, channels)`, at the model's rate."""
    import soundfile
    import soxr

    audio, own = soundfile.read(path, dtype="float32", always_2d=True)
    audio = soxr.resample(audio, own, rate)
    return audio if audio.shape[1] == channels else audio.mean(axis=1, keepdims=True)


def features(audio: np.ndarray, rate: int) -> np.ndarray:
    """Log magnitudes `(frames, width)` of audio `(n,)` or `(n, channels)`."""
    from keras_rawaudio.dsp.block_spectra import BlockSpectra

    audio = audio.reshape(len(audio), -1)
    spectra = BlockSpectra(rate, audio.shape[1])
    return spectra.features(spectra.power(audio)).reshape(-1, spectra.width)


def nearest(stream: np.ndarray, pieces: dict[str, np.ndarray]) -> str:
    """The piece whose statistics are nearest to those of a stream."""
    found = statistics(stream)
    return min(pieces, key=lambda name: float(np.linalg.norm(found - statistics(pieces[name]))))


def statistics(frames: np.ndarray) -> np.ndarray:
    """Mean and deviation over time."""
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)])


def own_excerpts(name: str, pieces: dict[str, np.ndarray], length: int) -> int:
    """How many excerpts of a piece are recognised, where the rest stands for the piece."""
    piece, recognised = pieces[name], 0
    length = min(length, len(piece) // 2)
    for begin in np.linspace(0, len(piece) - length, EXCERPTS).astype(int):
        rest = np.concatenate([piece[:begin], piece[begin + length :]])
        found = nearest(piece[begin : begin + length], pieces | {name: rest})
        recognised += found == name
    return recognised


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
