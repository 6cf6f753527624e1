"""The command line: `keras-rawaudio explore | train | export | evaluate | report | ...`.

Each command is one file with its flags and one call; what is heavy is imported by the call.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import keras_rawaudio
from keras_rawaudio.cli import (
    compare,
    evaluate,
    evaluate_audio,
    explore,
    export,
    report,
    spectrogram,
    train,
)
from keras_rawaudio.errors import UserError
from keras_rawaudio.training.interrupt import ending_as_ctrl_c

COMMANDS = (explore, train, export, evaluate, report, evaluate_audio, compare, spectrogram)


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
    parser = argparse.ArgumentParser(
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
    options = parser.parse_args(arguments)
    try:
        with ending_as_ctrl_c():
            return int(options.run_command(options) or 0)
    except UserError as error:
        print(f"keras-rawaudio {options.command}: error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # Whoever read our output has left; point stdout away so that the exit stays silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a path too long, a folder that cannot be read, a full disk
        print(f"keras-rawaudio {options.command}: error: {error}; check the path", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
