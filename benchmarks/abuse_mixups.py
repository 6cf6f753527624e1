"""What is whole and in the wrong place, or named twice, for `abuse.py`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from abuse_case import GENERATE, RATE, TINY, Group, nothing, written

TRAIN = f"train --audio song.wav {TINY}"
SEEDED = "generate exported/generator.onnx --seconds 0.1 --seed-audio song.wav --out"
SWEEP = {"audio": "song.wav", "recipe": "tiny.yaml", "epochs": 1, "trials": 1}


def outputs_that_are_inputs() -> Group:
    """What is read, or was made by others, is not written over."""
    curves = '{"temperature": [[0, 1]]}'

    def music(*more: Callable[[], Any]) -> Callable[[], Any]:
        def make() -> None:
            os.mkdir("music")
            shutil.copy("song.wav", "music/a.wav")
            for each in more:
                each()

        return make

    def folder(name: str) -> Callable[[], Any]:
        return lambda: (os.makedirs(name), Path(name, "mine.txt").write_text("mine"))

    for words, make in (
        (f"{SEEDED} song.wav", nothing),
        (f"{SEEDED} ./run/../song.wav", nothing),
        (f"{SEEDED} link.wav", lambda: os.symlink("song.wav", "link.wav")),
        (f"{SEEDED} hard.wav", lambda: os.link("song.wav", "hard.wav")),
        (
            "generate a.wav --seconds 0.1 --out a.wav",
            lambda: shutil.copy("exported/generator.onnx", "a.wav"),
        ),
        (GENERATE.replace("new.wav", "a.wav") + " --curves a.wav", written("a.wav", curves)),
        (
            "generate exported/generator.onnx --seconds 0.1 --seed-audio a-2.wav --streams 2 "
            "--out a.wav",
            lambda: shutil.copy("song.wav", "a-2.wav"),
        ),
        ("compare run --out run/log.csv", nothing),
        ("compare run --out run/run.json", nothing),
        ("compare early --out run/report.html", nothing),
        ("compare run --out exported/generator.html", written("exported/generator.html", "page")),
        ("compare run --out index.html", written("index.html", "<p>mine")),
        ("report --run run --seconds 0 --out index.html", written("index.html", "<p>mine")),
        ("evaluate-audio --real song.wav --generated song.wav --out run/report.html", nothing),
        ("report --run run --seconds 0 --out tiny.yaml", nothing),
        ("report --run run --seconds 0 --out run/log.csv", nothing),
        ("evaluate-audio --real song.wav --generated song.wav --out song.wav", nothing),
        ("spectrogram song.wav --out song.wav", nothing),
        ("spectrogram song.wav --out plain", written("plain", "mine")),
        ("explore song.wav --out song.wav", nothing),
        ("train --audio music --recipe tiny.yaml --run music --epochs 1", music()),
        (f"{TRAIN} --cache new", nothing),
        (f"{TRAIN} --cache ./new/../new", nothing),
        ("export --run run --out a", folder("a/saved_model")),
        ("export --run run --out a", folder("a/triton")),
        ("export --run run --out music", music(written("music/generator.onnx", "mine"))),
        ("export --run run --out music", music(written("music/generator.html", "mine"))),
        ("export --run run --out a", lambda: os.symlink("a", "a")),
        ("export --run run --out a", lambda: os.symlink("nowhere", "a")),
        ("sweep a.yaml --out a.yaml", written("a.yaml", json.dumps(SWEEP))),
        ("listen-test --real song.wav --a song.wav --out music", music()),
        ("listen-test --real missing.wav --a song.wav --out a/b/c", nothing),
        (f"compare run --out a/b/{'x' * 256}.html", nothing),
        ("export --run run --out exported", folder("exported/triton/other")),
        ("explore song.wav --out a", lambda: (os.mkdir("a"), os.mkfifo("a/explore.json"))),
        ("explore song.wav --out a", lambda: os.makedirs("a/minutes.png")),
        ("export --run run --out exported", written("exported/.lock", "mine")),
        ("train --resume --run run --epochs 2", written("run/.lock-holder", "mine")),
    ):
        yield words.split(), make, False
    for words in (
        "train --audio music --recipe tiny.yaml --run music/run --epochs 1",
        "train --audio music --recipe tiny.yaml --run new --epochs 1 --cache music",
        "train --audio . --recipe tiny.yaml --run new --epochs 1",
        f"{TRAIN} --cache new/cache",
        "explore music/a.wav --out music",
        "export --run run --out music",
        "export --run run --out .",
        "train --resume --run run --epochs 2",
        "rerun run --out run/again",
        f"{TRAIN} --run {'x' * 255}",
        f"export --run run --out {'x' * 255}",
        f"spectrogram song.wav --out {'x' * 251}.png",
        f"compare run --out {'x' * 250}.html",
        GENERATE.replace("new.wav", f"{'x' * 251}.wav"),
    ):
        yield words.split(), music(folder("run/.partial-12/old")), True


def given_twice() -> Group:
    """Values that are given twice, and flags that exclude one another."""
    twice = '{"temperature": [[0, 1]], "temperature": [[0, 0.5]]}'
    for words, make in (
        (f"{GENERATE} --control temperature=1 temperature=0.5", nothing),
        (f"{GENERATE} --control temperature=1 --control temperature=0.5", nothing),
        (f"{GENERATE} --control temperature=1 --control nothing=1", nothing),
        (f"{GENERATE} --control temperature=1 --temperature 0.5", nothing),
        (f"{GENERATE} --temperature 1 --temperature 0.5", nothing),
        (f"{GENERATE} --curves a.json", written("a.json", twice)),
        (
            f"{GENERATE} --curves a.csv",
            written("a.csv", "seconds,temperature,temperature\n0,1,2\n"),
        ),
        (f"{GENERATE} exported/generator.onnx", nothing),
        (f"{GENERATE} --web", nothing),
        (f"{GENERATE} --latency 0.1", nothing),
        (f"{GENERATE} --refiner exported/generator.onnx", nothing),
        (f"{GENERATE} --music night", nothing),
        (f"{TRAIN} --audio missing.wav", nothing),
        (f"{TRAIN} --set data.batch=2 data.batch=4", nothing),
        (f"{TRAIN} --set data.batch=2 --set data.batch=4", nothing),
        (f"{TRAIN} --set data.batch=2 --batch 4", nothing),
        (f"{TRAIN} --set data.shift=64 --shift 128", nothing),
        (f"{TRAIN} --minutes 1", nothing),
        ("recipe raw default", nothing),
        ("recipe raw --schema", nothing),
        ("recipe --set data.batch=2", nothing),
        ("recipe tiny", nothing),
        ("recipe run", nothing),
        ("recipe run/run.json", nothing),
        ("train --audio song.wav --recipe run --run new", nothing),
        ("train --resume --run run --random-seed 0", nothing),
        ("train --resume --run run --mono", nothing),
        ("train --resume --run run --no-trim", nothing),
        ("train --resume --run run --shift 64", nothing),
        ("train --resume --run run --cache new", nothing),
        ("train --resume --run run --minutes 1 --epochs 4", nothing),
        ("export --run run --out new --overlap -1", nothing),
        ("export --run run --out new --overlap 99999999999", nothing),
        ("evaluate --run early", nothing),
        ("export --run early --out new", nothing),
        ("report --run early", nothing),
        ("listen-test --results a.json --real song.wav", written("a.json", "{}")),
        ("listen-test --results a.json --results a.json", written("a.json", "{}")),
        ("listen-test --b song.wav", nothing),
    ):
        yield words.split(), make, False


def odd_metadata() -> Group:
    """Exported files of another layout, and graphs that do not fit what they say."""
    import onnx

    proto = onnx.load("exported/generator.onnx")
    (metadata,) = (p.value for p in proto.metadata_props if p.key == "keras_rawaudio")
    values = json.loads(metadata)
    (control,) = values["controls"]
    words = [*GENERATE.split(), "--random-seed", "1"]

    def changed(change: Callable[[Any], Any]) -> Callable[[], Any]:
        def write() -> None:
            model = onnx.load("exported/generator.onnx")
            change(model)
            Path("exported/generator.onnx").write_bytes(model.SerializeToString())

        return write

    def described(**change: Any) -> Callable[[], Any]:
        kept = {key: value for key, value in (values | change).items() if value is not None}

        def write(model: Any) -> None:
            for entry in model.metadata_props:
                if entry.key == "keras_rawaudio":
                    entry.value = json.dumps(kept)

        return changed(write)

    for name in ("channels", "controls", "limits", "recipe", "delay", "overlap"):
        yield words, described(**{name: None}), True  # files of before lack them
    for change in ({"future": "yes"}, {"recipe": "x"}, {"overlap": -3}):
        yield words, described(**change), True
    for change in (
        {"deterministic": None},
        {"controls": [1]},
        {"controls": [control, control]},
        {"controls": [control | {"minimum": 2, "maximum": 1}]},
        {"controls": [control | {"name": "warp"}]},
        {"controls": [control | {"name": "\x1b[2J"}]},
        {"music": {"names": ["a"], "shares": []}},
        {"music": {"names": ["a", "a"], "shares": [0.5, 0.5]}},
        {"format_version": 0},
        {"kind": "refiner"},
        {"sample_rate": 5 * 10**9},
    ):
        yield words, described(**change), False
    for alter in (
        lambda model: setattr(model.opset_import[0], "version", 99),
        lambda model: setattr(model, "ir_version", 99),
        lambda model: setattr(model.graph.input[0], "name", "x"),
        lambda model: setattr(model.graph.node[0], "domain", "other"),
        lambda model: setattr(model.graph.node[0], "op_type", "Nothing"),
        lambda model: model.graph.ClearField("node"),
        lambda model: model.graph.ClearField("output"),
        lambda model: model.ClearField("metadata_props"),
    ):
        yield words, changed(alter), False


def kinds_of_audio() -> Group:
    """Audio of every encoding, of odd content, and folders of what goes together or not."""
    import soundfile

    tone = 0.5 * np.sin(2 * np.pi * 0.1 * np.arange(6000))
    stereo = np.stack([tone, -tone], 1)

    def write(
        name: str, samples: Any, rate: int = RATE, subtype: str = "PCM_16", kind: str | None = None
    ) -> Callable[[], Any]:
        return lambda: soundfile.write(name, samples, rate, subtype=subtype, format=kind)

    def folder(*makes: Callable[[], Any]) -> Callable[[], Any]:
        return lambda: (os.mkdir("f"), shutil.copy("song.wav", "f/a.wav"), [m() for m in makes])

    kinds = {
        "square.wav": write("square.wav", np.sign(tone)),
        "constant.wav": write("constant.wav", np.full(6000, 0.3)),
        "silent.wav": write("silent.wav", np.zeros(6000)),
        "seven.wav": write("seven.wav", np.stack([tone] * 7, 1)),
        "bit.wav": write("bit.wav", np.arange(6000) % 2 / 32768),
        "huge.wav": write("huge.wav", 1e300 * tone, subtype="DOUBLE"),
        os.fsdecode(b"caf\xe9$x^{$.wav"): lambda: shutil.copy("song.wav", b"caf\xe9$x^{$.wav"),
        "opposite.wav": write("opposite.wav", stereo),
        "alaw.wav": write("alaw.wav", tone, subtype="ALAW"),
        "adpcm.wav": write("adpcm.wav", tone, subtype="IMA_ADPCM"),
        "gsm.wav": write("gsm.wav", tone, 8000, "GSM610"),
        "a.opus": write("a.opus", tone, 48_000, "OPUS", "OGG"),
        "a.rf64": write("a.rf64", tone, kind="RF64"),
        "a.caf": write("a.caf", tone, kind="CAF"),
        "a.raw": written("a.raw", bytes(4000)),
        "f": folder(written("f/cover.mp3", b"\x89PNG\r\n\x1a\n" + bytes(500))),
    }
    for name, make in kinds.items():
        yield ["train", "--audio", name, *TINY.split()], make, name not in ("f", "silent.wav")
        yield ["explore", name, "--out", "new"], make, True
        yield [*GENERATE.split(), "--seed-audio", name], make, True
        yield f"listen-test --real {name} --a {name} --out new --seconds 1".split(), make, False
        both = ["--real", name, "--generated", name, "--out", "new.html"]
        yield ["evaluate-audio", *both], make, True
    damaged = np.where(np.arange(6000) == 5000, np.nan, tone)
    for more, harmless in (
        (written("f/list.mp3", "#EXTM3U\na.wav\n"), False),
        (written("f/b.wav", b"RIFFxxxx"), False),
        (written("f/b.wav", b""), False),
        (write("f/b.wav", damaged, subtype="FLOAT"), False),
        (write("f/b.wav", np.zeros(6000)), True),
        (write("f/b.wav", stereo, 8000), True),
        (written("f/.b.wav", b"RIFFxxxx"), True),
        (written("f/list.m3u", "a.wav\n"), True),
        (lambda: os.utime("f/a.wav", (2**33, 2**33)), True),
        (lambda: os.utime("f/a.wav", (-(10**9), -(10**9))), True),
        (lambda: os.rename("f/a.wav", "f/" + "n" * 251 + ".wav"), True),
    ):
        yield ["train", "--audio", "f", *TINY.split()], folder(more), harmless


GROUPS = (outputs_that_are_inputs, given_twice, odd_metadata, kinds_of_audio)
