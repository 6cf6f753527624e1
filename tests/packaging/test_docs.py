"""What the pages name exists: files, constants, recipe keys."""

import re
from pathlib import Path

import pytest

from keras_rawaudio.recipes import Recipe, RefinerRecipe, SpectralRecipe

FILE = re.compile(r"`((?:\w+/)+\w+\.py)(?:::\w+)?`")
BARE_FILE = re.compile(r"`(\w+\.py)(?:::\w+)?`")
CONSTANT = re.compile(r"`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*)` in `((?:\w+/)+\w+\.py)`")
KEY = re.compile(
    r"(?<![\w./])(?:spectral|training|data|head|refiner|tiers\.\d)\.(?!py\b|md\b|onnx\b)(\w+)"
)
# The log of trials names what was tried, too.
PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/[!r]*/*.md", "docs/ref*/*.md")
ROOMS = (".", "keras_rawaudio", "keras_rawaudio/metrics", "keras_rawaudio/exporters")
SOURCES = ("keras_rawaudio", "serving", "benchmarks", "examples", "tests")
# Of another project.
OTHERS = {("compared.md", "train_main.py")}
# Of the head that a page adds.
NEW_FILE, NEW_KEY = "keras_rawaudio/models/heads/laplace.py", "taps"


def pages(root: Path) -> list[Path]:
    return [path for pattern in PAGES for path in sorted(root.glob(pattern))]


def place(root: Path, name: str) -> Path | None:
    return next((root / room / name for room in ROOMS if (root / room / name).is_file()), None)


def test_files_exist(root: Path) -> None:
    named = {(p.name, n) for p in pages(root) for n in FILE.findall(p.read_text("utf-8"))}
    assert len(named) > 50
    assert not [x for x in named if x[1] != NEW_FILE and not place(root, x[1])]


def test_files_that_are_named_without_a_folder_exist(root: Path) -> None:
    there = {path.name for folder in SOURCES for path in (root / folder).rglob("*.py")}
    there |= {path.name for path in root.glob("*.py")}
    named = {(p.name, n) for p in pages(root) for n in BARE_FILE.findall(p.read_text("utf-8"))}
    assert len(named) > 20
    assert not {x for x in named if x[1] not in there} - OTHERS


def test_constants_are_in_the_file_that_is_named(root: Path) -> None:
    named = {x for p in pages(root) for x in CONSTANT.findall(p.read_text("utf-8"))}
    assert len(named) > 2
    for constant, name in named:
        path = place(root, name)
        assert path, name
        assert re.search(rf"^(?:\w+, )*{constant}\b.* = ", path.read_text("utf-8"), re.M), constant


@pytest.mark.parametrize("pattern", PAGES)
def test_recipe_keys_exist(root: Path, pattern: str) -> None:
    schemas = [kind.model_json_schema() for kind in (Recipe, SpectralRecipe, RefinerRecipe)]
    parts = [part for schema in schemas for part in (schema, *schema["$defs"].values())]
    keys = {key for part in parts for key in part.get("properties", {})}
    named = {k for p in root.glob(pattern) for k in KEY.findall(p.read_text("utf-8"))}
    assert named <= {*keys, NEW_KEY}
