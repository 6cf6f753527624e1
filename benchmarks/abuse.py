"""Bad input of all kinds to every command: how much of it is refused? One JSON line.

python benchmarks/abuse.py
python benchmarks/abuse.py --only run.json --show

A case is right if it ends within a minute with exit code 2, one line on stderr and no traceback,
and leaves no file; some may also end well, with exit code 0. Everything runs in this process, on a
run of a few steps that is trained at the beginning.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import signal
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import print_line

LONGEST = 60  # seconds; a case that is harmless may train a little
RATE = 2000
RECIPE = """
description: next to nothing
codec: {name: mulaw, levels: 16}
tiers: [{frame_size: 8, units: 4}]
head: {kind: categorical, hidden_units: 8, layers: 1}
data: {length: 64, batch: 2}
training: {sample_seconds: 0.0}
"""


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        name: group and number.
        command: as `keras_rawaudio.cli.main` takes it.
        prepare: damages the files of the folder that the command runs in.
        harmless: exit code 0 is right, too.
    """

    name: str
    command: list[str]
    prepare: Callable[[], Any] = lambda: None
    harmless: bool = False


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", help="cases whose names hold this")
    parser.add_argument("--show", action="store_true", help="print each case's line")
    return parser


def main(options: argparse.Namespace) -> int:
    from keras_rawaudio.cli.quiet import load_tensorflow

    load_tensorflow()
    began = time.monotonic()
    wrong, tried = [], 0
    with tempfile.TemporaryDirectory() as name:
        base = Path(name) / "base"
        os.environ["XDG_CACHE_HOME"] = f"{name}/cache"
        make_base(base)
        # All of them are made here, in the folder that they read.
        for case in [case for case in cases() if options.only in case.name]:
            tried += 1
            reason, line = attempt(case, base, Path(name) / "here")
            if options.show or reason:
                print(f"{case.name}: {reason or 'right'}: {line[:300]}", file=sys.stderr)
            wrong += [case.name] if reason else []
    print_line(
        {
            "benchmark": "abuse",
            "tried": tried,
            "right": tried - len(wrong),
            "wrong": wrong,
            "seconds": round(time.monotonic() - began),
        }
    )
    return 1 if wrong else 0


