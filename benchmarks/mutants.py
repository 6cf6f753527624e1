"""Change one place of the code at a time, and see whether the room's tests fail. One JSON line.

python benchmarks/mutants.py --room windows --tried 25 --results mutants.jsonl
python benchmarks/mutants.py --room windows --results mutants.jsonl --tried 50   # goes on

Works on a copy of the tree. One process imports TensorFlow once and forks for each mutant. Tests
that run its line go first; it survives where all tests of the room pass. What --results holds is
not tried again. A mutant that runs out of time counts as killed, and as late: its seconds are those
of the processor, and `LONGEST` of the clock.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import ROOT, print_line, print_table, say

LONGEST = 900  # seconds of the clock that the tests of a mutant may take
SERVING = "serving/keras_rawaudio_serving"
# Of each room, what is changed and the tests that run.
ROOMS: dict[str, tuple[list[str], list[str]]] = {
    "generation": (
        ["keras_rawaudio/generation/*.py"],
        ["tests/generation", *(f"tests/models/test_{n}.py" for n in ("labels", "controls"))],
    ),
    "run_folder": (
        [
            *(f"keras_rawaudio/training/{n}.py" for n in ("run_folder", "json_files", "csv_log")),
            *("keras_rawaudio/training/checkpoint.py", "keras_rawaudio/files.py"),
            "keras_rawaudio/locks.py",
        ],
        [
            *(f"tests/training/test_{n}.py" for n in ("run_folder", "csv_log", "checkpoint")),
            *(f"tests/training/test_{n}.py" for n in ("damaged_files", "files", "locks")),
            "tests/test_files.py",
        ],
    ),
    "metadata": (
        [f"{SERVING}/metadata.py", f"{SERVING}/model_file.py"],
        [
            f"tests/serving/test_{n}.py"
            for n in ("metadata", "hostile_files", "serving_errors", "controls", "serving_sampler")
        ],
    ),
    "draws": (
        [f"{SERVING}/{n}.py" for n in ("noise", "stream_batch", "music")],
        [f"tests/serving/test_{n}.py" for n in ("music", "stream_batch", "serving_sampler")],
    ),
    "codecs": (["keras_rawaudio/data/codecs/*.py"], ["tests/data/codecs"]),
    "dsp": (
        [f"keras_rawaudio/dsp/{n}.py" for n in ("spectral_codebook", "block_spectra")],
        [f"tests/dsp/test_{n}.py" for n in ("spectral_codebook", "block_spectra")],
    ),
    "splices": (["keras_rawaudio/training/splices.py"], ["tests/training/test_splices.py"]),
    "windows": (["keras_rawaudio/data/windows/*.py"], ["tests/data/windows"]),
    "corpus": (["keras_rawaudio/data/corpus/*.py"], ["tests/data/corpus"]),
}
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.Pow: ast.Mult},
}


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("--room", choices=ROOMS, required=True, help="what is changed")
    add("--tried", type=int, default=25, help="mutants, with those of --results (25)")
    add("--seed", type=int, default=1, help="of the sample (1)")
    add("--results", type=Path, default=Path("mutants.jsonl"), help="a line a mutant")
    return parser


def digest(sources: list[str], tests: list[str]) -> str:
    """Of what a room's outcomes depend on: its files and its tests."""
    found = {path for pattern in sources for path in ROOT.glob(pattern)}
    for name in tests:
        path = ROOT / name
        found |= {*path.rglob("*.py")} if path.is_dir() else {path}
    total = hashlib.sha256()
    for path in sorted(found):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes outside of annotations and f-strings."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield child
                yield from nodes(child)


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What a node may become."""
    new: Any = copy.deepcopy(node)
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            changed = copy.deepcopy(node)
            changed.ops[i] = SWAPS[type(op)]()  # type: ignore[call-overload]
            yield changed
    elif isinstance(node, (ast.BinOp, ast.BoolOp)) and type(node.op) in SWAPS:
        new.op = SWAPS[type(node.op)]()
        yield new
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
        value = node.value
        more = value + 1 if value + 1 != value else 2 * value
        yield ast.Constant(not value if isinstance(value, bool) else more)
    elif isinstance(node, ast.Return) and node.value and ast.unparse(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    if isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node.test)


def mutants(pattern: str) -> Iterator[dict[str, Any]]:
    """Each change of the files of a pattern, with the file's text after it."""
    for path in sorted(ROOT.glob(pattern)):
        text = path.read_bytes()
        starts = [0]
        for line in text.splitlines(keepends=True):
            starts.append(starts[-1] + len(line))
        for node in nodes(ast.parse(text)):
            for new in changes(node):
                place: Any = new if isinstance(new, ast.UnaryOp) else node
                begin = starts[place.lineno - 1] + place.col_offset
                end = starts[place.end_lineno - 1] + place.end_col_offset
                word = ast.unparse(new)
                word = word if isinstance(new, ast.Return) else f"({word})"
                yield {
                    "place": f"{path.relative_to(ROOT)}:{place.lineno}:{place.col_offset}",
                    "was": " ".join(text[begin:end].decode().split())[:100],
                    "is": word[:100],
                    "text": text[:begin] + word.encode() + text[end:],
                }


