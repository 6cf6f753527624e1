"""CONTRIBUTING.md's table of pitfalls names tests that exist and say which pitfall they guard."""

import ast
import re
from pathlib import Path

import pytest

ROW = re.compile(r"^\| (\d+) \| .*? \| (.*?) \|$", re.MULTILINE)
NAME = re.compile(r"`(tests/[\w/]+\.py)::(?:\w+::)?(test_\w+)`")


@pytest.fixture(scope="module")
def rows(root: Path) -> dict[int, str]:
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {int(number): guard for number, guard in ROW.findall(text)}


def docstrings(path: Path) -> dict[str, str]:
    """Docstring of each function in a file, methods included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_docstring(node) or "" for node in functions}


def test_the_table_has_all_24(rows: dict[int, str]) -> None:
    assert sorted(rows) == list(range(1, 25))


@pytest.mark.parametrize("number", range(1, 25))
def test_guard_exists(root: Path, rows: dict[int, str], number: int) -> None:
    guards = NAME.findall(rows[number])
    assert guards or rows[number].startswith("not yet reachable"), rows[number]
    for file, name in guards:
        assert (root / file).is_file(), file
        found = docstrings(root / file)
        assert name in found, f"no {name} in {file}"
        named = re.findall(r"\d+", found[name].partition(":")[0])
        assert str(number) in named, f"{file}::{name} does not say 'Pitfall {number}'"