def make_base(base: Path) -> None:
    """Audio, a recipe and a run, which each case gets a copy of."""
    import soundfile

    from keras_rawaudio.cli import main as command
    from keras_rawaudio.data.corpus.synthesis import write_demo_piece

    base.mkdir(parents=True)
    write_demo_piece(base / "song.wav", 3.0, RATE)
    soundfile.write(base / "short.wav", np.sin(np.arange(100) / 9), RATE)
    (base / "tiny.yaml").write_text(RECIPE)
    os.chdir(base)
    words = "train --audio song.wav --recipe tiny.yaml --run run --epochs 1"
    with contextlib.redirect_stderr(io.StringIO()):
        if command(words.split()):
            raise RuntimeError("the run of the cases was not trained")
    shutil.copytree("run", "early")
    for path in Path("early").iterdir():
        if path.name not in ("request.json", "recipe.json", "run.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def attempt(case: Case, base: Path, here: Path) -> tuple[str, str]:
    """Run a case: why it is wrong (empty: it is right), and what it printed."""
    from keras_rawaudio.cli import main as command

    os.chdir(base)
    shutil.rmtree(here, ignore_errors=True)
    shutil.copytree(base, here, symlinks=True)
    os.chdir(here)
    case.prepare()
    before = set(here.rglob("*"))
    out, err = io.StringIO(), io.StringIO()

    def late(number: int, frame: Any) -> None:
        raise TimeoutError

    signal.signal(signal.SIGALRM, late)
    signal.alarm(LONGEST)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command(case.command)
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException as error:
        return f"{type(error).__name__}", str(error)
    finally:
        signal.alarm(0)
    lines = err.getvalue().splitlines()
    errors = [line for line in lines if line.startswith("keras-rawaudio")]
    if code == 0 and case.harmless:
        return "", "harmless"
    left = [str(p.relative_to(here)) for p in set(here.rglob("*")) - before]
    for reason in (
        code != 2 and f"exit code {code}",
        "Traceback" in err.getvalue() and "a traceback",
        len(errors) != 1 and f"{len(errors)} lines of error",
        "TimeoutError" in err.getvalue() and "it hung",
        left and f"it left {left}",
    ):
        if reason:
            return str(reason), err.getvalue().strip()[-300:]
    return "", errors[0]


def cases() -> Iterator[Case]:
    """All of them."""
    for group in (recipe_values, flags, paths, audio, recipe_files, run_folders, checkpoints):
        for number, (command, prepare, harmless) in enumerate(group()):
            shown = " ".join(command)[:70]
            yield Case(f"{group.__name__}-{number} {shown}", command, prepare, harmless)


Group = Iterator[tuple[list[str], Callable[[], Any], bool]]


def nothing() -> None:
    """Damage nothing."""


def recipe_values() -> Group:
    """Every number of a recipe, by values that are none."""
    numbers = {
        "data": ("length", "batch", "shift", "sequence"),
        "training": (
            *("learning_rate", "warmup_steps", "clip_norm", "weight_decay", "average"),
            *("early_stopping", "validate_every", "sample_seconds"),
        ),
        "tiers.0": (
            "frame_size",
            "window",
            "units",
            "layers",
            "clock_harmonics",
            "dropout",
            "input_noise",
        ),
        "head": ("hidden_units", "layers", "bunch", "lpc_order", "filters"),
    }
    for place, names in numbers.items():
        for name in names:
            for value in (".nan", ".inf", "-1", "1e30", "[]", "{a: 1}", "many"):
                yield ["recipe", "default", "--set", f"{place}.{name}={value}"], nothing, False


def flags() -> Group:
    """Numbers of flags, and flags that are none."""
    train = ["train", "--audio", "short.wav", "--run", "new"]
    given = {
        **dict.fromkeys(("--minutes", "--learning-rate", "--validate-every"), "nan inf 0 x"),
        **dict.fromkeys(("--epochs", "--batch", "--window", "--sample-rate"), "nan 1.5 0 -1 1e9 x"),
        **dict.fromkeys(("--sample-seconds",), "nan inf -1 x"),
        **dict.fromkeys(("--live", "--random-seed"), "nan -1 99999999999 x"),
        **dict.fromkeys(("--shift",), "nan -1 0 lane"),
        **dict.fromkeys(("--optimizer",), "adm 1"),
    }
    for flag, values in given.items():
        for value in values.split():
            yield [*train, flag, value], nothing, False
    for words in (
        *("", "trian", "train", "train --run", "export --run run", "evaluate --run run --split x"),
        *("report --run run --seconds nan", "report --run run --seconds -1", "compare", "rerun"),
        *(
            "spectrogram short.wav --out a.png --seconds nan",
            "explore",
            "train --nonsense",
        ),
        *("spectrogram short.wav --out a.png --seconds inf", "evaluate --run run --checkpoint x"),
        "train --resume --run run --audio song.wav",
        "train --resume --run run --recipe tiny.yaml",
        "train --resume --run run --learning-rate nan",
        "train --resume --run run --learning-rate -1",
        "train --audio song.wav --run new --minutes 1 --epochs 1",
    ):
        yield words.split(), nothing, False


def odd_paths() -> dict[str, Callable[[], Any]]:
    """Paths that are no file, and what has to be made for them."""
    return {
        "missing": nothing,
        "a\0b": nothing,
        "x" * 300: nothing,
        "/".join(["deep"] * 3000): nothing,
        "new\nline": nothing,
        "$HOME": nothing,
        os.fsdecode(b"not-utf-8-\xff"): nothing,
        "": nothing,
        "folder": lambda: os.mkdir("folder"),
        "fifo": lambda: os.mkfifo("fifo"),
        "/dev/null": nothing,
        "loop": lambda: os.symlink("loop", "loop"),
        "dangling": lambda: os.symlink("nowhere", "dangling"),
        "empty": lambda: Path("empty").touch(),
        "tiny.yaml": nothing,
    }


def paths() -> Group:
    """Every path of every command."""
    for path, prepare in odd_paths().items():
        yield ["train", "--audio", path, "--run", "new"], prepare, False
        yield (
            ["train", "--audio", "short.wav", "--run", "new", f"--recipe={path}.yaml"],
            nothing,
            False,
        )
        yield ["train", "--resume", f"--run={path}"], prepare, False
        yield ["export", f"--run={path}", "--out", "new"], prepare, False
        yield ["evaluate", f"--run={path}"], prepare, False
        yield ["report", f"--run={path}"], prepare, False
        yield ["compare", path], prepare, False
        yield ["rerun", path], prepare, False
        yield ["explore", path, "--out", "new"], prepare, False
        yield ["spectrogram", path, "--out", "new.png"], prepare, False
        real = ["evaluate-audio", "--real", path, "--generated", "short.wav", "--out", "new.html"]
        yield real, prepare, False
        if (
            path not in ("folder", "missing", "new\nline", "$HOME", "dangling")
            and "utf" not in path
        ):
            yield ["train", "--audio", "short.wav", f"--run={path}"], prepare, False
            if path:  # else it is a folder at the root
                yield ["explore", "song.wav", f"--out={path}/new"], prepare, False


def audio() -> Group:
    """Files that are no audio, or only begin as if they were."""
    import soundfile

    song = Path("song.wav").read_bytes()[:44]
    contents = {
        "empty.wav": b"",
        "text.flac": b"these are no samples",
        "noise.mp3": bytes(range(256)) * 8,
        "riff.wav": b"RIFF",
        "zeros.ogg": bytes(1000),
        **{f"cut{n}.wav": song[:n] for n in (11, 20, 36, 43, 44)},
        "channels.wav": song[:22] + struct.pack("<H", 0) + song[24:] + bytes(400),
        "many.wav": song[:22] + struct.pack("<H", 65535) + song[24:] + bytes(400),
        "rate.wav": song[:24] + struct.pack("<I", 0) + song[28:] + bytes(400),
        "fast.wav": song[:24] + struct.pack("<I", 2**32 - 1) + song[28:] + bytes(400),
        "bits.wav": song[:34] + struct.pack("<H", 0) + song[36:] + bytes(400),
        "long.wav": song[:40] + struct.pack("<I", 2**32 - 1) + bytes(100),
    }
    for name, content in contents.items():
        for command in (
            ["train", "--audio", name, "--run", "new"],
            ["explore", name, "--out", "new"],
            ["spectrogram", name, "--out", "new.png"],
        ):
            # A cut file of a few samples may be drawn as it is.
            harmless = command[0] != "train" and name in ("many.wav", "fast.wav", "long.wav")
            prepare = lambda name=name, content=content: Path(name).write_bytes(content)  # noqa: E731
            yield command, prepare, harmless
    bad = np.ones(4000)
    bad[700] = np.nan

    def write(samples: Any, subtype: str = "FLOAT") -> Callable[[], Any]:
        return lambda: soundfile.write("bad.wav", samples, RATE, subtype=subtype)

    for samples in (bad, bad * np.inf, np.zeros(4000), np.zeros(0), np.zeros(1)):
        yield ["train", "--audio", "bad.wav", "--run", "new"], write(samples), False


def recipe_files() -> Group:
    """Files that are no recipes."""
    bomb = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 30)
    )
    contents = {
        "latin.yaml": "description: \xe9\n".encode("latin-1"),
        "utf16.yaml": RECIPE.encode("utf-16"),
        "deep.yaml": b"[" * 20_000,
        "deep.json": b"[" * 200_000,
        "list.yaml": b"[1, 2]",
        "text.yaml": b"just words",
        "empty.yaml": b"",
        "bomb.yaml": bomb.encode(),
        "code.yaml": b"codec: !!python/object/apply:os.system ['touch owned']\n",
        "binary.yaml": bytes(range(256)),
        "number.json": b"9" * 10_000,
        "keys.yaml": (RECIPE + "nonsense: 1\n").encode(),
        "merge.yaml": b"<<: 1\n",
        "no-tier.yaml": RECIPE.replace("{frame_size: 8, units: 4}", "").encode(),
        "null.yaml": RECIPE.replace("{frame_size: 8, units: 4}", "null").encode(),
        "tabs.yaml": b"codec:\n\t- x",
    }
    for name, content in contents.items():
        prepare = lambda name=name, content=content: Path(name).write_bytes(content)  # noqa: E731
        yield ["recipe", name], prepare, False
        yield ["train", "--audio", "song.wav", "--run", "new", "--recipe", name], prepare, False


