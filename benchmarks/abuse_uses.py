"""Odd uses of what is whole: audio, runs and files that are moved, mixed or meant otherwise."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from abuse_case import GENERATE, RATE, TINY, Group, nothing


def unusual_audio() -> Group:
    """Audio that is whole, and rare: channels, rates, lengths, levels, pairs."""
    import soundfile

    n = np.sin(np.arange(4000) / 9)
    holes = np.where(np.arange(4000) % 99, n, np.nan)

    def write(name: str, samples: Any, rate: int, subtype: str = "FLOAT") -> Callable[[], Any]:
        return lambda: soundfile.write(name, samples, rate, subtype=subtype)

    kinds = {
        "three.wav": write("three.wav", np.stack([n] * 3, 1), RATE),
        "many.wav": write("many.wav", np.stack([n] * 64, 1), RATE),
        "one.wav": write("one.wav", n[:1], RATE),
        "two.wav": write("two.wav", n[:2], RATE),
        "fast.wav": write("fast.wav", n, 384_000),
        "slow.wav": write("slow.wav", n, 1000),
        "slower.wav": write("slower.wav", n, 1),
        "odd.wav": write("odd.wav", n, 44_101),
        "loud.wav": write("loud.wav", 1e30 * n, RATE),
        "quiet.wav": write("quiet.wav", 1e-30 * n, RATE),
        "small.wav": write("small.wav", np.full(4000, 1e-42), RATE),
        "level.wav": write("level.wav", np.ones(4000), RATE),
        "click.wav": write("click.wav", np.eye(1, 4000, 2000)[0], RATE),
        "holes.wav": write("holes.wav", holes, RATE),
        "eight.wav": write("eight.wav", n, RATE, "PCM_U8"),
        "empty.wav": write("empty.wav", np.zeros((0, 2)), RATE),
    }
    for name, make in kinds.items():
        yield ["train", "--audio", name, *TINY.split()], make, True
        yield ["explore", name, "--out", "new"], make, True
        yield ["spectrogram", name, "song.wav", "--out", "new.png"], make, True
        yield [*GENERATE.split(), "--seed-audio", name], make, True
        both = ["--real", name, "--generated", "song.wav", "--out", "new.html"]
        yield ["evaluate-audio", *both], make, True
        both = ["--real", "song.wav", "--generated", name, "--out", "new.html"]
        yield ["evaluate-audio", *both], make, True
        yield ["train", "--audio", "song.wav", name, *TINY.split()], make, True


def mixed_audio() -> Group:
    """Folders and pairs of files."""
    copies: dict[str, Callable[[], Any]] = {
        "song.wav SONG.WAV": lambda: shutil.copy("song.wav", "SONG.WAV"),
        "song.wav song.wav": nothing,
        "song.wav ./song.wav": nothing,
        "song.wav link.wav": lambda: os.symlink("song.wav", "link.wav"),
        "song.wav short.wav": nothing,
        "song.wav missing.wav": nothing,
        "song.wav tiny.yaml": nothing,
        "song.wav run": nothing,
        "run exported": nothing,
        ".": nothing,
        "..": nothing,
        "inner": lambda: (os.mkdir("inner"), os.symlink("..", "inner/up"), os.symlink("x", "x")),
        "song.txt": lambda: shutil.copy("song.wav", "song.txt"),
        "song.mp3": lambda: shutil.copy("song.wav", "song.mp3"),
        "-song.wav": lambda: shutil.copy("song.wav", "-song.wav"),
        "so\u0301ng.wav": lambda: shutil.copy("song.wav", "so\u0301ng.wav"),
        "song\u202e.wav": lambda: shutil.copy("song.wav", "song\u202e.wav"),
        "closed.wav": lambda: (shutil.copy("song.wav", "closed.wav"), os.chmod("closed.wav", 0)),
        "https://": nothing,
        "https://[::1": nothing,
        "https://127.0.0.1:99999/a.wav": nothing,
        "http://127.0.0.1:9/a\u00e9.wav": nothing,
        "ftp://127.0.0.1:1/a.wav": nothing,
        "memory://nothing.wav": nothing,
        "memory://": nothing,
        "local://song.wav": nothing,
        "data://text,hello": nothing,
        "zip://a.wav::nothing.zip": nothing,
        "simplecache::https://127.0.0.1:1/a.wav": nothing,
        "file://song.wav": nothing,
        "gs://": nothing,
    }
    for words, make in copies.items():
        yield ["train", "--audio", *words.split(), *TINY.split()], make, True
    for words in ("--live 0 --live 70000", "--track nothing", "--track", "--cache song.wav"):
        yield f"train --audio song.wav {TINY} {words}".split(), nothing, False
    for words in ("--cache /proc/nowhere", "--sample-rate 999", "--sample-rate 384001"):
        yield f"train --audio song.wav {TINY} {words}".split(), nothing, False
    most = "--sample-rate 384000 --window 4096 --batch 8"  # else thousands of steps
    for words in (most, "--sample-rate 1000", "--mono --no-trim", "--cache run"):
        yield f"train --audio song.wav {TINY} {words}".split(), nothing, True


def moved_runs() -> Group:
    """Runs that are renamed, linked, nested, or have lost what they stand on."""
    corpus = json.loads(Path("run/run.json").read_text())["corpus"]
    places: dict[str, Callable[[], Any]] = {
        "moved": lambda: os.rename("run", "moved"),
        "linked": lambda: os.symlink("run", "linked"),
        "run/": nothing,
        "./run/../run": nothing,
        "run/samples": nothing,
        "run/run.json": nothing,
        "exported": nothing,
        "two words": lambda: os.rename("run", "two words"),
        "n\u00e9w\nrun": lambda: os.rename("run", "n\u00e9w\nrun"),
        os.fsdecode(b"run-\xff"): lambda: os.rename("run", b"run-\xff"),
        "gone": lambda: (
            os.rename("run", "gone"),
            Path("gone/run.json").write_text(
                Path("gone/run.json").read_text().replace(corpus, "/gone")
            ),
        ),
        "both": lambda: (
            shutil.copytree("run", "both"),
            shutil.copytree("exported", "both", dirs_exist_ok=True),
        ),
    }
    for place, make in places.items():
        for words in (
            ["evaluate", "--run", place],
            ["export", "--run", place, "--out", "new"],
            ["report", "--run", place, "--seconds", "0"],
            ["compare", place, "run", "--out", "new.html"],
            ["train", "--resume", "--run", place],
            ["rerun", place, "--out", "new"],
        ):
            yield words, make, True
    for words in (
        "export --run run --out run",
        "export --run run --out exported",
        "export --run run --out run/exported",
        "rerun run --out run",
        "rerun run --out early",
        "train --audio song.wav --run early",
        "train --audio song.wav --run exported",
        "explore song.wav --out run",
        "report --run run --out run",
        "report --run run --out run/run.json",
        "compare run --out run/run.json",
        "compare run run run",
        "train --resume --run run --minutes 1e-9",
        "train --resume --run run --epochs 1",
        "evaluate --run run --checkpoint last",
    ):
        yield words.split(), nothing, True


GROUPS = (
    unusual_audio,
    mixed_audio,
    moved_runs,
)
