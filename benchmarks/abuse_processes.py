"""Processes that are odd themselves, for `abuse.py`: environment, streams, limits."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from abuse_case import GENERATE, Case, Process, nothing

TRAIN = "train --audio song.wav --recipe tiny.yaml --run new --epochs 1"
EVALUATE = "evaluate-audio --real song.wav --generated song.wav --out new.html"
SPECTROGRAM = "spectrogram song.wav --out new.png"


def cases() -> Iterator[Case]:
    """All of them."""
    for number, (words, process, prepare, harmless) in enumerate(odd()):
        name = f"processes-{number} {words[:40]} {process}"
        yield Case(name, words.split(), prepare, harmless, process)


def odd() -> Iterator[tuple[str, Process, Callable[[], Any], bool]]:
    """The command, the process, what has to be made, and whether exit code 0 is right."""
    for environment in (
        {"HOME": None, "XDG_CACHE_HOME": None},
        {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": None},
        {"XDG_CACHE_HOME": "/proc/nowhere"},
        {"XDG_CACHE_HOME": "song.wav"},
        {"KERAS_BACKEND": "jax"},
        {"KERAS_BACKEND": "nonsense"},
        {"KERAS_HOME": "odd-keras"},
        {"KERAS_HOME": "half-keras"},
        {"KERAS_HOME": "/proc/nowhere"},
        {"PYTHONWARNINGS": "error"},
        {"PYTHONOPTIMIZE": "2"},
        {"LC_ALL": "xx_YY.nonsense", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        {"CUDA_VISIBLE_DEVICES": "nonsense"},
        {"TMPDIR": "/proc/nowhere", "TEMP": "/proc/nowhere", "TMP": "/proc/nowhere"},
        {"MPLBACKEND": "nonsense"},
        {"MPLCONFIGDIR": "/proc/nowhere"},
        {"OMP_NUM_THREADS": "nonsense"},
        {"TF_NUM_INTRAOP_THREADS": "nonsense"},
    ):

        def keras_json(environment: dict[str, str | None] = environment) -> None:
            name = environment.get("KERAS_HOME")
            if name in ("odd-keras", "half-keras"):
                os.mkdir(name)
                text = "[1]" if name == "odd-keras" else '{"floatx": "float16", "backend": "jax"}'
                Path(name, "keras.json").write_text(text)

        yield TRAIN, Process(environment), keras_json, True
    for words in (GENERATE, SPECTROGRAM, "compare run", "recipe default"):
        yield words, Process({"HOME": None, "XDG_CACHE_HOME": None}), nothing, True
        yield words, Process({"PYTHONWARNINGS": "error"}), nothing, True
        yield words, Process({"LC_ALL": "C", "PYTHONUTF8": "0", "COLUMNS": "x"}), nothing, True
        yield words, Process({"TMPDIR": "/proc/nowhere"}), nothing, True
        yield words, Process(closed=(0, 1, 2)), nothing, True
        yield words, Process(stdout="/dev/full"), nothing, True
        yield words, Process(umask=0o777), nothing, True
    yield SPECTROGRAM, Process({"MPLBACKEND": "nonsense"}), nothing, True
    yield SPECTROGRAM, Process({"MPLCONFIGDIR": "/proc/nowhere"}), nothing, True
    for closed in ((0,), (1,), (2,), (0, 1, 2)):
        yield TRAIN, Process(closed=closed), nothing, True
        yield "train --audio nowhere --run new", Process(closed=closed), nothing, False
        yield "generate nowhere --seconds 1 --out new.wav", Process(closed=closed), nothing, False
    yield TRAIN, Process(umask=0o777), nothing, True
    yield TRAIN, Process(stdout="/dev/full"), nothing, True
    yield "--help", Process(stdout="/dev/full"), nothing, True
    yield "--help", Process({"PYTHONOPTIMIZE": "2"}), nothing, True
    yield "--help", Process({"COLUMNS": "1"}), nothing, True
    for words in (TRAIN, GENERATE.replace("0.1", "9"), SPECTROGRAM):
        # How many open files are enough depends on the machine; so few bytes never are.
        yield words, Process(limits={"RLIMIT_NOFILE": 12}), nothing, True
        yield words, Process(limits={"RLIMIT_FSIZE": 0}), nothing, False
        yield words, Process(limits={"RLIMIT_FSIZE": 3000}), nothing, False
    for ending in ("flac", "ogg"):  # libsndfile closes these without a word
        words = GENERATE.replace("0.1", "9").replace("wav", ending)
        for limit in (0, 3000):
            yield words, Process(limits={"RLIMIT_FSIZE": limit}), nothing, False
    yield EVALUATE, Process(limits={"RLIMIT_FSIZE": 3000}), nothing, False
    for environment in ({}, {"PYTHONUNBUFFERED": "1"}):
        yield f"{GENERATE} --out -", Process(environment, stdout="/dev/full"), nothing, False
    yield "generate --help", Process(stdout="/dev/full"), nothing, False
    picture = lambda: shutil.copy("song.wav", "overview.png")  # noqa: E731
    for words in ("explore overview.png --out .", "spectrogram overview.png --out overview.png"):
        yield words, Process(), picture, False
    for words in ("explore song.wav --out=", f"{GENERATE} --curves=", f"{TRAIN} --cache="):
        yield words, Process(), nothing, False
    yield GENERATE, Process(limits={"RLIMIT_NPROC": 1}), nothing, True
    name = "caf\u00e9.yaml"
    rename = lambda: os.rename("tiny.yaml", name)  # noqa: E731
    ascii_only = Process({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    yield TRAIN.replace("tiny.yaml", name), ascii_only, rename, True
    yield "recipe caf\u00e9", ascii_only, nothing, False