def run_folders() -> Group:
    """Descriptions and logs that are damaged, for each command that reads them."""
    description = json.loads(Path("run/run.json").read_text())
    contents = {
        "list": b"[1, 2]",
        "text": b'"text"',
        "torn": b"{",
        "empty": b"",
        "latin": '{"seed": "\xe9"}'.encode("latin-1"),
        "deep": b"[" * 100_000,
        "number": b'{"format_version": ' + b"9" * 5000 + b"}",
        "nothing": b"{}",
        "version": json.dumps(description | {"format_version": 99}).encode(),
        **{
            f"{key}-{value}": json.dumps(description | {key: value}).encode()
            for key in (
                "sample_rate",
                "corpus",
                "codec",
                "measure",
                "baselines",
                "data",
                "versions",
            )
            for value in (None, "x" if key != "corpus" else "/nowhere", -1)
        },
    }
    commands = ("evaluate --run run", "export --run run --out new", "report --run run --seconds 0")
    commands += ("compare run", "train --resume --run run", "rerun run")
    for content in contents.values():
        for words in commands:
            # A command need not read what is wrong.
            prepare = lambda content=content: Path("run/run.json").write_bytes(content)  # noqa: E731
            yield words.split(), prepare, content.startswith(b'{"format_version": 1')
    for content in (b"step\nabc\n", b"\xff\xfe", b"step,loss\n1,2,3\n", b"a,\x00\n1\n", b"no log"):
        for words in ("compare run", "train --resume --run run --epochs 2", "report --run run"):
            yield words.split(), lambda c=content: Path("run/log.csv").write_bytes(c), False
    for content in (b"[]", b"{", b"{}", b'{"audio": 1}', b"\xff"):
        for words in ("rerun run", "train --resume --run early"):
            folder = words.split()[-1]
            prepare = lambda c=content, f=folder: Path(f, "request.json").write_bytes(c)  # noqa: E731
            yield words.split(), prepare, False


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


if __name__ == "__main__":
    sys.exit(main(arguments().parse_args()))
