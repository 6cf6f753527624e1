"""Imports between our own packages run one way, read from the source."""

import ast
from pathlib import Path

import pytest

# From the bottom up: a package may import those before it, itself and the modules of BASE.
LAYERS = (
    "dsp",
    "data",
    "recipes",
    "layers",
    "models",
    "generation",
    "metrics",
    "plots",
    "training",
    "exporters",
    "analysis",
    "reports",
    "sweeps",
    "listening",
    "api",
    "cli",
)
BASE = {"", "errors", "files", "locks", "provenance", "quiet", "settings"}
# Narrower than the order allows.
ONLY = {
    "dsp": set(),
    "data": set(),
    "recipes": {"data"},
    "layers": {"dsp"},
    "models": {"dsp", "layers", "data"},
    "metrics": {"dsp"},
    "generation": {"models"},
}


def internal_imports(path: Path) -> set[str]:
    """The packages of ours that a module imports, inside functions and for typing too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            plain = node.module == "keras_rawaudio"
            names |= {f"{node.module}.{a.name}" for a in node.names} if plain else {node.module}
    own = [name.split(".") for name in names if name.split(".")[0] == "keras_rawaudio"]
    return {(parts[1:] or [""])[0] for parts in own}


@pytest.mark.parametrize("package", LAYERS)
def test_imports_run_downwards(root: Path, package: str) -> None:
    home = root / "keras_rawaudio" / package
    paths = list(home.rglob("*.py")) or [home.with_suffix(".py")]
    below = ONLY.get(package, set(LAYERS[: LAYERS.index(package)]))
    for path in paths:
        found = internal_imports(path) - below - BASE - {package}
        assert not found, f"{path.relative_to(root)} imports {sorted(found)}"


def test_every_package_has_its_place(root: Path) -> None:
    here = {p.name for p in (root / "keras_rawaudio").iterdir() if (p / "__init__.py").exists()}
    modules = {p.stem for p in (root / "keras_rawaudio").glob("*.py")} - {"__init__", "__main__"}
    assert (here | modules) - BASE == set(LAYERS)


def test_no_circle_between_modules(root: Path) -> None:
    paths = (root / "keras_rawaudio").rglob("*.py")
    modules = {".".join(p.relative_to(root).with_suffix("").parts): p for p in paths}
    graph = {
        name.removesuffix(".__init__"): {
            full
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom) and node.module
            for full in (node.module, *(f"{node.module}.{a.name}" for a in node.names))
        }
        for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for other in graph[name] & graph.keys():
                # A package's __init__ hands on what its own modules define.
                if not f"{name}.".startswith(f"{other}."):
                    visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())
