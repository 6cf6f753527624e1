"""Sources that are URLs, read through tensorflow-io where it is installed and loads.

Tried with file:// and http://. With s3:// tensorflow-io 0.37.1 aborts the process as it ends
("pure virtual method called"): after the work is done, but the exit code is then 134.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path, PurePosixPath
from typing import Any

from keras_rawaudio.errors import UserError

BLOCK = 1 << 20  # bytes


def is_url(source: str) -> bool:
    """Whether a source is a URL such as gs://bucket/song.flac rather than a local path."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def stamp(url: str) -> dict[str, Any]:
    """What tells whether a remote file changed: its size and, where it has one, its time."""
    gfile, failures = _gfile(url)
    try:
        status = gfile.stat(url)
    except failures as error:
        raise UserError(_failed(url, error)) from error
    return {"path": url, "bytes": int(status.length), "mtime_ns": int(status.mtime_nsec)}


def fetch(url: str, folder: Path) -> Path:
    """Copy a remote file's bytes into a local folder, block by block.

    Args:
        url: gs://, s3://, http://, https://, file:// or whatever tensorflow-io can open.
        folder: an existing local folder.

    Returns:
        The local copy, which lives as long as the folder does.

    Raises:
        UserError: if tensorflow-io is missing or does not load, or the file cannot be read.
    """
    gfile, failures = _gfile(url)
    name = PurePosixPath(url.split("?")[0]).name or "audio"
    number = sum(1 for _ in folder.iterdir())  # two URLs may end in the same name
    path = folder / f"{number}-{name}"
    try:
        with gfile.GFile(url, "rb") as source, path.open("wb") as target:
            while block := source.read(BLOCK):
                target.write(block)
    except failures as error:
        raise UserError(_failed(url, error)) from error
    return path


def _gfile(url: str) -> tuple[Any, type[Exception]]:
    """TensorFlow's file module with tensorflow-io's file systems, and its base error."""
    try:
        with warnings.catch_warnings():
            # A library that does not load is only a warning there, and a puzzle later on.
            warnings.filterwarnings("error", message="unable to load")
            import tensorflow_io  # noqa: F401
            from tensorflow import errors, io
    except Exception as error:
        raise UserError(
            f"cannot read {url}: remote sources need tensorflow-io, which is not installed or does "
            "not load here; pip install 'keras_rawaudio[tfio]' (tensorflow-io 0.37.1 goes with "
            "tensorflow 2.16.2 only), or download the file yourself"
        ) from error
    return io.gfile, errors.OpError


def _failed(url: str, error: Exception) -> str:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return f"cannot read {url}: {reason}"
