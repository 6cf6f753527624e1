"""Odd uses of what is whole: audio, runs and files that are moved, mixed or meant otherwise."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from abuse_case import RATE, RECIPE, Group, nothing

TINY = "--recipe tiny.yaml --run new --epochs 1"
GENERATE = "generate exported/generator.onnx --seconds 0.1 --out new.wav"


def written(name: str, content: str | bytes) -> Callable[[], Any]:
    """Make a file."""
    data = content if isinstance(content, bytes) else content.encode()
    return lambda: Path(name).write_bytes(data)


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
    for words in ("--sample-rate 384000", "--sample-rate 1000", "--mono --no-trim", "--cache run"):
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


def sampler_files() -> Group:
    """Curves, maps and flags of the sampler, of a device and of the server."""
    for name, content in {
        "empty.json": "",
        "empty.csv": "",
        "list.json": "[]",
        "nan.json": '{"temperature": [[0, NaN]]}',
        "time.json": '{"temperature": [[NaN, 1]]}',
        "inf.json": '{"temperature": [[0, 1e999]]}',
        "back.json": '{"temperature": [[1, 1], [0, 1]]}',
        "none.json": '{"temperature": []}',
        "flat.json": '{"temperature": [0, 1]}',
        "text.json": '{"temperature": "01"}',
        "deep.json": "[" * 100_000,
        "unknown.json": '{"loudness": [[0, 1]]}',
        "far.json": '{"temperature": [[0, 99]]}',
        "digits.json": '{"temperature": [[0, ' + "9" * 5000 + "]]}",
        "header.csv": "temperature\n1\n",
        "ragged.csv": "seconds,temperature\n0\n",
        "long.csv": "seconds,temperature\n0,1,2\n",
        "words.csv": "seconds,temperature\nnow,hot\n",
        "nan.csv": "seconds,temperature\n0,nan\n",
        "null.csv": "seconds,temperature\n0,\0\n",
        "quote.csv": 'seconds,temperature\n0,"1\n',
        "only.csv": "seconds,temperature\n",
        "latin.csv": b"seconds,temp\xe9rature\n0,1\n",
        "utf16.csv": "seconds,temperature\n0,1\n".encode("utf-16"),
        "curves.txt": "seconds,temperature\n0,1\n",
    }.items():
        yield [*GENERATE.split(), "--curves", name], written(name, content), False
    for path, make in {
        "fifo.json": lambda: os.mkfifo("fifo.json"),
        "folder.json": lambda: os.mkdir("folder.json"),
        "/dev/zero": nothing,
        "loop.json": lambda: os.symlink("loop.json", "loop.json"),
        "x" * 300: nothing,
    }.items():
        yield [*GENERATE.split(), "--curves", path], make, False
        knobs = "generate exported/generator.onnx --out - --seconds 0.1 --midi none --midi-map"
        yield [*knobs.split(), path], make, False
        yield ["serve", path], make, False
    for words in (
        "--control temperature",
        "--control temperature=",
        "--control =1",
        "--control temperature=nan",
        "--control temperature=1e999",
        "--control temperature=0",
        "--control nothing=1",
        "--control temperature=1=2",
        "--control",
        "--osc 9000",
        "--osc x --play",
        "--osc :-1 --play",
        "--midi nothing",
        "--midi-map a.json",
        "--midi-learn a.json",
        "--latency nan --play",
        "--latency -1 --play",
        "--device 0",
        "--web 0",
        "--web -1",
        "--web nan",
        "--keep 1 --play",
        "--keep 2 --streams 1",
        "--streams 0 --temperature 1,2",
        "--temperature 1 2 3",
        "--threads 99999999999999999999",
        "--random-seed 1e3",
        "--block 1e-30 --seconds nan",
        "--seed-start 1",
        "--keep-seed",
        "--seed-audio song.wav --seed-seconds 1e300",
        "--seed-audio song.wav --seed-start 1e300",
        "--provider cuda",
    ):
        yield [*GENERATE.split(), *words.split()], nothing, "seed-seconds" in words
    for words in ("--out new", "--out new.mp3", "--out .wav", "--out", "--seconds 1e300"):
        yield [*GENERATE.split(), *words.split()], nothing, words == "--out .wav"
    for words in (
        "",
        "nothing.onnx",
        "song.wav",
        "exported",
        "exported/generator.onnx --port -1",
        "exported/generator.onnx --port 65536",
        "exported/generator.onnx --port x",
        "exported/generator.onnx --host 999.1.1.1",
        "exported/generator.onnx --host a\u00e9..b",
        "exported/generator.onnx --host " + "x" * 300,
        "exported/generator.onnx --port 0 --listeners 0",
        "exported/generator.onnx --port 0 --temperature nan",
        "exported/generator.onnx --port 0 --temperature 0",
        "exported/generator.onnx --port 0 --threads -1",
        "exported/generator.onnx --port 0 --random-seed -1",
        "exported/generator.onnx --port 0 --seed-audio nothing.wav",
        "exported/generator.onnx --port 0 --token",
    ):
        yield ["serve", *words.split()], nothing, False


def other_files() -> Group:
    """Files of a sweep and of a listening test."""
    sweep = {"audio": "song.wav", "recipe": "tiny.yaml", "epochs": 1, "trials": 1}
    search = {"search": {"data.batch": [2]}}
    for number, change in enumerate(
        (
            {},
            {"search": {}},
            {"search": []},
            {"search": {"data.batch": []}},
            {"search": {"data.batch": {"low": 4, "high": 2}}},
            {"search": {"data.batch": {"low": 1}}},
            {"search": {"data.batch": {"low": 1, "high": 2, "step": 0}}},
            {"search": {"data.batch": {"low": 1, "high": 2, "log": "yes"}}},
            {"search": {"data.batch": {"low": 0, "high": 2, "log": True}}},
            {"search": {"data.bacth": [2]}},
            {"search": {"": [2]}},
            {**search, "trials": 0},
            {**search, "trials": "many"},
            {**search, "trials": 10**9},
            {**search, "minutes": 1},
            {**search, "minutes": -1, "epochs": None},
            {**search, "epochs": 0},
            {**search, "audio": []},
            {**search, "audio": "nothing.wav"},
            {**search, "audio": 3},
            {**search, "recipe": "nothing"},
            {**search, "recipe": "."},
            {**search, "sample_rate": -1},
            {**search, "sample_rate": 10**9},
            {**search, "seed": -1},
            {**search, "set": {"data": 1}},
            {**search, "set": [1]},
            {**search, "nonsense": 1},
        )
    ):
        name = f"sweep{number}.yaml"
        text = json.dumps(sweep | change)
        yield ["sweep", name, "--out", "new"], written(name, text), False
    whole = json.dumps(sweep | search)
    for words in (
        "--out song.wav",
        "--out run",
        "--engine none",
        "--out /proc/new",
        "--out song.wav/x",
    ):
        yield ["sweep", "a.yaml", *words.split()], written("a.yaml", whole), False
    test = "listen-test --real song.wav --out new --seconds 1 --trials 2"
    for words in (
        "--a song.wav",
        "--a nothing",
        "--a exported",
        "--a tiny.yaml",
        "--a run --b exported",
        "--a /dev/zero",
        "--b song.wav",
        "--a song.wav --trials 1",
        "--a song.wav --seconds nan",
        "--a song.wav --real nothing",
        "--a song.wav --out run",
        "--a song.wav --out song.wav",
        "--a song.wav --out /proc/new",
        "--a song.wav --difference 0.6",
        "--a song.wav --results a.json",
    ):
        yield [*test.split(), *words.split()], nothing, False
    for content in ("", "[]", "{}", "null", '{"format": "keras-rawaudio listening test, key"}'):
        yield ["listen-test", "--results", "a.json"], written("a.json", content), False
    for path, make in {
        "fifo": lambda: os.mkfifo("fifo"),
        "/dev/zero": nothing,
        "run": nothing,
        "missing": nothing,
    }.items():
        yield ["listen-test", "--results", path], make, False
        yield ["sweep", path, "--out", "new"], make, False
        yield ["sweep", f"{path}.yaml", "--out", "new"], make, False
    for text in (RECIPE + "data: 1\n", RECIPE.replace("units: 4", "units: 1e5"), RECIPE[:40]):
        yield (
            ["train", "--audio", "song.wav", "--recipe", "a.yaml", "--run", "new"],
            written("a.yaml", text),
            False,
        )
    for words in (
        "data.length=1048576",
        "data.length=1048576 data.shift=random data.batch=4096",
        "data.batch=1000000",
        "tiers.0.units=100000",
        "tiers.0.units=16384 tiers.0.layers=5",
    ):
        yield f"train --audio song.wav {TINY} --set {words}".split(), nothing, False
        name = words.replace("tiers.0", "spectral").replace(" data.shift=random", "")
        yield f"train --audio song.wav --run new --set {name}".split(), nothing, False


GROUPS = (
    unusual_audio,
    mixed_audio,
    moved_runs,
    sampler_files,
    other_files,
)
