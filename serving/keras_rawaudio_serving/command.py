"""What the two commands share: one line for each mistake, and exit codes."""

import argparse
import contextlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any, NoReturn, TextIO

from .errors import ServingError, one_line

NO_THREAD = "can't start new thread"  # Python's words
EMPTY_VALUE = re.compile("--[a-z-]+=")  # as of --out=$UNSET


class Parser(argparse.ArgumentParser):
    """An `argparse` parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {one_line(message)}\n")

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Refuse what no path or number can be, before it is read."""
        words = sys.argv[1:] if args is None else args
        if any(not word or "\0" in word or EMPTY_VALUE.fullmatch(word) for word in words):
            self.error("an argument is empty or holds a null byte")
        return super().parse_args(words, namespace)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Leave; a standard output that cannot take the help is one line, too."""
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            discard(sys.stdout)
        except OSError as error:
            discard(sys.stdout)
            status, message = 2, f"{self.prog}: cannot write to stdout: {error.strerror}\n"
        super().exit(status, message)


def run_command(program: str, work: Callable[[], None]) -> int:
    """Do the work of a command; returns its exit code.

    Args:
        program: name of the command, which begins each error message.
        work: raises `ServingError` for bad input.

    Returns:
        0, 2 for bad input, 130 for Ctrl-C.
    """
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
            number = getattr(signal, name, None)
            # What is ignored stays ignored, as SIGHUP under nohup.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _stop)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # it is closed: the next file would get its number, and what C code prints
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stderr is None:  # else `print` would write among the audio on stdout
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    try:
        return _run(program, work)
    finally:
        discard(sys.stderr)


def _run(program: str, work: Callable[[], None]) -> int:
    try:
        work()
    except MemoryError:
        reason = "out of memory: ask for fewer streams"
    except BrokenPipeError:
        return 0  # the reader closed the pipe, which is how a pipe ends
    except ImportError as error:
        first = str(error).strip().partition("\n")[0] or type(error).__name__
        reason = one_line(
            f"cannot load {error.name or 'a library'}: {first}; look at its installation, and at "
            "the limits of memory and open files (ulimit -a)"
        )
    except RuntimeError as error:
        if str(error) != NO_THREAD:
            raise
        reason = f"{NO_THREAD}: ask for fewer, or look at the limits of the system (ulimit -u)"
    except (ServingError, OSError) as error:
        reason = one_line(error)
    except KeyboardInterrupt:
        return 130
    else:
        return 0
    Say(quiet=False)(f"{program}: {reason}")
    return 2


def discard(stream: TextIO) -> None:
    """Send what a stream cannot take nowhere: Python would leave with a code of its own."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())


def add_control_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--control`, whose words `read_curves` reads."""
    parser.add_argument(
        "--control",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=VALUE",
        help="turn what else the file has: tempo=1.2 level=-6",
    )


class Say:
    """Notes for the user, on stderr: stdout may be carrying audio.

    A note that cannot be written, as where a log's disk is full, stops nothing. What cannot be
    printed is escaped: names in a note may be those of a model file from anywhere.
    """

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet

    def __call__(self, text: str) -> None:
        if not self.quiet:
            with contextlib.suppress(OSError):
                print(one_line(text), file=sys.stderr, flush=True)


def missing_extra(flag: str, extra: str, error: ImportError) -> ServingError:
    """The error for a package that an extra brings."""
    return ServingError(f"{flag} needs {error.name or extra}: pip install './serving[{extra}]'")


def _stop(signum: int, frame: Any) -> NoReturn:
    raise SystemExit(128 + signum)  # as an exception, so that temporary files are cleared away
