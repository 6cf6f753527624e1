"""Values and places that few think of: huge numbers, tags of YAML, prepared audio at addresses."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from abuse_case import GENERATE, RECIPE, TINY, Group, nothing, written

HUGE = "1" + "0" * 400  # JSON reads it, and no float holds it
HEX = "0x" + "f" * 9000  # YAML reads it, and Python does not print it
LONG = "9" * 5000  # Python does not read it


def tags_and_digits() -> Group:
    """Values of YAML that its tags do not fit, and numbers of too many digits."""
    odd = ("!!int ''", "!!bool x", "!!timestamp x", "!!float 1" + ":59" * 400 + ".5", HEX)
    odd += ("!!binary x", "!!omap 1", "!!set [a]", "2001-13-45", "1" + ":59" * 4000)
    bomb = "[&a [x, x, x, x]" + "".join(
        f", &{name} [{', '.join([f'*{before}'] * 9)}]"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    for value in (*odd, bomb + "]"):
        knobs = (
            "generate exported/generator.onnx --out - --seconds 0.1 --midi none --midi-map a.yaml"
        )
        for text in (f"temperature: {{cc: {value}}}\n", f"temperature: {value}\n"):
            yield knobs.split(), written("a.yaml", text), False
        for text in (RECIPE + f"name: {value}\n", RECIPE.replace("levels: 16", f"levels: {value}")):
            yield ["recipe", "a.yaml"], written("a.yaml", text), False
        yield ["recipe", "raw", "--set", f"data.batch={value}"], nothing, False
        sweep = f"audio: song.wav\ntrials: {value}\nsearch: {{data.batch: [2]}}\n"
        yield ["sweep", "a.yaml", "--out", "new"], written("a.yaml", sweep), False
        sweep = f"audio: song.wav\ntrials: 1\nsearch: {{data.batch: {{low: 1, high: {value}}}}}\n"
        yield ["sweep", "a.yaml", "--out", "new"], written("a.yaml", sweep), False
    for text in ("1e-3", "1.5e-3", ".1e-2", "1e-99999", "1e", "1e3.5"):
        recipe = RECIPE.replace("sample_seconds: 0.0", f"learning_rate: {text}")
        yield ["recipe", "a.yaml"], written("a.yaml", recipe), len(text) < 7 and text[-1] in "23"
    for words in (
        f"recipe raw --set tiers.{LONG}.units=4",
        f"recipe raw --set data.batch={LONG}",
        f"{GENERATE} --osc {LONG} --play",
        f"{GENERATE} --control temperature={LONG}",
        f"{GENERATE} --random-seed {LONG}",
        f"train --audio song.wav {TINY} --batch {LONG}",
        "recipe quick --set training.longest_copy=.nan",
        "recipe quick --set training.longest_copy=-1",
        "recipe quick --set training.longest_copy=1e300",
        f"recipe quick --set training.longest_copy={HUGE}",
    ):
        yield words.split(), nothing, False
    for text in (
        f'{{"temperature": [[0, {HUGE}]]}}',
        f'{{"temperature": [[{HUGE}, 1]]}}',
        f'{{"temperature": [[0, {LONG}]]}}',
        f"seconds,temperature\n{HUGE},1\n0,1\n",
        "\ufeffseconds,temperature\n0,1\n",
        "seconds,seconds\n0,1\n",
    ):
        name = "a.csv" if text[0] != "{" else "a.json"
        yield [*GENERATE.split(), "--curves", name], written(name, text), text[0] == "\ufeff"


def huge_numbers() -> Group:
    """Numbers that no float holds, in files of a run and of a listening test."""
    readers = ("evaluate --run run", "export --run run --out new", "report --run run --seconds 0")
    readers += ("compare run early", "train --resume --run run --epochs 2", "rerun run")

    def changed(name: str, value: str, where: str) -> Callable[[], Any]:
        """Every number of a file of the run, one by one, is this one."""
        path = Path("run", name)
        values = json.loads(path.read_text()) | {where: "@"}
        return written(str(path), json.dumps(values).replace('"@"', value))

    for value in (HUGE, "1" + "0" * 30, "-0.0", "1e-320"):
        for where in json.loads(Path("run/run.json").read_text()):
            words = readers[len(where) % len(readers)]
            yield words.split(), changed("run.json", value, where), True
        for where in json.loads(Path("run/request.json").read_text()):
            yield ["rerun", "run", "--out", "new"], changed("request.json", value, where), True
    answers = {
        "format": "keras-rawaudio listening test, answers",
        "version": 1,
        **{"test": "a", "listener": "b", "equipment": "c", "seed": "@", "began": "d"},
        "answers": [],
    }
    for value in (HUGE, LONG, "1e999", "true"):
        text = json.dumps(answers).replace('"@"', value)
        yield ["listen-test", "--results", "a.json"], written("a.json", text), False
    log = Path("run/log.csv").read_text().splitlines()
    for value in (HUGE, LONG, "1e-320", "-0.0", "\u0661"):
        text = "\n".join([log[0], ",".join([value] * len(log[0].split(",")))])
        for words in ("compare run", "report --run run --seconds 0"):
            yield words.split(), written("run/log.csv", text), True


def stores() -> Group:
    """Prepared audio at an address, whole and damaged."""
    corpus = json.loads(Path("run/run.json").read_text())["corpus"]
    whole = Path(corpus, "corpus.json").read_text()
    here = "file://" + os.path.abspath("../here/corpus")

    def copied(change: Callable[[Path], Any] = lambda folder: None) -> Callable[[], Any]:
        def prepare() -> None:
            shutil.copytree(corpus, "corpus")
            change(Path("corpus"))

        return prepare

    def replaced(name: str, make: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def change(folder: Path) -> None:
            (folder / name).unlink()
            make(folder / name)

        return change

    makers: tuple[Callable[[Path], Any], ...] = (
        os.mkfifo,
        os.mkdir,
        lambda path: None,
        lambda path: path.write_bytes(b"[1]"),
        lambda path: path.write_text(whole.replace('"settings"', '"setting"')),
        lambda path: os.symlink("/dev/zero", path),
        lambda path: os.symlink(path.name, path),
        lambda path: (path.touch(), os.truncate(path, 1 << 40)),
    )
    for address in (f"{here}/corpus.json", "corpus/corpus.json"):
        yield ["train", "--audio", address, *TINY.split()], copied(), True
        for name in ("corpus.json", "train.i16", "validation.i16"):
            for make in makers:
                words = ["train", "--audio", address, *TINY.split()]
                yield words, copied(replaced(name, make)), False
        for more in ("--sample-rate 1000", "--mono", "--no-trim", "--cache /proc/nowhere"):
            yield ["train", "--audio", address, *TINY.split(), *more.split()], copied(), True
        for other in ("song.wav", "missing.wav", address):
            yield ["train", "--audio", address, other, *TINY.split()], copied(), False
        yield ["explore", address, "--out", "new"], copied(), False
        yield ["spectrogram", address, "--out", "new.png"], copied(), False
    for address in (
        "memory://nothing/corpus.json",
        "file://corpus/corpus.json",
        "zip://corpus.json::nothing.zip",
        "s3:///corpus.json",
        "http://127.0.0.1:9/corpus.json",
        "file:///dev/zero/corpus.json",
        "corpus.json",
    ):
        yield ["train", "--audio", address, *TINY.split()], nothing, False


GROUPS = (tags_and_digits, huge_numbers, stores)
