"""Run folders and prepared audio that are damaged, for `abuse.py`."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from abuse_case import Group


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


def odd_runs() -> Group:
    """Run folders whose files are of another kind, or hold other values."""
    recipe = json.loads(Path("run/recipe.json").read_text())
    readers = ("evaluate --run run", "export --run run --out new", "report --run run --seconds 0")
    readers += ("compare run", "train --resume --run run --epochs 2")
    for content in (
        b"[]",
        b"{}",
        b"[" * 100_000,
        b"\xff",
        *(
            json.dumps(recipe | change).encode()
            for change in (
                {"head": 3},
                {"head": None},
                {"tiers": {}},
                {"training": None},
                {"training": {"sample_seconds": "x"}},
                {"data": []},
                {"codec": {"name": "peak"}},
                {"name": ["a"]},
                {"spectral": {}},
            )
        ),
    ):
        for words in readers:
            # A command need not read what is wrong.
            prepare = lambda content=content: Path("run/recipe.json").write_bytes(content)  # noqa: E731
            harmless = words.startswith("evaluate") or content.startswith(b'{"')
            yield words.split(), prepare, harmless

    def replaced(name: str, make: Callable[[str], Any]) -> Callable[[], Any]:
        def prepare() -> None:
            if os.path.isdir(f"run/{name}"):
                shutil.rmtree(f"run/{name}")
            elif os.path.lexists(f"run/{name}"):
                os.remove(f"run/{name}")
            make(f"run/{name}")

        return prepare

    kinds: tuple[Callable[[str], Any], ...] = (
        os.mkfifo,
        os.mkdir,
        lambda path: os.symlink("/dev/zero", path),
        lambda path: os.symlink(os.path.basename(path), path),
        lambda path: Path(path).write_bytes(b""),
    )
    for name in ("run.json", "recipe.json", "log.csv", "request.json", "training_state.npz"):
        for kind in kinds:
            for words in readers if name != "request.json" else ["rerun run"]:
                yield words.split(), replaced(name, kind), True
    for name in ("samples", "tensorboard", ".lock", ".lock-holder", "measures.json", "best.keras"):
        for kind in kinds:
            for words in ("compare run", "report --run run", "train --resume --run run --epochs 2"):
                yield words.split(), replaced(name, kind), True
    rows = Path("run/log.csv").read_text().splitlines()
    for log in (
        *(
            rows[0] + f"\n{value}," + rows[1].partition(",")[2]
            for value in ("nan", "1e999", "-1", "1" * 5000)
        ),
        "\ufeff" + "\n".join(rows),
        rows[0] + "," + rows[0] + "\n" + rows[1] + "," + rows[1],
        ",".join(["step"] * 99_999) + "\n" + ",".join(["1"] * 99_999),
        rows[0] + "\n" + rows[1].rpartition(",")[0],
        rows[0] + "\n" + rows[1] + ',"' + "x" * 200_000,
        rows[0] + "\n" + re.sub(r"[0-9.]+", "inf", rows[1]),
        rows[0] + "\n" + re.sub(r"[0-9.]+", "<script>", rows[1]),
    ):
        for words in readers[2:]:
            yield words.split(), lambda log=log: Path("run/log.csv").write_text(log), True
    for content in (b"[]", b"{", b"\xff", b'{"findings": 1}', b'{"distances": [1]}', b"[" * 99_999):
        prepare = lambda content=content: Path("run/measures.json").write_bytes(content)  # noqa: E731
        yield ["compare", "run", "early"], prepare, True
    request = json.loads(Path("run/request.json").read_text())
    for change in (
        {"audio": [1]},
        {"audio": []},
        {"audio": ["/dev/zero"]},
        {"cache": "/proc/nowhere"},
        {"cache": 3},
        {"seed": -1},
        {"seed": 10**30},
        {"seed": True},
        {"budget": {"minutes": -1}},
        {"budget": {"epochs": "x"}},
        {"budget": {"hours": 1}},
        {"corpus_settings": {"sample_rate": 10**9}},
        {"corpus_settings": {"split": [1, 1]}},
        {"corpus_settings": {"split": "abc"}},
        {"corpus_settings": {"trim_decibels": "x"}},
        {"corpus_settings": {"nonsense": 1}},
        {"recipe": {"spectral": 1}},
    ):
        for folder in ("run", "early"):
            words = ["rerun", "run"] if folder == "run" else ["train", "--resume", "--run", "early"]
            text = json.dumps(request | change)
            yield words, lambda t=text, f=folder: Path(f, "request.json").write_text(t), False


def corpora() -> Group:
    """Prepared audio that was changed by hand."""
    commands = ("evaluate --run run", "report --run run --seconds 0")
    commands += ("train --resume --run run --epochs 2",)
    corpus = json.loads(Path("run/run.json").read_text())["corpus"]

    def copied(change: Callable[[Path], Any]) -> Callable[[], Any]:
        def prepare() -> None:
            shutil.copytree(corpus, "corpus")
            description = json.loads(Path("run/run.json").read_text())
            Path("run/run.json").write_text(json.dumps({**description, "corpus": "corpus"}))
            change(Path("corpus"))

        return prepare

    def described(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], Any]:
        def write(folder: Path) -> None:
            values = json.loads((folder / "corpus.json").read_text())
            change(values)
            (folder / "corpus.json").write_text(json.dumps(values))

        return write

    def text(content: bytes) -> Callable[[Path], Any]:
        return lambda folder: (folder / "corpus.json").write_bytes(content)

    def other(name: str, make: Callable[[Path], Any]) -> Callable[[Path], Any]:
        def replace(folder: Path) -> None:
            (folder / name).unlink()
            make(folder / name)

        return replace

    def segment(**values: Any) -> Callable[[Path], Any]:
        return described(lambda d: d["parts"]["train"]["segments"][0].update(values))

    changes: list[Callable[[Path], Any]] = [
        *map(text, (b"", b"[]", b"1", b"{}", b"[" * 100_000, b"\xff", b'{"format_version": 1}')),
        other("corpus.json", os.mkfifo),
        other("corpus.json", os.mkdir),
        other("corpus.json", lambda path: os.symlink("/dev/zero", path)),
        other("train.i16", os.mkfifo),
        other("train.i16", os.mkdir),
        other("train.i16", lambda path: path.write_bytes(b"odd")),
        other("train.i16", lambda path: os.symlink("/dev/zero", path)),
        *(
            described(lambda d, name=name, value=value: d.update({name: value}))  # type: ignore[misc]
            for name, value in (
                ("sample_rate", "2000"),
                ("sample_rate", -1),
                ("sample_rate", 10**9),
                ("sample_rate", True),
                ("channels", 99),
                ("channels", "1"),
                ("fingerprint", 3),
                ("parts", []),
                ("parts", {}),
                ("parts", {"train": 1}),
                ("format_version", True),
            )
        ),
        described(lambda d: d["parts"].pop("test")),
        described(lambda d: d["parts"]["train"].update(segments=[])),
        described(lambda d: d["parts"]["train"].update(segments={})),
        *(segment(samples=value) for value in (-1, 1 << 62, 1.5, "1", None, True)),
        segment(start=-5),
        segment(start="0"),
    ]
    for change in changes:
        for words in commands:
            yield words.split(), copied(change), False


GROUPS = (
    run_folders,
    odd_runs,
    corpora,
)