def passes(tree: Path, tests: list[str], limit: int, *words: str) -> tuple[str, float]:
    """Run tests in a fork: passed, failed, unknown (none ran) or late; and processor seconds."""
    begin = time.monotonic()
    child = os.fork()
    if not child:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
        os.chdir(tree)
        sys.path[:] = [str(tree), str(tree / "serving"), *sys.path]
        os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
        null = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(null, stream)
        import pytest

        fixed = ["-x", "-q", "-m", "not slow", "-p", "no:cacheprovider", "-p", "no:xdist"]
        os._exit(int(pytest.main([*fixed, *words, *tests])))
    while time.monotonic() - begin < LONGEST:
        done, status, used = os.wait4(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            outcome = {0: "passed", 4: "unknown", -signal.SIGXCPU: "late"}.get(code, "failed")
            return outcome, round(used.ru_utime + used.ru_stime, 1)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "late", limit


def tests_of_lines(tree: Path) -> dict[tuple[str, int], list[str]]:
    """The tests that run each line, by the coverage of the run without a change.

    A line that an import runs is left out: every test may depend on it.
    """
    from coverage import CoverageData

    data, found = CoverageData(str(tree / ".coverage")), {}
    data.read()
    for file in data.measured_files():
        for line, contexts in data.contexts_by_lineno(file).items():
            if "" not in contexts:
                names = sorted({context.rpartition("|")[0] for context in contexts})
                found[str(Path(file).relative_to(tree)), line] = names
    return found


def outcome_of(tree: Path, tests: list[str], near: list[str], limit: int) -> str:
    """As of `passes`; the tests that run the changed line go first."""
    outcome = passes(tree, near, limit)[0] if near else "unknown"
    return outcome if outcome in ("failed", "late") else passes(tree, tests, limit)[0]


def main(options: argparse.Namespace) -> int:
    sources, tests = ROOMS[options.room]
    every = [mutant for pattern in sources for mutant in mutants(pattern)]
    sample = random.Random(options.seed).sample(every, min(options.tried, len(every)))
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    known = {(r["place"], r["is"], r.get("tree")): r for r in map(json.loads, lines)}
    tree = digest(sources, tests)  # what another state of code or tests did is not known
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    sys.path[:] = [p for p in sys.path if p not in (str(ROOT), str(ROOT / "serving"))]
    __import__("tensorflow"), __import__("keras"), __import__("pytest")
    with tempfile.TemporaryDirectory() as name:
        words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for file in subprocess.check_output(words, cwd=ROOT).decode().split("\0")[:-1]:
            if (ROOT / file).is_file():
                (Path(name) / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / file, Path(name) / file)
        words = ["--cov", "--cov-context=test", "--cov-report=", "--cov-fail-under=0"]
        outcome, seconds = passes(Path(name), tests, 600, *words)
        if outcome != "passed":
            raise SystemExit(f"the tests of {options.room} fail without a change")
        say(f"{options.room}: {len(every)} places, {seconds} s without a change")
        near = tests_of_lines(Path(name))
        for mutant in sample:
            key = mutant["place"], mutant["is"], tree
            if key in known:
                continue
            file, line, _ = mutant["place"].split(":")
            (Path(name) / file).write_bytes(mutant.pop("text"))
            near_this = near.get((file, int(line)), [])
            outcome = outcome_of(Path(name), tests, near_this, round(30 + 3 * seconds))
            shutil.copyfile(ROOT / file, Path(name) / file)
            known[key] = mutant | {"outcome": outcome, "tests": len(near_this), "tree": tree}
            with options.results.open("a") as results:
                results.write(json.dumps(known[key]) + "\n")
    tried = [known[m["place"], m["is"], tree] for m in sample]
    alive, late = ([r for r in tried if r["outcome"] == o] for o in ("passed", "late"))
    print_table(alive, ("place", "was", "is"))
    counts = {"tried": len(tried), "survived": len(alive), "late": len(late)}
    print_line({"benchmark": "mutants", "room": options.room, "places": len(every), **counts})
    return 0


if __name__ == "__main__":
    sys.exit(main(arguments().parse_args()))
