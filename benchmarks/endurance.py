"""Play a trained run for hours: is the last part like the first? One JSON line.

python benchmarks/endurance.py --run runs/song --hours 1 --streams 2

Streams begin with nothing and go on, part by part. A row is a part of all streams: what the piece's
own audio would score stands in the last row. KAD needs the extra `ears`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, print_line, print_table, run_main, say

WINDOW_SECONDS = 60  # that a verdict is given of
COLUMNS = (
    *("minutes", "level_db", "tonal_prominence_db", "beat_strength"),
    *("dead_share", "noisy_share", "stuck_share", "collapsed_windows", "kad_musicnn"),
)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--run", type=Path, required=True, metavar="FOLDER", help="a trained run")
    add("--hours", type=float, default=1.0, help="of each stream (1)")
    add("--part-minutes", type=float, default=10.0, help="of a row (10)")
    add("--streams", type=int, default=2, help="at once (2)")
    add("--random-seed", type=int, default=0, help="of the draws (0)")
    return parser


def main(options: argparse.Namespace) -> None:
    from keras_rawaudio_serving import Sampler

    from keras_rawaudio.data.corpus import Corpus
    from keras_rawaudio.dsp.spectra import excerpts
    from keras_rawaudio.exporters.export import export
    from keras_rawaudio.metrics.brackets import TRAIN_SECONDS
    from keras_rawaudio.metrics.embedding_comparison import EmbeddingComparison
    from keras_rawaudio.metrics.reference import Reference
    from keras_rawaudio.training.run_folder import RunFolder

    described = RunFolder.open(options.run).describe()
    corpus = Corpus.open(Path(described["corpus"]))
    rate, train = corpus.sample_rate, corpus.segments("train")
    heldout = [*corpus.segments("validation"), *corpus.segments("test")]
    say("measuring the piece")
    reference = Reference.from_segments(train, heldout, rate)
    chosen = excerpts(train, rate, TRAIN_SECONDS, WINDOW_SECONDS)
    piece = np.concatenate(chosen).astype(np.float32) / 32768
    ears = EmbeddingComparison() if EmbeddingComparison().installed() else None
    own = ears.features(piece, rate) if ears else None
    with tempfile.TemporaryDirectory() as name:
        say("exporting")
        sampler = Sampler.load(
            export(options.run, Path(name) / "exported"),
            streams=options.streams,
            random_seed=options.random_seed,
            provider="cpu",
        )
    rows: list[dict[str, Any]] = []
    minutes = options.part_minutes
    for part in range(1, round(options.hours * 60 / minutes) + 1):
        drawn = np.clip(sampler.generate(60 * minutes), -1, 1)
        row = figures(drawn, rate, reference)
        if ears and own:
            row["kad_musicnn"] = distance(ears, own, drawn, rate)
        rows.append({"minutes": f"{(part - 1) * minutes:g} to {part * minutes:g}", **row})
        say(f"{part * minutes:g} minutes")
    rows.append({"minutes": "the piece", **figures(piece[None], rate, reference)})
    print_table(rows, COLUMNS)
    print_line(
        {
            "benchmark": "endurance",
            "run": options.run,
            "streams": options.streams,
            "parts": rows,
            "git_revision": described["git_revision"],
            "machine": machine(),
        }
    )


def figures(streams: np.ndarray, rate: int, reference: Any) -> dict[str, Any]:
    """Means over all windows of all streams `(streams, n[, channels])`."""
    from keras_rawaudio.dsp.spectra import mono
    from keras_rawaudio.metrics.beat_strength import beat_strength_by_window
    from keras_rawaudio.metrics.collapse import verdict
    from keras_rawaudio.metrics.health import health, shares
    from keras_rawaudio.metrics.tonal_prominence import tonal_prominence_by_window

    found = []
    for stream in streams:
        audio = mono(stream)
        for begin in range(0, max(1, len(audio) - rate), WINDOW_SECONDS * rate):
            window = audio[begin : begin + WINDOW_SECONDS * rate]
            found.append(
                {
                    "power": float(np.mean(np.square(window, dtype=np.float64))),
                    "tonal_prominence_db": float(tonal_prominence_by_window(window, rate).mean()),
                    "beat_strength": float(beat_strength_by_window(window, rate).mean()),
                    **shares(health(window, rate), reference.figures["thresholds"]),
                    "collapsed_windows": not verdict(window, rate, reference).healthy,
                }
            )
    means = {key: float(np.mean([one[key] for one in found])) for key in found[0]}
    level = 10 * np.log10(means.pop("power") + 1e-12)
    collapsed = sum(one["collapsed_windows"] for one in found)
    return {"level_db": level, **means, "windows": len(found), "collapsed_windows": collapsed}


def distance(ears: Any, own: Any, streams: np.ndarray, rate: int) -> float | None:
    """KAD x 100 of a part; the mean over streams. None where it is too short."""
    from keras_rawaudio.metrics.reference import mean_of_known

    each = [ears.distances(own, ears.features(stream, rate)) for stream in streams]
    return mean_of_known([one["KAD (musicnn)"] for one in each])


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
