"""Recipes that are none, or say something else than they seem to, for `abuse.py`."""

from __future__ import annotations

import os
from pathlib import Path

from abuse_case import RECIPE, Group, nothing


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
                yield ["recipe", "raw", "--set", f"{place}.{name}={value}"], nothing, False


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
        "no-tier.yaml": RECIPE.replace("{frame_size: 64, units: 4}", "").encode(),
        "null.yaml": RECIPE.replace("{frame_size: 64, units: 4}", "null").encode(),
        "tabs.yaml": b"codec:\n\t- x",
    }
    for name, content in contents.items():
        prepare = lambda name=name, content=content: Path(name).write_bytes(content)  # noqa: E731
        yield ["recipe", name], prepare, False
        yield ["train", "--audio", "song.wav", "--run", "new", "--recipe", name], prepare, False


def odd_recipes() -> Group:
    """Recipes that are YAML or JSON, and say something else than they seem to."""
    first, rest = "description: next to nothing\n", RECIPE.split("\n", 2)[2]
    as_json = (
        '{"codec": {"name": "mulaw", "levels": 16}, "tiers": [{"frame_size": 8, "units": 4}], '
        '"head": {"kind": "categorical", "hidden_units": 8}, "data": {"length": 64}'
    )
    contents = {
        "twice.yaml": RECIPE + "data: {length: 128}\n",
        "twice-inside.yaml": RECIPE.replace("batch: 2", "batch: 2, batch: 4"),
        "twice.json": as_json + ', "data": {"length": 128}}',
        "itself.yaml": first + rest.replace("tiers: [", "tiers: &a [*a, "),
        "two.yaml": RECIPE + "---\n" + RECIPE,
        "tag.yaml": RECIPE.replace("64, units", "!!python/tuple [64], units"),
        "bytes.yaml": RECIPE.replace("next to nothing", "!!binary aGVsbG8="),
        "date.yaml": RECIPE.replace("length: 64", "length: 2001-01-01"),
        "clock.yaml": RECIPE.replace("length: 64", "length: 1:00.5"),
        "text.yaml": RECIPE.replace("length: 64", "length: '64'"),
        "real.yaml": RECIPE.replace("length: 64", "length: 64.0"),
        "yes.yaml": RECIPE.replace("length: 64", "length: yes"),
        "digits.yaml": RECIPE.replace("length: 64", "length: " + "9" * 5000),
        "set.yaml": RECIPE.replace("{length: 64, batch: 2}", "!!set {length, batch}"),
        "key-null.yaml": RECIPE + "~: 1\n",
        "key-list.yaml": RECIPE + "? [1, 2]\n: 3\n",
        "key-long.yaml": RECIPE + f"{'k' * 500}: 1\n",
        "key-escape.yaml": RECIPE + '"\\e[2J\\n": 1\n',
        "name.yaml": RECIPE + "name: 3\n",
        "no-head.yaml": RECIPE.replace("head:", "#"),
        "null-head.yaml": RECIPE.replace("{kind: categorical, hidden_units: 8, layers: 1}", "null"),
        "frames.yaml": RECIPE.replace("[{", "[{frame_size: 12, units: 4}, {"),
        "same.yaml": RECIPE.replace("[{", "[{frame_size: 64, units: 4}, {"),
        "many.yaml": RECIPE.replace("[{", "[" + "{frame_size: 64, units: 4}, " * 99 + "{"),
        "units.yaml": RECIPE.replace("units: 4", "units: [4, 4, 4, 4, 4, 4]"),
        "units-0.yaml": RECIPE.replace("units: 4", "units: []"),
        "spectral-null.yaml": "spectral: null\n",
        "spectral-list.yaml": "spectral: [1]\n",
        "spectral-both.yaml": RECIPE + "spectral: {}\n",
        "undefined.yaml": RECIPE.replace("{length: 64, batch: 2}", "*nowhere"),
        "version.yaml": "%YAML 9.9\n---\n" + RECIPE,
        "control.yaml": RECIPE + "name: \x07\n",
        "infinite.json": as_json + ', "training": {"learning_rate": 1e999}}',
        "nan.json": as_json + ', "training": {"learning_rate": NaN}}',
        "surrogate.json": as_json + ', "description": "\\ud800"}',
        "comma.json": as_json + ",}",
        "bom.json": "\ufeff" + as_json + "}}",
    }
    for name, content in contents.items():
        prepare = lambda name=name, content=content: Path(name).write_text(content)  # noqa: E731
        yield ["recipe", name], prepare, False
        yield ["train", "--audio", "song.wav", "--run", "new", "--recipe", name], prepare, False
    for name in ("folder.yaml", "fifo.yaml", "loop.yaml", "large.yaml"):
        make = {
            "folder.yaml": lambda: os.mkdir("folder.yaml"),
            "fifo.yaml": lambda: os.mkfifo("fifo.yaml"),
            "loop.yaml": lambda: os.symlink("loop.yaml", "loop.yaml"),
            "large.yaml": lambda: os.truncate(
                os.open("large.yaml", os.O_CREAT | os.O_RDWR), 1 << 40
            ),
        }[name]
        yield ["recipe", name], make, False


def overrides() -> Group:
    """Words of `--set` that do not fit what is there."""
    for recipe, words in (
        ("categorical", "codec.name=peak"),
        ("categorical", "codec.name=linear codec.levels=1"),
        ("categorical", "codec=mulaw"),
        ("categorical", "head.kind=mixture"),
        ("raw", "codec.name=mulaw"),
        ("raw", "codec.levels=256"),
        ("raw", "head.kind=regression"),
        ("raw", "tiers=[]"),
        ("raw", "tiers.9.units=4"),
        ("raw", "tiers.-1.units=4"),
        ("raw", "tiers..units=4"),
        ("raw", "tiers.0=4"),
        ("raw", ".=1"),
        ("raw", "..=1"),
        ("raw", "=1"),
        ("raw", "data.batch"),
        ("raw", "data.batch="),
        ("raw", "data.batch=[1"),
        ("raw", "data.batch=!!python/name:os.system"),
        ("raw", "data.batch.more=1"),
        ("raw", "name.more=1"),
        ("raw", "data=null"),
        ("raw", "data.batch=" + "9" * 6000),
        ("raw", "data.batch=" + "[" * 5000),
        ("raw", "da\nta.batch=1"),
        ("raw", "data.batch=\x1b[2J"),
        ("default", "codec.name=peak"),
        ("default", "data.shift=random"),
        ("default", "spectral.units=0"),
        ("default", "spectral=null"),
    ):
        yield ["recipe", recipe, "--set", *words.split(" ")], nothing, False
    train = [
        "train",
        "--audio",
        "song.wav",
        "--recipe",
        "tiny.yaml",
        "--run",
        "new",
        "--epochs",
        "1",
    ]
    for words in (
        "data.batch=65536 data.length=16777216",
        "tiers.0.units=65536",
        "head.hidden_units=65536 head.layers=5",
        "tiers.0.window=1048577",
    ):
        # A recipe that does not fit into memory is refused; on a large machine it fits.
        yield [*train, "--set", *words.split()], nothing, False


GROUPS = (
    recipe_values,
    recipe_files,
    odd_recipes,
    overrides,
)
