"""How fast the input pipeline alone delivers: samples per second and peak memory, a JSON line last.

python benchmarks/pipeline.py                      # three hours of noise at 16 kHz
python benchmarks/pipeline.py --audio FOLDER       # audio files: how long preparing takes, too
python benchmarks/pipeline.py --corpus FOLDER      # a prepared corpus
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from keras_rawaudio.data.windows import WindowPlan, read_batches, window_dataset

SETTINGS = [
    # batch, frame, frames, shift
    (8, 64, 16, "lanes"),
    (8, 64, 16, 1),
    (8, 64, 16, 16),
    (32, 64, 16, "lanes"),
    (128, 250, 40, "lanes"),
    (128, 250, 40, 1),
    (1, 64, 8, "lanes"),
]


def mu_law(audio: np.ndarray) -> np.ndarray:
    """256 levels, as the mu-law codec encodes."""
    squeezed = np.sign(audio) * np.log1p(255 * np.abs(np.clip(audio, -1, 1))) / np.log(256)
    return np.floor((squeezed + 1) / 2 * 255 + 0.5).astype(np.int32)


def synthetic(folder: Path, hours: float) -> list[np.ndarray]:
    """Writes and maps int16 noise at 16 kHz."""
    path = folder / "train.i16"
    random = np.random.default_rng(0)
    left = int(hours * 3600 * 16_000)
    with path.open("wb") as file:
        while left:
            size = min(left, 1 << 22)
            file.write(random.integers(-20_000, 20_000, size, np.int16).tobytes())
            left -= size
    return [np.memmap(path, np.int16, "r")]


def measure(batches, samples: int, seconds: float) -> dict[str, float]:
    """Runs for a while; samples and processor seconds by the clock."""
    iterator = iter(batches)
    next(iterator)
    count, begin, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - begin < seconds:
        next(iterator)
        count += samples
    wall = time.perf_counter() - begin
    return {
        "samples_per_second": round(count / wall),
        "samples_per_cpu_second": round(count / (time.process_time() - cpu)),
    }


def preparing(audio: list[Path], folder: Path) -> tuple[list[np.ndarray], dict[str, float]]:
    """Prepares audio files into `folder`: the train part's segments, and what it took."""
    from keras_rawaudio.data.corpus import CorpusSettings, prepare

    begin, cpu = time.perf_counter(), time.process_time()
    settings = CorpusSettings(max_sample_rate=16_000, channels=1)
    corpus = prepare(audio, folder, settings, processes=1)  # whose memory and time are looked at
    seconds, cpu = time.perf_counter() - begin, time.process_time() - cpu
    parts = ("train", "validation", "test")
    hours = sum(corpus.samples(part) for part in parts) / corpus.sample_rate / 3600
    return list(corpus.segments("train")), {
        "preparing_seconds": round(seconds, 1),
        "preparing_cpu_seconds": round(cpu, 1),
        "preparing_peak_memory_mib": peak_memory(),
        "hours": round(hours, 2),
        "sample_rate": corpus.sample_rate,
    }


def peak_memory() -> int:
    """MiB resident at most so far; mapped pages that were read count, too."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, help="a prepared corpus, instead of noise")
    parser.add_argument("--audio", type=Path, nargs="+", help="audio files or folders to prepare")
    parser.add_argument("--hours", type=float, default=3.0, help="of noise (default 3)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each setting (default 5)")
    parser.add_argument("--context", type=int, default=128, help="samples before a window")
    arguments = parser.parse_args()
    prepared: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.audio:
            segments, prepared = preparing(arguments.audio, Path(folder))
        elif arguments.corpus:
            from keras_rawaudio.data.corpus import Corpus

            segments = list(Corpus.open(arguments.corpus).segments("train"))
        else:
            segments = synthetic(Path(folder), arguments.hours)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow  # noqa: F401  (so that its own memory is counted apart)

        bare = peak_memory()
        lengths = [len(segment) for segment in segments]
        results = []
        for batch, frame, frames, shift in SETTINGS:
            begin = time.perf_counter()
            plan = WindowPlan(lengths, frame, frames, batch, shift)
            planning = time.perf_counter() - begin
            what = {"batch": batch, "window": plan.window, "shift": shift}
            what["batches_per_epoch"] = plan.batches_per_epoch
            what["planning_seconds"] = round(planning, 3)
            samples = batch * plan.window
            arrays = read_batches(segments, mu_law, plan, arguments.context, repeat=True)
            what["numpy"] = measure(arrays, samples, arguments.seconds)
            dataset = window_dataset(segments, mu_law, plan, arguments.context)
            what["tf_data"] = measure(dataset, samples, arguments.seconds)
            results.append(what)
            print(json.dumps(what), flush=True)
    result = {
        "benchmark": "pipeline",
        **prepared,
        "corpus_samples": sum(lengths),
        "cpus": os.cpu_count(),
        "peak_memory_mib": peak_memory(),
        "tensorflow_alone_mib": bare,
        "settings": results,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
