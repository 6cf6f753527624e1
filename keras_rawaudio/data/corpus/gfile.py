"""Remote files through tensorflow-io, where fsspec is not installed.

Tried with file:// and http://. With s3:// tensorflow-io 0.37.1 aborts the process as it ends
("pure virtual method called"): after the work is done, but the exit code is then 134.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from keras_rawaudio.errors import UserError

BLOCK = 1 << 20  # bytes


class Gfile:
    """TensorFlow's file module with tensorflow-io's file systems.

    Args:
        url: gs://, s3://, http://, https://, file:// or whatever tensorflow-io can open.

    Raises:
        UserError: neither fsspec nor tensorflow-io is installed and loads.
    """

    def __init__(self, url: str) -> None:
        try:
            with warnings.catch_warnings():
                # A library that does not load is only a warning there, and a puzzle later on.
                warnings.filterwarnings("error", message="unable to load")
                import tensorflow_io  # noqa: F401
                from tensorflow import io
        except Exception as error:
            raise UserError(
                f"cannot read {url}: remote sources need fsspec, which is not installed; "
                "pip install 'keras_rawaudio[remote]', or download the file yourself"
            ) from error
        self.url, self.gfile = url, io.gfile

    def find(self) -> list[str]:
        """The file itself; folders are fsspec's."""
        return [self.url]

    def stamp(self) -> dict[str, Any]:
        """Size and time of change."""
        status = self.gfile.stat(self.url)
        return {"bytes": int(status.length), "mtime_ns": int(status.mtime_nsec)}

    def read(self, begin: int) -> Iterator[bytes]:
        """The bytes from a position to the end, block by block."""
        with self.gfile.GFile(self.url, "rb") as source:
            source.seek(begin)
            while block := source.read(BLOCK):
                yield block
