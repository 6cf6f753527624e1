"""The one error that a user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input: one clear line that says what is wrong, where, and what to do.

    The command line prints the message and exits with code 2; nothing half-written stays behind.

    Example:
        >>> raise UserError("no such file: song.wav; check the path")
        Traceback (most recent call last):
        ...
        keras_rawaudio.errors.UserError: no such file: song.wav; check the path
    """


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory could not be had: Python's error, or NumPy's, TensorFlow's, ONNX Runtime's.

    Example:
        >>> is_out_of_memory(MemoryError())
        True
    """
    # By name: these libraries are loaded only where they are at work.
    if type(error).__module__.startswith("onnxruntime"):
        return "Failed to allocate memory" in str(error)
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or the name of its class where it has none.

    Example:
        >>> first_line(OSError("no space\\nand more")), first_line(MemoryError())
        ('no space', 'MemoryError')
    """
    return str(error).strip().partition("\n")[0] or type(error).__name__


def cannot_load(error: ImportError) -> str:
    """An error's line for a library that does not load.

    Example:
        >>> cannot_load(ImportError("libz.so.1: failed to map segment from shared object"))[:36]
        'cannot load a library: libz.so.1: fa'
    """
    return (
        f"cannot load {error.name or 'a library'}: {first_line(error)}; look at its installation, "
        "and at the limits of memory and open files (ulimit -a)"
    )


def nearest(name: object, choices: Iterable[object]) -> str:
    """The end of an error's line: the nearest valid name, or all of them.

    Example:
        >>> nearest("widht", ["width", "layers"])
        "did you mean 'width'?"
    """
    names = sorted(map(str, choices))
    close = difflib.get_close_matches(str(name)[:100], names, 1, 0.5)
    return f"did you mean {close[0]!r}?" if close else "choose from " + ", ".join(names)


def may_not_be_read(path: object, error: PermissionError) -> UserError:
    """The error for a file that is there and whole, and not ours to read.

    Example:
        >>> str(may_not_be_read("run.json", PermissionError(13, "Permission denied")))
        'cannot read run.json: Permission denied; look at its permissions'
    """
    return UserError(f"cannot read {path}: {error.strerror}; look at its permissions")


def one_line(text: object) -> str:
    r"""Text for one line of a terminal: what cannot be printed is escaped, a long middle left out.

    Example:
        >>> one_line("no such file: a\nb")
        'no such file: a\\nb'
    """
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))
    return line if len(line) <= 500 else f"{line[:245]} ... {line[-245:]}"
