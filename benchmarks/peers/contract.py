"""The contract that every system of the comparison keeps: learn from a piece, then write streams.

An adapter is a script that hands its system to `main`. It runs in the environment of that system,
so this file needs NumPy and soundfile alone. `main` reads the parts of a piece, lets the system
learn for a time, scores it, lets it generate, and writes WAV files and `result.json`.

Time is processor time of the adapter, all threads together. On one core of an idle machine it is
wall time; on a busy machine it is still what the system was given. On a GPU it is wall time.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile

CLOCK = time.process_time
CHECKS = 20  # of the validation part while a system learns
LEVELS = 256
LONGEST_CHUNK = 8.0  # seconds: what the authors of both SampleRNNs cut their audio into


@dataclass(frozen=True)
class Parts:
    """The parts of a piece, mono, scaled by the train part's peak and clipped to [-1, 1].

    Attributes:
        rate: samples per second.
        train: float32 `(n,)`.
        validation: likewise.
        test: likewise.
        peak: of the train part: `stream * peak` has the piece's own level.
    """

    rate: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    peak: float

    @classmethod
    def read(cls, folder: Path) -> Parts:
        """From `train.wav`, `validation.wav` and `test.wav`."""
        train, rate = soundfile.read(folder / "train.wav", dtype="float32")
        peak = float(np.abs(train).max())
        validation, test = (
            np.clip(soundfile.read(folder / f"{part}.wav", dtype="float32")[0] / peak, -1, 1)
            for part in ("validation", "test")
        )
        return cls(rate, train / peak, validation, test, peak)

    def chunks(self, count: int) -> np.ndarray:
        """The train part in chunks of whole seconds, up to 8; `count` or more if it is long enough.

        Returns:
            float32 `(chunks, samples)`.
        """
        seconds = max(1, min(int(LONGEST_CHUNK), len(self.train) // self.rate // count))
        size = seconds * self.rate
        return self.train[: len(self.train) // size * size].reshape(-1, size)

    def chunks_of_batch(self, batch: int) -> np.ndarray:
        """As `chunks`, for a model whose loader waits without end for less than a batch.

        Raises:
            ValueError: the train part has fewer seconds than a batch has rows.
        """
        chunks = self.chunks(batch)
        if len(chunks) < batch:
            raise ValueError(f"a batch is {batch} chunks of a second: give more audio")
        return chunks


# From a number of samples to that many of each stream or a few more, drawn from nothing:
# `(streams, samples)`, scaled as `Parts.train` is.
Generator = Callable[[int], np.ndarray]


class System(Protocol):
    """A system under comparison.

    Attributes:
        settings: what it is trained with, for the reader: its authors' values, and each change.
        levels: of what its bits are the likelihood; `None` where it has none.
        parameters: their number.
    """

    settings: dict[str, Any]
    levels: str | None
    parameters: int

    def learn(self, minutes: float) -> dict[str, float | None]:
        """Train; `steps`, `samples` (`None` for a model of something else) and `seconds` of it."""

    def test_bits(self) -> float | None:
        """Bits per sample of the test part, or `None`."""

    def generator(self, streams: int) -> Generator:
        """What generates: exported, compiled, with nothing left to do but to draw."""


def learn_by_steps(
    step: Callable[[], int],
    minutes: float,
    check: Callable[[], float] | None = None,
    clock: Callable[[], float] | None = None,
) -> dict[str, float | None]:
    """Take steps until their time is over; the first, which compiles, is not counted.

    Args:
        step: takes one training step; returns how many samples it learned from.
        minutes: of processor time.
        check: scores the validation part, and keeps the weights if they are the best so far. It
            is called twenty times and at the end; its time is not counted.
        clock: another than processor time.
    """
    clock = clock or CLOCK
    step()
    spent = 0.0
    steps = samples = checked = 0
    while spent < 60 * minutes:
        began = clock()
        samples += step()
        spent += clock() - began
        steps += 1
        if (reached := int(CHECKS * spent / (60 * minutes))) > checked:
            checked = reached
            bits = f", {check():.3f} bits on validation" if check else ""
            print(f"{spent:.0f} s, {steps} steps{bits}", file=sys.stderr, flush=True)
    return {"steps": steps, "samples": samples, "seconds": spent}


def per_second(learned: dict[str, float | None]) -> int | None:
    """Samples learned from per second of training."""
    samples, seconds = learned["samples"], learned["seconds"]
    return round(samples / seconds) if samples and seconds else None


def mu_law_codes(audio: np.ndarray) -> np.ndarray:
    """Codes of 256 levels, as bits per sample are counted in everywhere here.

    Args:
        audio: in [-1, 1].

    Example:
        >>> mu_law_codes(np.array([-1.0, 0.0, 1.0])).tolist()
        [0, 128, 255]
    """
    mu = LEVELS - 1
    companded = np.sign(audio) * np.log1p(mu * np.abs(audio)) / np.log1p(mu)
    return ((companded + 1) / 2 * mu + 0.5).astype(np.int64)


def mu_law_audio(codes: np.ndarray) -> np.ndarray:
    """The audio of codes; the inverse of `mu_law_codes` up to half a level."""
    mu = LEVELS - 1
    companded = 2 * np.asarray(codes, np.float32) / mu - 1
    return np.sign(companded) * np.expm1(np.abs(companded) * np.log1p(mu)) / mu


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Train one system on a piece and let it generate.")
    add = parser.add_argument
    add("--code", type=Path, metavar="FOLDER", help="the system's own code")
    add("--data", type=Path, required=True, metavar="FOLDER", help="of the parts, and piece.json")
    add("--out", type=Path, required=True, metavar="FOLDER", help="for streams and result.json")
    add("--minutes", type=float, default=10.0, help="of processor time of training steps (10)")
    add("--streams", type=int, default=4)
    add("--seconds", type=float, default=30.0, help="of each stream (30)")
    add("--size", choices=("small", "authors"), default="small", help="of the model (small)")
    add(
        "--learn-on", choices=("cpu", "cuda"), default="cpu", help="what its training runs on (cpu)"
    )
    add("--random-seed", type=int, default=0)
    return parser


def main(
    make: Callable[[argparse.Namespace, Parts], System],
    packages: tuple[str, ...],
    parser: argparse.ArgumentParser | None = None,
) -> None:
    """Run a system through the contract.

    Args:
        make: gives the system, untrained.
        packages: whose versions the result names.
        parser: of `arguments`, with more of the adapter's own.
    """
    options = (parser or arguments()).parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    parts = Parts.read(options.data)
    system = make(options, parts)
    learned = system.learn(options.minutes)
    bits = system.test_bits()
    generate = system.generator(options.streams)
    samples = round(options.seconds * parts.rate)
    began = CLOCK()
    streams = generate(samples)[:, :samples]
    spent = CLOCK() - began
    for number, audio in enumerate(np.clip(streams * parts.peak, -1, 1), 1):
        soundfile.write(options.out / f"stream-{number}.wav", audio, parts.rate, "PCM_16")
    result = {
        "settings": system.settings,
        "parameters": system.parameters,
        "levels": system.levels,
        "test_bits_per_sample": bits,
        "steps": learned["steps"],
        "training_seconds": round(learned["seconds"], 1),
        "learned_samples_per_second": per_second(learned),
        "generated_samples_per_second": round(streams.size / spent),
        "seconds_per_second_of_sound": round(spent * parts.rate / streams.size, 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "packages": {name: metadata.version(name) for name in packages},
    }
    partial = options.out / "result.json.partial"
    partial.write_text(json.dumps(result, indent=1))
    partial.replace(options.out / "result.json")
