"""CONTRIBUTING.md's table of pitfalls names tests that exist and say which pitfall they guard."""

import ast
import re
from pathlib import Path

import pytest

ROW = re.compile(r"^\| (\d+) \| .*? \| (.*?) \|$", re.MULTILINE)
NAME = re.compile(r"`tests/[^`]*`")


@pytest.fixture(scope="module")
def rows(root: Path) -> dict[int, str]:
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return {int(number): guard for number, guard in ROW.findall(text)}


@pytest.fixture(scope="module")
def guards(root: Path) -> dict[str, list[int]]:
    """The pitfalls that each test's docstring names."""
    return {
        f"`{file.relative_to(root).as_posix()}::{name}`": pitfalls(docstring)
        for file in (root / "tests").rglob("test_*.py")
        for name, docstring in docstrings(file).items()
    }


def docstrings(path: Path) -> dict[str, str]:
    """Docstring of each function in a file, methods included."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return {node.name: ast.get_docstring(node) or "" for node in functions}


def test_the_table_has_all_30(rows: dict[int, str]) -> None:
    assert sorted(rows) == list(range(1, 31))


def pitfalls(docstring: str) -> list[int]:
    """The numbers in a docstring that begins with "Pitfall 3:" or "Pitfalls 3 and 5:"."""
    head = re.match(r"Pitfalls? ([^:]*):", docstring)
    return [int(number) for number in re.findall(r"\d+", head[1])] if head else []


@pytest.mark.parametrize("number", range(1, 31))
def test_guard_exists(rows: dict[int, str], guards: dict[str, list[int]], number: int) -> None:
    guarding = {name for name, numbers in guards.items() if number in numbers}
    listed = set(NAME.findall(rows[number]))
    if not listed:
        assert rows[number] == "not yet reachable"
        assert not guarding, f"reachable now: {'<br>'.join(sorted(guarding))}"
    assert listed <= guarding, f"not a test that says 'Pitfall {number}: ...'"
