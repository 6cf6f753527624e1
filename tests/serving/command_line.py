"""The sampler's command line for tests: its words, its process, its one line for a mistake."""

import subprocess
import sys
from pathlib import Path

FRONT_DOOR = Path(__file__).resolve().parents[2] / "serving" / "generate.py"
COMMAND = [sys.executable, str(FRONT_DOOR)]


def run(*words: object, **options: object) -> "subprocess.CompletedProcess[bytes]":
    command = [*COMMAND, *map(str, words)]
    return subprocess.run(command, capture_output=True, timeout=600, check=False, **options)  # type: ignore[call-overload, no-any-return]


def words_of(model: Path, text: str, *more: object, out: Path | str | None = None) -> list[str]:
    tail = [] if out is None else ["--out", str(out)]
    return [str(model), *text.split(), *map(str, more), *tail]


def check_error(code: int, err: str, *pieces: str) -> None:
    assert code == 2
    assert err.count("\n") == 1, err
    assert err.startswith("keras-rawaudio-generate: ")
    for piece in pieces:
        assert piece in err
