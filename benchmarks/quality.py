"""What a recipe is worth after a budget: trains, exports, generates, measures; a JSON line last.

python benchmarks/quality.py --recipe default --audio cold_day.flac --seconds 600
python benchmarks/quality.py --run runs/long --generate-seconds 60    # a run that is trained
python benchmarks/quality.py --run runs/long --excerpts    # the control: the music itself

Half of the streams go on from seeds, the others begin with nothing. A seed is the first second that
is not quiet, in one of the longest stretches of the validation part.
Measures are means over all streams (`from_seed` and `from_nothing`: over these), but
`train_set_similarity` is the greatest of any, and `worst_*` are the worst 10 s of any
(`worst_cepstral_ratio`: the worst third).
`distances` (streams of 10 s and more): each beside those of the piece's own audio; those of musicnn
and basic-pitch only where the extra `ears` is installed.
With `--excerpts` the same is measured of random excerpts of the train part, as many and as long.
They are the control: a limit that they miss is none for a generator. Their copies are themselves.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import generation_speed, machine, print_line, print_table, run_main, say

SEED_SECONDS = 1.0
QUIET = 0.1  # of the RMS of the stretch that a seed is taken from
SPEED_SECONDS = 2.0
MEANS = (
    "tonal_prominence_db",
    "beat_strength",
    "toneless_share",
    "dead_share",
    "loud_share",
    "noisy_share",
    "stuck_share",
    "offset_share",
    "clipped_share",
)
COLUMNS = ("wav", *MEANS, "train_set_similarity", "verdict")


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--recipe", default="default")
    add("--audio", nargs="+", help="files and folders to learn from")
    add("--seconds", type=float, default=600.0, help="of training steps (600)")
    add("--set", nargs="+", default=[], metavar="KEY=VALUE", help="recipe values")
    add("--run", type=Path, metavar="FOLDER", help="measure this run; nothing is trained")
    add("--cache", type=Path, metavar="FOLDER", help="where prepared audio is kept")
    add("--work", type=Path, metavar="FOLDER", help="a new folder for all files (in runs/)")
    add("--excerpts", action="store_true", help="measure excerpts of the train part, not streams")
    add("--streams", type=int, default=4, help="from a seed, and as many from nothing (4)")
    add("--generate-seconds", type=float, default=60.0, help="of each stream (60)")
    add("--threads", type=int, default=1, help="that generate (1)")
    add("--random-seed", type=int, default=0, help="of weights, data order and draws (0)")
    add("--sample-rate", type=int, help="hertz (default: as train.py)")
    return parser


def main(options: argparse.Namespace) -> None:
    import soundfile

    from keras_rawaudio.data.corpus import Corpus
    from keras_rawaudio.errors import UserError
    from keras_rawaudio.exporters.export import export
    from keras_rawaudio.metrics.brackets import compare_with_piece
    from keras_rawaudio.metrics.reference import Reference
    from keras_rawaudio.metrics.timbre_distance import timbre_distances
    from keras_rawaudio.metrics.train_set_similarity import own_similarity
    from keras_rawaudio.training.run_folder import RunFolder
    from keras_rawaudio.training.run_scores import evaluate

    if not options.run and not options.audio:
        raise UserError("--audio is missing: name the files or folders to learn from")
    work = options.work or Path("runs") / time.strftime("quality-%Y%m%d-%H%M%S")
    run = RunFolder.open(options.run or train(options, work / "run"))
    work.mkdir(parents=True, exist_ok=True)
    described = run.describe()
    corpus = Corpus.open(Path(described["corpus"]))

    say("evaluating the test part")
    scores = evaluate(run.path, "test")
    say("exporting")
    model = export(run.path, work / "exported")
    speed = generation_speed(model, 1, 1, min(SPEED_SECONDS, options.generate_seconds))

    say("measuring the piece")
    heldout = [*corpus.segments("validation"), *corpus.segments("test")]
    train_part = corpus.segments("train")
    reference = Reference.from_segments(train_part, heldout, corpus.sample_rate)
    if options.excerpts:
        streams = draw_excerpts(options, corpus, work, reference)
    else:
        streams = generate(options, model, corpus, work, reference)
    say("measuring distances, with those of the piece's own audio")
    audio = [soundfile.read(stream["wav"], dtype="float32")[0] for stream in streams]
    distances = compare_with_piece(audio, train_part, heldout, corpus.sample_rate)
    seeded = [s for s in streams if s["seeded"]]
    seconds, learned = read_log(run)
    result = {
        "benchmark": "quality",
        "recipe": run.read_recipe()["name"],
        "audio": options.audio or [source["path"] for source in described["data"]["sources"]],
        "seconds": round(seconds, 1),
        "test_bits_per_sample": scores.get("bits_per_sample"),
        "test_variance_unexplained": scores.get("variance_unexplained"),
        "test_baselines": scores["baselines"],
        "train_samples_per_second": learned,
        "us_per_generated_sample": speed["us_per_sample"],
        "realtime_factor": speed["realtime_factor"],
        "sample_rate": corpus.sample_rate,
        "parameters": described["parameters"],
        "generate_seconds": options.generate_seconds,
        **summary(streams),
        "excerpts": options.excerpts,
        "from_seed": summary(seeded) if seeded else None,
        "from_nothing": summary([s for s in streams if not s["seeded"]]),
        "piece_tonal_prominence_db": reference.figures["tonal_prominence_db"],
        "piece_beat_strength": reference.figures["beat_strength"],
        "piece_pitch_persistence": reference.figures["pitch_persistence"],
        "heldout_similarity": reference.figures["heldout_similarity"],
        "timbre_distances": timbre_distances(audio, corpus.sample_rate, train_part),
        "piece_timbre_distances": timbre_distances(train_part, corpus.sample_rate),
        "distances": distances,
        "own_similarity": own_similarity(train_part, corpus.sample_rate),
        "wavs": [stream["wav"] for stream in streams],
        "spectrogram": None if options.excerpts else work / "spectrogram.png",
        "run": run.path,
        "overrides": options.set,
        "git_revision": described["git_revision"],
        "machine": machine(),
        "streams": streams,
    }
    print_table([s | {"wav": Path(s["wav"]).name} for s in streams], COLUMNS)
    print_line(result)


def train(options: argparse.Namespace, folder: Path) -> Path:
    """Train into a new run folder; validating stops the clock, so only steps count."""
    from keras_rawaudio.data.corpus import CorpusSettings
    from keras_rawaudio.recipes import load_recipe, parse_overrides
    from keras_rawaudio.training.schedule import Budget
    from keras_rawaudio.training.train import train as begin

    # With the samples of each validation, as users train.
    recipe = load_recipe(options.recipe, parse_overrides(options.set))
    begin(
        options.audio,
        folder,
        recipe,
        Budget(minutes=options.seconds / 60),
        CorpusSettings(sample_rate=options.sample_rate),
        options.cache,
        options.random_seed,
    )
    return folder


def read_log(run: Any) -> tuple[float, int | None]:
    """Seconds of training steps, and samples learned per second; None for a model of codes."""
    with run.log.open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    recipe, seconds = run.read_recipe(), 60 * float(last["minutes"])
    if "spectral" in recipe:
        return seconds, None
    samples = int(last["step"]) * recipe["data"]["batch"] * recipe["data"]["length"]
    return seconds, round(samples / seconds)


def generate(
    options: argparse.Namespace, model: Path, corpus: Any, work: Path, reference: Any
) -> list[dict[str, Any]]:
    """Draw, write and measure all streams, and picture the first of each kind."""
    from keras_rawaudio_serving import Sampler

    from keras_rawaudio.plots import spectrogram_figure

    rate = corpus.sample_rate
    size = round(SEED_SECONDS * rate)
    heldout = [
        after_quiet(stretch.astype(np.float32) / 32768, size)
        for stretch in sorted(corpus.segments("validation"), key=len)[-options.streams :]
    ]
    heldout, size = heldout[::-1], min(size, *map(len, heldout))
    seeds = np.stack([heldout[i % len(heldout)][:size] for i in range(options.streams)])
    after = heldout[0][size : size + round(options.generate_seconds * rate)]
    streams, panels = [], [("the piece: what follows the seed", after)]
    for seeded in (True, False):
        kind = "seed" if seeded else "nothing"
        say(f"generating {options.streams} streams from {kind}")
        sampler = Sampler.load(
            model,
            streams=options.streams,
            threads=options.threads,
            random_seed=options.random_seed + (not seeded) * 1000,
            provider="cpu",
        )
        if seeded:
            sampler.prime(seeds)
        drawn = np.clip(sampler.generate(options.generate_seconds), -1, 1)
        panels.append((f"from {kind}, stream 1", drawn[0]))
        for number, audio in enumerate(drawn, 1):
            wav = work / f"from-{kind}-{number}.wav"
            streams.append(written(audio, wav, seeded, reference))
    spectrogram_figure(panels, rate, work / "spectrogram.png")
    return streams


def draw_excerpts(
    options: argparse.Namespace, corpus: Any, work: Path, reference: Any
) -> list[dict[str, Any]]:
    """Cut, write and measure random excerpts of the train part, each moment as probable."""
    from keras_rawaudio.errors import UserError

    size = round(options.generate_seconds * corpus.sample_rate)
    long_enough = [part for part in corpus.segments("train") if len(part) >= size]
    if not long_enough:
        raise UserError("no stretch of the train part is as long as --generate-seconds")
    shares = np.array([len(part) for part in long_enough], np.float64)
    rng = np.random.default_rng(options.random_seed)
    found = []
    for number in range(1, 2 * options.streams + 1):
        part = long_enough[rng.choice(len(long_enough), p=shares / shares.sum())]
        first = rng.integers(len(part) - size + 1)
        audio = part[first : first + size].astype(np.float32) / 32768
        found.append(written(audio, work / f"excerpt-{number}.wav", False, reference))
    return found


def written(audio: np.ndarray, wav: Path, seeded: bool, reference: Any) -> dict[str, Any]:
    """Write a stream, and measure it."""
    import soundfile

    from keras_rawaudio.metrics.measure import measure

    soundfile.write(wav, audio, reference.rate, "PCM_16")
    return {"wav": str(wav), "seeded": seeded, **measure(audio, reference.rate, reference)}


def after_quiet(audio: np.ndarray, length: int) -> np.ndarray:
    """The audio from the first `length` samples on that are not quiet."""
    least = QUIET * audio.std()
    starts = range(0, len(audio) - length + 1, length)
    return next((audio[s:] for s in starts if audio[s : s + length].std() >= least), audio)


def summary(streams: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Means over streams, and the worst of them."""
    from keras_rawaudio.metrics.reference import mean_of_known

    thirds = np.array([s["cepstral_ratio_by_third"] for s in streams])
    return {
        **{key: float(np.mean([s[key] for s in streams])) for key in MEANS},
        "pitch_persistence": mean_of_known([s["pitch_persistence"] for s in streams]),
        "cepstral_ratio_by_third": thirds.mean(axis=0).tolist(),
        "train_set_similarity": max(s["train_set_similarity"] for s in streams),
        "worst_tonal_prominence_db": min(min(s["tonal_prominence_db_by_10_s"]) for s in streams),
        "worst_beat_strength": min(min(s["beat_strength_by_10_s"]) for s in streams),
        "worst_cepstral_ratio": float(thirds.max()),
        "collapsed": sum(s["collapsed_at"] is not None for s in streams),
    }


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
