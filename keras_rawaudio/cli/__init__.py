"""The command line: `keras-rawaudio explore | train | export | evaluate | report | ...`.

Each command is one file with its flags and one call; what is heavy is imported by the call.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import keras_rawaudio
from keras_rawaudio.cli import (
    compare,
    evaluate,
    evaluate_audio,
    explore,
    export,
    listen_test,
    recipe,
    report,
    rerun,
    spectrogram,
    sweep,
    train,
)
from keras_rawaudio.cli.arguments import Parser
from keras_rawaudio.errors import UserError, cannot_load, is_out_of_memory, one_line
from keras_rawaudio.training.interrupt import ending_as_ctrl_c

COMMANDS = (
    explore,
    recipe,
    train,
    export,
    evaluate,
    report,
    evaluate_audio,
    compare,
    listen_test,
    rerun,
    sweep,
    spectrogram,
)

EMPTY_VALUE = re.compile("--[a-z-]+=")  # as of --out=$UNSET
NO_THREAD = "can't start new thread"  # Python's words, of a RuntimeError
OF_LIBRARIES = (DeprecationWarning, PendingDeprecationWarning, FutureWarning, ResourceWarning)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: words after the program's name; `None`: the process' own.

    Returns:
        The exit code: 0, 2 for bad input (one line on stderr), 130 after Ctrl-C.

    Example:
        >>> main(["export", "--run", "nowhere", "--out", "exported"])
        2
    """
    _open_streams()
    try:
        with ending_as_ctrl_c():
            return _main(arguments)
    finally:
        _discard_unwritable(sys.stderr)


def _main(arguments: Sequence[str] | None) -> int:
    command = "keras-rawaudio"
    try:
        try:
            options = _parse(sys.argv[1:] if arguments is None else arguments)
            command += f" {options.command}"
            with _warnings_as_notes():
                return int(options.run_command(options) or 0)
        finally:
            _flush_stdout()  # a full disk is met here, not when Python exits
    except UserError as error:
        reason = str(error)
    except BrokenPipeError:
        _discard_unwritable(sys.stdout)  # the reader of our output closed the pipe
        return 0
    except OSError as error:
        _discard_unwritable(sys.stdout)
        where = f" {error.filename!r}" if error.filename else ""
        reason = f"the system refuses{where}: {error.strerror or error}"
    except KeyboardInterrupt:
        return 130
    except ImportError as error:
        reason = cannot_load(error)
    except Exception as error:
        if is_out_of_memory(error):
            reason = "out of memory: give it less audio, or smaller settings"
        elif str(error) == NO_THREAD:
            reason = f"{NO_THREAD}; look at the limits of the system (ulimit -u)"
        else:
            raise
    with contextlib.suppress(OSError):  # stderr may be on a full disk, or a pipe that is cut
        print(f"{command}: error: {one_line(reason)}", file=sys.stderr)
    return 2


def _parse(arguments: Sequence[str]) -> Namespace:
    parser = Parser(
        prog="keras-rawaudio",
        description="Train a recurrent generator on your own audio, export it, play it anywhere.",
    )
    parser.add_argument("--version", action="version", version=keras_rawaudio.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    for command in COMMANDS:
        name = command.__name__.rsplit(".", 1)[-1].replace("_", "-")
        words = (command.__doc__ or "").split("\n")[0]
        sub = commands.add_parser(name, help=words, description=words)
        command.add_arguments(sub)
        sub.set_defaults(run_command=command.run)
    for argument in arguments:
        if not argument or "\0" in argument or EMPTY_VALUE.fullmatch(argument):
            parser.error("an argument is empty or holds a null byte")
    return parser.parse_args(arguments, Namespace(arguments=list(arguments)))


@contextlib.contextmanager
def _warnings_as_notes() -> Iterator[None]:
    """Print a warning in one line, without the place in the code that gave it.

    What libraries tell each other's authors is left out, however Python is set.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        for category in OF_LIBRARIES:
            warnings.simplefilter("ignore", category)

        def note(message: Any, *place: Any, **more: Any) -> None:
            print(f"note: {one_line(message)}", file=sys.stderr)

        warnings.showwarning = note
        yield


def _open_streams() -> None:
    """Give a process without standard streams some that lead nowhere; no name stops a print.

    A closed stream's number would be that of the next file, which then holds what C code prints.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _flush_stdout() -> None:
    try:
        sys.stdout.flush()
    except OSError as error:
        raise OSError(error.errno, error.strerror, "stdout") from None


def _discard_unwritable(stream: TextIO) -> None:
    """Send what a stream cannot take nowhere, so that Python leaves in silence, with our code."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), stream.fileno())
