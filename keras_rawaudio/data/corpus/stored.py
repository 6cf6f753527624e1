"""A prepared corpus at an address: samples come from the store, range by range."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_rawaudio.data.corpus.corpus import FULL_SCALE, LARGEST_DESCRIPTION, SAMPLE, Corpus
from keras_rawaudio.data.corpus.description import DESCRIPTION, read_description
from keras_rawaudio.data.corpus.remote import (
    PAUSE,
    RETRIES,
    is_final,
    is_url,
    open_store,
    read_error,
)
from keras_rawaudio.data.corpus.settings import PARTS
from keras_rawaudio.errors import UserError

BLOCK = 1 << 18  # bytes of one request
BLOCKS = 256  # kept in memory of each part's file, the last used: one for each of so many rows


def open_corpus(address: str | Path) -> Corpus:
    """Open a prepared corpus, in a folder or at an address that fsspec knows.

    Args:
        address: as `Corpus.address` gives it, or that of its `corpus.json`.

    Raises:
        UserError: as `Corpus.open`; or it cannot be read.

    Example:
        >>> corpus = open_corpus("s3://bucket/prepared/0f3a9c2b7d415e68")  # doctest: +SKIP
        >>> corpus.segments("train")[0][:3]  # doctest: +SKIP
        array([ 12, -7,  3], dtype=int16)
    """
    if is_url(str(address)):
        return StoredCorpus.at(str(address))
    return Corpus.open(address)


class StoredCorpus(Corpus):
    """A prepared corpus whose folder lies in a store, and is not copied.

    Its segments are read where windows are cut: a request brings 256 KiB, and the last 64 MiB of
    each part stay in memory. What is asked of all samples, such as `sha256`, reads all of them.
    """

    @classmethod
    def at(cls, url: str) -> StoredCorpus:
        """Open the folder at an address of fsspec.

        Raises:
            UserError: as `open_corpus`.
        """
        url = url.removesuffix(f"/{DESCRIPTION}").rstrip("/")
        with _StoredFile(f"{url}/{DESCRIPTION}") as file:
            if file.size > LARGEST_DESCRIPTION:
                raise UserError(f"{file.url} is too large for a description of audio")
            corpus = cls(url, read_description(file.read(0, file.size), url))
        for part in PARTS:
            for mono in (False, True):
                with corpus._open(part, mono):
                    pass
        return corpus

    @property
    def address(self) -> str:
        """Where it lies."""
        return str(self.folder)

    def verify(self) -> None:
        """Checksums are compared where the audio was prepared, or in a copy."""
        raise UserError(f"{self.folder} lies in a store: copy the folder to verify it")

    def segments(self, part: str, mono: bool = False) -> list[Any]:
        """As `Corpus.segments`, but `StoredSegment`s."""
        ends = np.cumsum(self._lengths(part)).tolist()
        file, channels = self._open(part, mono), self._file(part, mono)[1]
        spans = zip([0, *ends[:-1]], ends, strict=True)
        return [StoredSegment(file, begin, end, channels) for begin, end in spans]

    def chunks(self, part: str, size: int = 1 << 20, mono: bool = False) -> Iterator[np.ndarray]:
        """As `Corpus.chunks`."""
        channels, samples = self._file(part, mono)[1], self.samples(part)
        whole = StoredSegment(self._open(part, mono), 0, samples, channels)
        for begin in range(0, samples, size):
            yield whole[begin : begin + size].astype(np.float32) / np.float32(FULL_SCALE)

    def _open(self, part: str, mono: bool) -> _StoredFile:
        file = _StoredFile(f"{self.folder}/{self._file(part, mono)[0]}")
        if file.size != self._size(part, mono):
            raise UserError(f"{file.url} has another size than {DESCRIPTION} says; copy it again")
        return file


class StoredSegment:
    """A contiguous stretch of audio in a store; a slice of it is an int16 array.

    Args:
        file: raw 16-bit samples.
        begin: the first sample, counted per channel.
        end: the one after the last.
        channels: how many are interleaved.

    Attributes:
        shape: `(n,)` of one channel, or `(n, channels)`.
    """

    def __init__(self, file: _StoredFile, begin: int, end: int, channels: int) -> None:
        self._file, self._begin, self._channels = file, begin, channels
        self.shape = (end - begin,) if channels == 1 else (end - begin, channels)
        self.ndim, self.dtype = len(self.shape), SAMPLE

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, where: slice) -> np.ndarray:
        start, stop, step = where.indices(len(self))
        first, last = self._begin + start, self._begin + max(start, stop)
        size = self._channels * SAMPLE.itemsize
        samples = np.frombuffer(self._file.read(first * size, last * size), SAMPLE)
        return samples.reshape(-1, *self.shape[1:])[::step]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All of it in memory."""
        return self[:].astype(dtype or SAMPLE)


class _StoredFile:
    """A file in a store, read by blocks that are kept; a cut connection is tried again.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, url: str) -> None:
        self.url, self._lock = url, threading.Lock()
        try:
            store, path = open_store(url)
            store.invalidate_cache()
            if not store.isfile(path):  # a pipe would wait, and a device may never end
                store.info(path)
                raise ValueError("it is no file")
            self._file = store.open(
                path,
                block_size=BLOCK,
                cache_type="blockcache",
                cache_options={"maxblocks": BLOCKS},
            )
            self.size = int(self._file.size)
        except Exception as error:  # each kind of store has errors of its own
            raise read_error(url, error) from error

    def __enter__(self) -> _StoredFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, begin: int, end: int) -> bytes:
        """Some bytes, all of them."""
        failures = 0
        while True:
            try:
                with self._lock:
                    self._file.seek(begin)
                    data: bytes = self._file.read(end - begin)
                if len(data) < end - begin:
                    raise EOFError(f"the connection ended after {len(data)} bytes")
                return data
            except Exception as error:
                failures += 1
                if failures > RETRIES or is_final(error):
                    raise read_error(self.url, error) from error
                time.sleep(PAUSE * 2 ** (failures - 1))
