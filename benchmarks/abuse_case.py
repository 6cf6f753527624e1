"""One bad input for `abuse.py`, and whether a command takes it as it should."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LONGEST = 10  # seconds of the processor
START = 20  # seconds of it more for a process that has TensorFlow to load
WAIT = 300  # seconds of the clock, on a machine however busy: what waits without end
LARGEST = 1 << 24  # bytes of a file that is compared with what it was
RATE = 2000
RECIPE = """
description: next to nothing
codec: {name: mulaw, levels: 16}
tiers: [{frame_size: 64, units: 4}]
head: {kind: categorical, hidden_units: 8, layers: 1}
data: {length: 64, batch: 2}
training: {sample_seconds: 0.0}
"""
TINY = "--recipe tiny.yaml --run new --epochs 1"
GENERATE = "generate exported/generator.onnx --seconds 0.1 --out new.wav"
# What libraries print, and Python when it fails.
CHATTER = re.compile(r"WARNING|Note: |Traceback|Exception |[EWI]\d{4} |\[\w+:|.*Warning: ")
# The command, what damages the files, and whether exit code 0 is right, too.
Group = Iterator[tuple[list[str], Callable[[], Any], bool]]


def nothing() -> None:
    """Damage nothing."""


def written(name: str, content: str | bytes) -> Callable[[], Any]:
    """Make a file of that name."""
    data = content if isinstance(content, bytes) else content.encode()
    return lambda: Path(name).write_bytes(data)


@dataclass(frozen=True)
class Process:
    """What is odd about a process.

    Attributes:
        environment: laid over the own one; `None` removes a variable.
        closed: numbers of the streams that are closed.
        limits: of `resource.setrlimit`, by name.
        stdout: the file that stdout goes to.
        umask: of the process.
    """

    environment: dict[str, str | None] = field(default_factory=dict)
    closed: tuple[int, ...] = ()
    limits: dict[str, int] = field(default_factory=dict)
    stdout: str | None = None
    umask: int = 0o022


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        name: group and number.
        command: as `keras_rawaudio.cli.main` takes it; `generate ...` and `serve ...` are the
            sampler's.
        prepare: damages the files of the folder that the command runs in.
        harmless: exit code 0 is right, too.
        process: runs in a process of its own, which is odd in this way.
    """

    name: str
    command: list[str]
    prepare: Callable[[], Any] = nothing
    harmless: bool = False
    process: Process | None = None


class LateError(BaseException):
    """A case took too long."""


def processor_seconds() -> float:
    """Processor time of this process and of its children that have ended."""
    return sum(os.times()[:4])


def attempt(case: Case, base: Path, here: Path, longest: int) -> tuple[str, str, float]:
    """Run a case, for at most `longest` seconds of the processor.

    Returns:
        Why it is wrong (empty: it is right), what it printed, and its seconds of the processor.
    """
    os.chdir(base)
    remove(here)
    shutil.copytree(base, here, symlinks=True)
    os.chdir(here)
    case.prepare()
    before = contents(here)
    if case.process:
        longest += START
    began = processor_seconds()
    code, err = _outside(case, longest) if case.process else _inside(case.command, longest)
    seconds = processor_seconds() - began
    if seconds > longest and code != "no end":  # children that took it
        code = f"it took {seconds:.0f} s of the processor"
    reason, line = judge(case, code, err, before, here)
    return reason, line, seconds


def remove(folder: Path) -> None:
    """Remove a case's folder, what no one but root may enter included."""
    for path, folders, _ in os.walk(folder):
        for name in folders:
            if not os.path.islink(inner := os.path.join(path, name)):
                os.chmod(inner, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def contents(folder: Path) -> dict[Path, str]:
    """Each path in a folder, with a checksum of those that are files."""
    return {
        path: hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file() and path.stat().st_size < LARGEST and os.access(path, os.R_OK)
        else ""
        for path in folder.rglob("*")
    }


def judge(
    case: Case, code: int | str, err: str, before: dict[Path, str], here: Path
) -> tuple[str, str]:
    """Why a case that ended so is wrong (empty: it is right), and what it printed."""
    lines = err.splitlines()
    errors = [line for line in lines if line.startswith("keras-rawaudio")]
    chatter = [line for line in lines if CHATTER.match(line)]
    if isinstance(code, str):
        return code, err.strip()[-300:]
    if chatter:
        return f"it printed {chatter[-1][:200]}", err.strip()[-300:]
    if code == 0 and case.harmless:
        return "", "harmless"
    after = contents(here)
    left = sorted(str(path.relative_to(here)) for path in after.keys() - before.keys())
    touched = [str(p.relative_to(here)) for p, held in before.items() if after.get(p) != held]
    silent = case.process is not None and 2 in case.process.closed
    for reason in (
        code != 2 and f"exit code {code}",
        len(errors) != (0 if silent else 1) and f"{len(errors)} lines of error",
        left and f"it left {left}",
        touched and f"it changed {touched}",
    ):
        if reason:
            return str(reason), err.strip()[-300:]
    return "", " ".join(errors)


def _inside(words: list[str], longest: int) -> tuple[int | str, str]:
    """The exit code of a command, or what it raised, and its stderr; in this process."""
    from keras_rawaudio_serving.cli import main as generate
    from keras_rawaudio_serving.serve import main as serve

    from keras_rawaudio.cli import main

    own = {"generate": generate, "serve": serve}.get(words[0] if words else "")
    command, words = (own, words[1:]) if own else (main, words)
    out = io.TextIOWrapper(io.BytesIO())

    def late(number: int, frame: Any) -> None:
        raise LateError

    signal.signal(signal.SIGPROF, late)
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_PROF, longest)
    signal.alarm(WAIT)
    code: int | str
    saved = os.dup(2)
    with tempfile.TemporaryFile("w+", errors="replace") as err:
        os.dup2(err.fileno(), 2)  # what C code prints, too
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = command(words)
        except SystemExit as error:
            code = int(error.code or 0)
        except LateError:
            code = "no end"
        except BaseException as error:
            code = f"{type(error).__name__}: {str(error)[:200]}"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.alarm(0)
            os.dup2(saved, 2)
            os.close(saved)
        err.seek(0)
        return code, err.read()


def _outside(case: Case, longest: int) -> tuple[int | str, str]:
    """The same in a process of its own."""
    odd = case.process or Process()
    module, words = "keras_rawaudio", case.command
    if words[0] == "generate":
        module, words = "keras_rawaudio_serving.cli", words[1:]
    # Unbuffered streams, as some containers ask for, are a case of their own.
    own = {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": None}
    environment = {**os.environ, **own, **odd.environment}

    def prepare() -> None:
        os.umask(odd.umask)
        resource.setrlimit(resource.RLIMIT_CPU, (longest, longest))
        for name, most in odd.limits.items():
            resource.setrlimit(getattr(resource, name), (most, most))
        for number in odd.closed:
            os.close(number)

    with contextlib.ExitStack() as stack:
        out: Any = subprocess.DEVNULL
        if odd.stdout:
            out = stack.enter_context(open(odd.stdout, "w"))
        try:
            done = subprocess.run(
                [sys.executable, "-m", module, *words],
                env={name: value for name, value in environment.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.PIPE,
                preexec_fn=prepare,
                timeout=WAIT,
            )
        except subprocess.TimeoutExpired:
            return "no end", ""
    return done.returncode, done.stderr.decode(errors="replace")
