"""Checkpoints and exported files that are damaged or hostile, for `abuse.py`."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from abuse_case import Group, nothing


def checkpoints() -> Group:
    """Models and training states that are damaged or of something else."""
    with zipfile.ZipFile("run/best.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def model(changed: dict[str, bytes]) -> Callable[[], Any]:
        def write() -> None:
            with zipfile.ZipFile("run/best.keras", "w") as archive:
                for name, content in (members | changed).items():
                    archive.writestr(name, content)

        return write

    config = members["config.json"]
    damages = [
        lambda: Path("run/best.keras").write_bytes(b""),
        lambda: Path("run/best.keras").write_bytes(b"no archive"),
        lambda: Path("run/best.keras").write_bytes(Path("run/best.keras").read_bytes()[:-500]),
        lambda: (os.remove("run/best.keras"), os.mkdir("run/best.keras")),
        lambda: (os.remove("run/best.keras"), os.mkfifo("run/best.keras")),
        lambda: os.remove("run/best.keras"),
        model({"config.json": b"[]"}),
        model({"config.json": b"{}"}),
        model({"config.json": b"\xff"}),
        model({"config.json": config.replace(b"AudioModel", b"Popen")}),
        model({"config.json": config.replace(b'"units": 4', b'"units": -4')}),
        model({"config.json": config.replace(b'"units": 4', b'"units": 5')}),
        model({"model.weights.h5": b"no weights"}),
        model({"model.weights.h5": members["model.weights.h5"][:300]}),
    ]
    for damage in damages:
        yield ["evaluate", "--run", "run"], damage, False
        yield ["export", "--run", "run", "--out", "new"], damage, False

    def state(change: Callable[[dict[str, Any]], Any]) -> Callable[[], Any]:
        def write() -> None:
            with np.load("run/training_state.npz") as saved:
                arrays = {name: saved[name] for name in saved.files}
            change(arrays)
            os.remove("run/training_state.previous.npz")
            with open("run/training_state.npz", "wb") as file:
                np.savez(file, **arrays)

        return write

    def progress(text: str) -> Callable[[], Any]:
        return state(lambda arrays: arrays.update(progress=np.array(text)))

    for damage in (
        state(lambda arrays: arrays.clear()),
        state(lambda arrays: arrays.pop("progress")),
        state(lambda arrays: arrays.update(more=np.zeros(3))),
        state(lambda arrays: arrays.update(progress=np.zeros(3))),
        state(lambda arrays: arrays.update(progress=np.array([{}], dtype=object))),
        state(lambda arrays: arrays.update({"model/0": np.zeros((7, 7))})),
        state(lambda arrays: arrays.update({"model/0": np.array([{}], dtype=object)})),
        *map(progress, ("", "[]", "{}", "1", '{"steps": -1, "seconds": 0, "best": 0}')),
        progress('{"steps": 1, "seconds": NaN, "best": 0, "since_best": 0}'),
        progress('{"steps": "1", "seconds": 0, "best": 0, "since_best": 0}'),
        progress('{"steps": 1, "seconds": 0, "best": [], "since_best": 0}'),
        progress("9" * 100_000),
    ):
        yield ["train", "--resume", "--run", "run", "--epochs", "2"], damage, False


def archives() -> Group:
    """Model files that are hostile: code, sizes that no machine has, names that lead out."""
    with zipfile.ZipFile("run/best.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])

    def model(changed: dict[str, bytes]) -> Callable[[], Any]:
        def write() -> None:
            with zipfile.ZipFile("run/best.keras", "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in (members | changed).items():
                    archive.writestr(name, content)

        return write

    def bomb(name: str) -> Callable[[], Any]:
        def write() -> None:
            with zipfile.ZipFile("run/best.keras", "w", zipfile.ZIP_DEFLATED) as archive:
                for other, content in members.items():
                    if other != name:
                        archive.writestr(other, content)
                with archive.open(name, "w", force_zip64=True) as file:
                    for _ in range(600):
                        file.write(bytes(1 << 20))

        return write

    def configured(**values: Any) -> Callable[[], Any]:
        return model({"config.json": json.dumps({**config, **values}).encode()})

    def sized(old: str, new: str) -> Callable[[], Any]:
        return model({"config.json": members["config.json"].replace(old.encode(), new.encode())})

    lambdas = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "x"}}
    damages = [
        configured(module="os", class_name="system", config={"command": "touch owned"}),
        configured(module="builtins", class_name="exec", config={}),
        configured(**lambdas),
        configured(registered_name="nonsense"),
        configured(config=None),
        configured(config=[]),
        configured(build_config={"input_shape": [10**9, 10**9]}),
        sized('"units": 4', '"units": 10000000000'),
        sized('"units": 4', '"units": 1000000'),
        sized('"frame_size": 64', '"frame_size": 8000000000'),
        sized('"hidden_units": 8', '"hidden_units": 8000000000'),
        model({"../owned": b"out"}),
        model({"/tmp/owned-by-abuse": b"out"}),
        model({"config.json": b"[" * 100_000}),
        model({"metadata.json": b"["}),
        bomb("config.json"),
        bomb("model.weights.h5"),
    ]
    for number, damage in enumerate(damages):
        harmless = number == 6 or 11 <= number < 15  # nothing asks for these
        yield ["evaluate", "--run", "run"], damage, harmless
        yield ["export", "--run", "run", "--out", "new"], damage, harmless


def generators() -> Group:
    """Exported files that were changed, and flags of the sampler."""
    import onnx

    generate = ["generate", "exported/generator.onnx", "--out", "new.wav"]
    proto = onnx.load("exported/generator.onnx")
    (metadata,) = (p.value for p in proto.metadata_props if p.key == "keras_rawaudio")
    values = json.loads(metadata)

    def described(text: str) -> Callable[[], Any]:
        def write() -> None:
            changed = onnx.load("exported/generator.onnx")
            for entry in changed.metadata_props:
                if entry.key == "keras_rawaudio":
                    entry.value = text
            onnx.save(changed, "exported/generator.onnx")

        return write

    state = values["states"][0]
    for change in (
        *({"sample_rate": value} for value in (0, -1, 1.5, "2000", None, True, 10**30)),
        *({"frame": value} for value in (0, 7, 10**9, "8")),
        *({"channels": value} for value in (0, 2, 65, "1")),
        *({"noise_per_sample": value} for value in (-1, 0, 5, 10**9)),
        *({"delay": value} for value in (-1, 10**9, "0")),
        *({"states": value} for value in (None, 1, {}, [], [1], [state, state], [{}], "states")),
        *(
            {"states": [{**state, "shape": value}]}
            for value in (None, [-1], [10**9, 10**9], "4", [1.5])
        ),
        *({"states": [{**state, "initial": value}]} for value in ("x", None, [0])),
        *({"limits": value} for value in ([], "x", {"loud": "x"}, {"loud": None})),
        {"format_version": 2},
        {"format_version": "1"},
    ):
        yield [*generate, "--seconds", "0.1"], described(json.dumps(values | change)), False
    for text in (
        "",
        "[]",
        "null",
        "NaN",
        "[" * 100_000,
        "{" * 9,
        '{"format_version": 1}',
        "9" * 5000,
    ):
        yield [*generate, "--seconds", "0.1"], described(text), False
    for words in (
        *(f"--seconds {value}" for value in ("nan", "inf", "-1", "0", "1e-300", "x")),
        "--seconds 1e12",
        *(
            f"--seconds 0.1 --temperature {value}"
            for value in ("nan", "-1", "0", "x", "1,2", "inf", ",")
        ),
        *(f"--seconds 0.1 --streams {value}" for value in ("0", "-1", "x", "1.5", "10000000000")),
        *(f"--seconds 0.1 --threads {value}" for value in ("0", "-1", "x", "9" * 9)),
        *(f"--seconds 0.1 --block {value}" for value in ("nan", "0", "-1", "inf")),
        *(f"--seconds 0.1 --random-seed {value}" for value in ("-1", "x", "1.5")),
        *(f"--seconds 0.1 --keep {value}" for value in ("0", "-1", "2", "x")),
        "--seconds 0.1 --provider tpu",
        "--seconds 0.1 --nonsense",
        *(
            f"--seconds 0.1 --seed-audio song.wav --seed-start {value}"
            for value in ("nan", "-1", "inf", "9")
        ),
        *(
            f"--seconds 0.1 --seed-audio song.wav --seed-seconds {value}"
            for value in ("nan", "-1", "0", "inf")
        ),
        *(
            f"--seconds 0.1 --seed-audio {name}"
            for name in ("missing", "exported", "tiny.yaml", "/dev/zero")
        ),
        "--seconds",
        "",
    ):
        yield [*generate, *words.split()], nothing, False
    for name, make in {
        "fifo": lambda: os.mkfifo("fifo"),
        "/dev/zero": nothing,
        "exported": nothing,
        "song.wav": nothing,
        "run/best.keras": nothing,
        "new\nline": nothing,
        "x" * 300: nothing,
        "a\0b": nothing,
        "loop": lambda: os.symlink("loop", "loop"),
        os.fsdecode(b"\xff.onnx"): nothing,
        "": nothing,
    }.items():
        yield ["generate", name, "--seconds", "0.1", "--out", "new.wav"], make, False


GROUPS = (
    checkpoints,
    archives,
    generators,
)
