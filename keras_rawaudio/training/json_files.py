"""JSON files of a run folder, read with one line for what is wrong in them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_rawaudio.errors import UserError, may_not_be_read
from keras_rawaudio.settings import whole_number

LARGEST = 1 << 24  # bytes; a run's own files are a few thousand
Kinds = dict[str, type | tuple[type, ...]]


@contextlib.contextmanager
def damaged_if_wrong(path: Path) -> Iterator[None]:
    """Values from a file go into objects in the block; where they do not fit, it is damaged.

    Raises:
        UserError: they do not fit.
    """
    try:
        yield
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        if isinstance(error, UserError):
            raise
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot read {path}: {reason}; the run folder is damaged") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        UserError: not a file, too large, not UTF-8, not JSON, or no object.
    """
    try:
        if not path.is_file():
            raise OSError("no such file")
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        values = json.loads(path.read_text(encoding="utf-8"), parse_int=whole_number)
        if not isinstance(values, dict):
            raise ValueError("it holds no settings by name")
    except PermissionError as error:
        raise may_not_be_read(path, error) from None
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"cannot read {path}: {reason}; the run folder is damaged") from None
    return values


class JsonObject(dict[str, Any]):
    """Values of a file; a missing or wrong one is an error that names it.

    Args:
        values: what the file holds.
        path: the file.
        kinds: what some values have to be.

    Raises:
        UserError: one that is there is of another kind.
    """

    def __init__(self, values: dict[str, Any], path: Path, kinds: Kinds) -> None:
        super().__init__(values)
        self.path = path
        wrong = [
            name
            for name, kind in kinds.items()
            if name in values and (not isinstance(values[name], kind) or values[name] is True)
        ]
        if not wrong and "seed" in kinds and not 0 <= values.get("seed", 0) < 2**32:
            wrong = ["seed"]
        if wrong:
            raise UserError(f"cannot read {path}: {wrong[0]!r} is wrong; the file is damaged")

    def __missing__(self, name: str) -> Any:
        raise UserError(f"cannot read {self.path}: {name!r} is missing; the file is damaged")
