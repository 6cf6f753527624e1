"""What preparing hours of audio takes, and what windows from 100 hours of it deliver: a JSON line.

python benchmarks/corpus.py                               # two hours for real, 100 by calculation
python benchmarks/corpus.py --hours 1 4 --processes 1 8   # memory at two lengths, other processes

The audio is 44.1 kHz stereo: ten minutes of the demo's piece in a FLAC file, under as many names as
there are hours. A process of its own prepares it, so that memory is its own. The corpus of 100
hours that windows are read from is sparse: its files have their full size and hold zeros that lie
on no disk. How fast a disk is shows in neither.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import machine, plain, print_line, say

RATE = 44_100
FILE_SECONDS = 600
LOOP_SECONDS = 60  # of the piece that is synthesised; it is repeated
WHOLE = 100  # hours that all is extrapolated to
BATCH, FRAME, FRAMES, CONTEXT = 128, 128, 8, 448  # windows as those of `raw`, in more rows


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hours", type=float, nargs="+", default=[0.5, 2.0], help="for real")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=5.0, help="of reading windows")
    parser.add_argument("--work", type=Path, help="a folder on the disk to measure (temporary)")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    return parser


def main(options: argparse.Namespace) -> None:
    if options.prepare:
        print_line(prepared(options.prepare, options.processes[0]))
        return
    with tempfile.TemporaryDirectory(dir=options.work) as name:
        work = Path(name)
        flac = write_audio(work / "audio.flac")
        preparing = []
        for hours in options.hours:
            folder = work / f"{hours:g}"
            folder.mkdir()
            for number in range(round(hours * 3600 / FILE_SECONDS)):
                os.link(flac, folder / f"{number:04}.flac")
            for processes in options.processes:
                say(f"{hours:g} hours, {processes} processes")
                preparing.append(rounded({"hours": hours, **in_own_process(folder, processes)}))
        say(f"windows of {WHOLE} sparse hours")
        windows = read_windows(sparse_corpus(work / "sparse", WHOLE), options.seconds)
    print_line(
        {
            "benchmark": "corpus",
            **machine(),
            "preparing": preparing,
            "extrapolated": [extrapolated(one) for one in preparing[-len(options.processes) :]],
            "windows": rounded(windows),
        }
    )


def write_audio(path: Path) -> Path:
    """Ten minutes of the demo's piece in stereo, the right channel a little later."""
    import soundfile

    from keras_rawaudio.data.corpus.synthesis import synthesise

    loop = synthesise(LOOP_SECONDS, RATE)
    stereo = np.stack([loop, np.roll(loop, RATE // 100)], axis=1)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for _ in range(FILE_SECONDS // LOOP_SECONDS):
            file.write(stereo)
    return path


def rounded(values: dict[str, Any]) -> dict[str, Any]:
    return {k: round(v, 3) if isinstance(v, float) else v for k, v in plain(values).items()}


def in_own_process(folder: Path, processes: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--prepare", str(folder), "--processes", str(processes)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def prepared(folder: Path, processes: int) -> dict[str, Any]:
    """Prepares a folder's audio and looks at clock, memory and disk."""
    from keras_rawaudio.data.corpus import prepare

    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        cache, most, over = Path(name), [0], threading.Event()

        def watch() -> None:
            while not over.wait(0.1):
                most[0] = max(most[0], disk(cache))

        watcher = threading.Thread(target=watch)
        watcher.start()
        begin = time.perf_counter()
        corpus = prepare([folder], cache, processes=processes)
        seconds = time.perf_counter() - begin
        over.set()
        watcher.join()
        begin = time.perf_counter()
        corpus.verify()
        verifying = time.perf_counter() - begin
        own, others = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        # The peak in `own` would begin with that of the process that started this one.
        status = Path("/proc/self/status").read_text()
        return {
            "processes": processes,
            "seconds": seconds,
            "cpu_seconds": sum(u.ru_utime + u.ru_stime for u in (own, others)) - verifying,
            "verifying_seconds": verifying,
            "peak_mib": int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024,
            "peak_mib_of_each_other": others.ru_maxrss / 1024 if processes > 1 else 0,
            "disk_gb": disk(cache) / 1e9,
            "peak_disk_gb": max(most[0], disk(cache)) / 1e9,
            "manifest_bytes_per_file": (corpus.folder / "corpus.json").stat().st_size
            / len(corpus.describe()["sources"]),
        }


def disk(folder: Path) -> int:
    """Bytes that a folder's files take."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_blocks * 512
        except OSError:  # renamed meanwhile
            continue
    return total


def extrapolated(measured: dict[str, Any]) -> dict[str, Any]:
    """The same for 100 hours: what grows with the hours, times their number."""
    times = WHOLE / measured["hours"]
    names = ("seconds", "cpu_seconds", "verifying_seconds", "disk_gb", "peak_disk_gb")
    return {"hours": WHOLE, "processes": measured["processes"]} | {
        name: round(measured[name] * times, 1) for name in names
    }


def sparse_corpus(folder: Path, hours: float) -> Path:
    """A corpus of zeros that take no disk."""
    folder.mkdir()
    length = FILE_SECONDS * RATE
    files = round(hours * 3600 / FILE_SECONDS)
    tenth = max(1, files // 10)
    counts = {"train": files - 2 * tenth, "validation": tenth, "test": tenth}
    parts, first = {}, 0
    for part, count in counts.items():
        segments = [{"source": first + i, "start": 0, "samples": length} for i in range(count)]
        parts[part] = {"samples": count * length, "peak": 0.5, "segments": segments}
        first += count
        for name, channels in ((f"{part}.i16", 2), (f"{part}.mono.i16", 1)):
            with (folder / name).open("wb") as file:
                file.truncate(2 * channels * count * length)
    description = {
        "format_version": 1,
        "fingerprint": "sparse",
        "sample_rate": RATE,
        "channels": 2,
        "settings": {},
        "sources": [{"path": f"{number:04}.flac"} for number in range(files)],
        "parts": parts,
    }
    (folder / "corpus.json").write_text(json.dumps(description))
    return folder


def read_windows(folder: Path, seconds: float) -> dict[str, Any]:
    """Windows from a corpus in the order of training, for a while."""
    import tensorflow  # noqa: F401  (so that its own memory is counted apart)
    from pipeline import measure, peak_memory

    from keras_rawaudio.data.codecs import MuLaw
    from keras_rawaudio.data.corpus import Corpus
    from keras_rawaudio.data.windows import WindowPlan, window_dataset

    before, begin = peak_memory(), time.perf_counter()
    corpus = Corpus.open(folder)
    segments = corpus.segments("train", mono=True)
    plan = WindowPlan([len(each) for each in segments], FRAME, FRAMES, BATCH, "lanes")
    dataset = window_dataset(segments, MuLaw(0.5).encode, plan, CONTEXT)
    next(iter(dataset))
    opening = time.perf_counter() - begin
    figures = measure(dataset, BATCH * plan.window, seconds)
    return {
        "hours": WHOLE,
        "gigabytes_of_the_train_part": (folder / "train.mono.i16").stat().st_size / 1e9,
        "seconds_to_the_first_batch": opening,
        "batch": BATCH,
        "window": plan.window,
        "windows_per_second": figures["samples_per_second"] / plan.window,
        "windows_per_cpu_second": figures["samples_per_cpu_second"] / plan.window,
        **figures,
        "more_memory_mib": peak_memory() - before,
    }


if __name__ == "__main__":
    main(arguments().parse_args())
