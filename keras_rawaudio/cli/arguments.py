"""The parser of all commands, and types of flags."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NoReturn

from keras_rawaudio.errors import one_line

DAY = 86400.0  # seconds

# How `--set` is added to a command.
SET: dict[str, Any] = {
    "nargs": "+",
    "action": "extend",
    "default": [],
    "metavar": "KEY=VALUE",
    "help": "any recipe value, such as spectral.units=512 or data.batch=16",
}


class Parser(argparse.ArgumentParser):
    """A parser that refuses in one line, as every other mistake is refused."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {one_line(message)}; see {self.prog} --help\n")


def number(least: float, most: float) -> Callable[[str], float]:
    """A flag's type: a number in a range.

    Example:
        >>> number(0, 1)("0.5")
        0.5
    """

    def parse(word: str) -> float:
        value = float(word)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be from {least:g} to {most:g}: {word}")
        return value

    parse.__name__ = "number"  # what argparse calls it in an error
    return parse


def whole(least: int, most: int) -> Callable[[str], int]:
    """A flag's type: a whole number in a range.

    Example:
        >>> whole(1, 3)("2")
        2
    """

    def parse(word: str) -> int:
        value = int(word)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most}: {word}")
        return value

    parse.__name__ = "whole number"
    return parse
