"""Remote files through tensorflow-io, where fsspec is not installed.

It copies bytes, and decodes WAV, FLAC, Ogg Vorbis and MP3 where they lie. With s3:// tensorflow-io
0.37.1 aborts the process as it ends ("pure virtual method called"): after the work is done, but the
exit code is then 134.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from keras_rawaudio.data.corpus.settings import is_sample_rate
from keras_rawaudio.errors import UserError, one_line

BLOCK = 1 << 20  # bytes, or samples
DECODED = (".wav", ".flac", ".ogg", ".mp3")  # endings of what tensorflow-io decodes
FULL_SCALE = {"uint8": 1 << 7, "int16": 1 << 15, "int32": 1 << 31, "float32": 1}


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
                # A library that does not load is only a warning there; make it an error.
                warnings.filterwarnings("error", message="unable to load")
                import tensorflow_io  # noqa: F401
                from tensorflow import io
        except Exception as error:
            raise UserError(
                f"cannot read {url}: remote sources need fsspec, which is not installed; "
                "pip install '.[remote]', or download the file yourself"
            ) from error
        self.url, self.gfile = url, io.gfile

    def find(self) -> dict[str, dict[str, Any]]:
        """The file itself and its stamp; folders are fsspec's."""
        return {self.url: self.stamp()}

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

    def audio(self) -> GfileAudio | None:
        """The file as audio that is decoded where it lies, if it is of a kind for that."""
        return GfileAudio(self.url) if self.url.lower().endswith(DECODED) else None


class GfileAudio:
    """A file that `tensorflow_io.audio.AudioIOTensor` decodes lazily, without a local copy.

    Args:
        url: the address of a WAV, FLAC, Ogg Vorbis or MP3 file.

    Raises:
        UserError: it is none, or cannot be read.
    """

    def __init__(self, url: str) -> None:
        from tensorflow_io import audio

        self.name = url
        try:
            self._samples = audio.AudioIOTensor(url)
            self.sample_rate = int(self._samples.rate)
            self.length, self.channels = (int(size) for size in self._samples.shape)
        except Exception as error:  # tensorflow-io has no common class
            raise self._failed(error) from error
        if not is_sample_rate(self.sample_rate):
            raise UserError(f"{url} claims a sample rate of {self.sample_rate} Hz; repair the file")

    def blocks(self) -> Iterator[np.ndarray]:
        """Float32 samples as they are, `(n, channels)`."""
        for begin in range(0, self.length, BLOCK):
            try:
                block = self._samples[begin : begin + BLOCK].numpy()
            except Exception as error:
                raise self._failed(error) from error
            scale = FULL_SCALE[block.dtype.name]
            middle = scale if block.dtype == np.uint8 else 0
            yield (block.astype(np.float64) - middle).astype(np.float32) / np.float32(scale)

    def _failed(self, error: Exception) -> UserError:
        reason = one_line((str(error).splitlines() or [type(error).__name__])[0])
        return UserError(f"cannot decode {self.name}: {reason}; check the address and the file")
