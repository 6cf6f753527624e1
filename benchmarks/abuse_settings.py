"""Odd settings in files and flags: of the sampler, the server, sweeps and listening tests."""

from __future__ import annotations

import json
import os

from abuse_case import GENERATE, RECIPE, TINY, Group, nothing, written


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
        "many.json": json.dumps({f"t{number}": [[0, 1]] for number in range(50_000)}),
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
        "--midi-map a.yaml",
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
        "--seconds 1e308",
        "--block 1e308",
        "--seed-audio song.wav --seed-start 1e308",
        "--seed-audio song.wav --seed-seconds 1e308",
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
    for token in (" a", "a\t", "a\r", "a\nb"):
        yield ["serve", "exported/generator.onnx", "--port", "0", "--token", token], nothing, False


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


GROUPS = (sampler_files, other_files)
