"""A prepared corpus: three parts on disk, read through memory maps."""

from __future__ import annotations

import copy
import hashlib
import itertools
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from keras_rawaudio.data.corpus.description import DESCRIPTION, read_description
from keras_rawaudio.data.corpus.labels import label_files
from keras_rawaudio.data.corpus.settings import PARTS
from keras_rawaudio.errors import UserError, may_not_be_read

SAMPLE = np.dtype("<i2")  # 16 bits, low byte first on every machine
FULL_SCALE = 32768
LARGEST_DESCRIPTION = 1 << 28  # bytes; an audio file takes a few hundred
HASHED = 1 << 20  # samples at a time


class Corpus:
    """Mono or stereo audio at one rate, split into train, validation and test parts.

    The folder holds `corpus.json` and, for each part, its segments one after the other as raw
    16-bit samples, channels interleaved: `train.i16`, `validation.i16`, `test.i16`; of stereo also
    the mean of both channels, `train.mono.i16` and so on. `corpus.json` is the manifest: of every
    source its name, size, SHA-256, rate and channels, of every part its segments and where in
    which source each lies, of every file its SHA-256. A segment is a contiguous stretch of one
    file; windows and carried state must not run from one into the next. All counts of samples are
    per channel.

    Attributes:
        folder: where it lies; the address, of a `StoredCorpus`.
        sample_rate: in Hz.
        channels: 1 or 2.
        fingerprint: the name of the sources and settings that made it.

    Example:
        >>> corpus = Corpus.open("~/.cache/keras_rawaudio/0f3a")  # doctest: +SKIP
        >>> [len(segment) for segment in corpus.segments("train")]  # doctest: +SKIP
        [1563352]
    """

    def __init__(self, folder: Path | str, description: dict[str, Any]) -> None:
        self.folder = folder
        self._description = description
        self.sample_rate: int = description["sample_rate"]
        self.channels: int = description.get("channels", 1)
        self.fingerprint: str = description["fingerprint"]

    def __repr__(self) -> str:
        seconds = ", ".join(
            f"{part} {self.samples(part) / self.sample_rate:.1f} s" for part in PARTS
        )
        kind = "mono" if self.channels == 1 else "stereo"
        return f"<Corpus {self.fingerprint}: {self.sample_rate} Hz {kind}, {seconds}>"

    @classmethod
    def open(cls, folder: str | Path) -> Corpus:
        """Open a folder that `prepare` wrote.

        Raises:
            UserError: if it is not one, is of an unknown version, or is damaged.
        """
        folder = Path(os.path.expanduser(folder))
        if not os.path.isdir(folder):
            raise _missing(folder)
        path = folder / DESCRIPTION
        try:
            if not path.is_file() or path.stat().st_size > LARGEST_DESCRIPTION:
                raise ValueError("not a file of this size")
            text = path.read_text(encoding="utf-8")
        except PermissionError as error:
            raise may_not_be_read(path, error) from None
        except (OSError, ValueError) as error:
            raise UserError(f"{folder} is not a prepared corpus (see {DESCRIPTION})") from error
        corpus = cls(folder, read_description(text, folder))
        for part, mono in itertools.product(PARTS, (False, True)):
            path, size = corpus._path(part, mono), corpus._size(part, mono)
            if not path.is_file() or path.stat().st_size != size:
                raise UserError(f"the corpus {folder} is damaged ({path.name}); delete the folder")
        return corpus

    def verify(self) -> None:
        """Read all samples and compare them with the checksums of `corpus.json`.

        `open` compares no more than sizes.

        Raises:
            UserError: a file is not what was prepared, or there are no checksums.

        Example:
            >>> Corpus.open("~/.cache/keras_rawaudio/0f3a").verify()  # doctest: +SKIP
        """
        checksums = self._description.get("files")
        paths = {self._path(part, mono) for part in PARTS for mono in (False, True)}
        if not isinstance(checksums, dict) or {path.name for path in paths} != set(checksums):
            raise UserError(f"the corpus {self.folder} has no checksums; delete the folder")
        for path in sorted(paths):
            if sha256(path) != checksums[path.name]:
                raise UserError(
                    f"the corpus {self.folder} is damaged ({path.name}); delete the folder"
                )

    def samples(self, part: str) -> int:
        """How many samples a part has, per channel."""
        return sum(self._lengths(part))

    def segments(self, part: str, mono: bool = False) -> list[np.ndarray]:
        """The part's contiguous stretches.

        Args:
            part: "train", "validation" or "test".
            mono: the mean of the channels where there are two.

        Returns:
            int16 arrays, `(n,)` if mono, `(n, 2)` if stereo: read-only views of one memory map.
            Divide by 32768 for audio.

        Raises:
            UserError: the folder was removed since it was opened.
        """
        lengths = self._lengths(part)
        channels = self._file(part, mono)[1]
        shape = (sum(lengths),) if channels == 1 else (sum(lengths), channels)
        try:
            samples = np.memmap(self._path(part, mono), SAMPLE, mode="r", shape=shape)
        except FileNotFoundError:
            raise _missing(self.folder) from None
        return np.split(samples, np.cumsum(lengths)[:-1])

    def starts(self, part: str) -> list[int]:
        """Where in its own file each of the part's segments begins.

        Args:
            part: "train", "validation" or "test".

        Returns:
            For each segment its first sample, at the corpus' rate.
        """
        self._lengths(part)
        return [segment["start"] for segment in self._description["parts"][part]["segments"]]

    @property
    def labels(self) -> list[str]:
        """Names of what it is made of, see `label_files`; none where it is one file."""
        return self._label_files()[0]

    def label_files(self) -> list[int]:
        """How many files each label is; nothing without labels."""
        names, of_files = self._label_files()
        return [of_files.count(label) for label in range(len(names))]

    def segment_labels(self, part: str) -> list[int]:
        """The label of each of the part's segments.

        Args:
            part: "train", "validation" or "test".

        Returns:
            For each segment an index into `labels`; nothing without labels.
        """
        self._lengths(part)
        of_sources = self._label_files()[1]
        segments = self._description["parts"][part]["segments"]
        return [of_sources[segment["source"]] for segment in segments] if of_sources else []

    def longest(self, part: str) -> tuple[int, str | None]:
        """The part's longest segment.

        Args:
            part: "train", "validation" or "test".

        Returns:
            The index of the segment, and the name of its label, if it has one.
        """
        lengths, labels = self._lengths(part), self.segment_labels(part)
        index = int(np.argmax(lengths))
        return index, self.labels[labels[index]] if labels else None

    def _label_files(self) -> tuple[list[str], list[int]]:
        return label_files([source["path"] for source in self._description["sources"]])

    def place(self, part: str, second: float) -> tuple[Path, float]:
        """Where in the sources a second of a part was taken from.

        Args:
            part: "train", "validation" or "test".
            second: from the beginning of the part.

        Returns:
            The path of the file, and the second of it.
        """
        left = round(second * self.sample_rate)
        segments = [s for s in self._description["parts"][part]["segments"] if s["samples"]]
        for segment in segments:
            if left < segment["samples"] or segment is segments[-1]:
                break
            left -= segment["samples"]
        path = Path(self._description["sources"][segment["source"]]["path"])
        return path, (segment["start"] + left) / self.sample_rate

    def chunks(self, part: str, size: int = 1 << 20, mono: bool = False) -> Iterator[np.ndarray]:
        """The part from its first to its last sample, whatever its segments.

        Args:
            part: "train", "validation" or "test".
            size: the most samples in a chunk, per channel.
            mono: the mean of the channels where there are two.

        Yields:
            float32 `(n,)` if mono, `(n, 2)` if stereo, in [-1, 1).
        """
        self._lengths(part)
        channels = self._file(part, mono)[1]
        yield from read_floats(self._path(part, mono), 0, self.samples(part), size, channels)

    def parts(self) -> dict[str, Callable[[], Iterator[np.ndarray]]]:
        """Each part's `chunks`, as `Codec.fit` wants them."""
        return {part: partial(self.chunks, part) for part in PARTS}

    def describe(self) -> dict[str, Any]:
        """A copy of `corpus.json`: sources, settings, rate, peak, segments and samples."""
        return copy.deepcopy(self._description)

    def sha256(self) -> str:
        """SHA-256 of all samples, part by part: the same audio has the same one."""
        digest = hashlib.sha256()
        for part in PARTS:
            for segment in self.segments(part):
                digest.update(f"{part} {segment.shape}".encode())
                for first in range(0, len(segment), HASHED):
                    digest.update(np.ascontiguousarray(segment[first : first + HASHED]).data)
        return digest.hexdigest()

    def _lengths(self, part: str) -> list[int]:
        if part not in PARTS:
            raise UserError(f"no part '{part}' in a corpus; there are {', '.join(PARTS)}")
        return [segment["samples"] for segment in self._description["parts"][part]["segments"]]

    @property
    def address(self) -> str:
        """What `open_corpus` finds it by."""
        return str(Path(self.folder).resolve())

    def _file(self, part: str, mono: bool) -> tuple[str, int]:
        """The name of a part's file, and its channels."""
        if mono and self.channels > 1:
            return f"{part}.mono.i16", 1
        return f"{part}.i16", self.channels

    def _path(self, part: str, mono: bool) -> Path:
        return Path(self.folder) / self._file(part, mono)[0]

    def _size(self, part: str, mono: bool) -> int:
        """Bytes of a part's file."""
        return self.samples(part) * self._file(part, mono)[1] * SAMPLE.itemsize


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def to_int16(audio: np.ndarray) -> np.ndarray:
    """Float audio to 16 bits, rounded and clipped: what is beyond [-1, 1) never wraps round.

    Args:
        audio: floats of any shape.

    Returns:
        Little-endian int16 of the same shape.

    Example:
        >>> to_int16(np.array([0.5, 1.0, -3.0])).tolist()
        [16384, 32767, -32768]
    """
    scaled = np.rint(audio * np.float32(FULL_SCALE))
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(SAMPLE)


def _missing(folder: Path | str) -> UserError:
    return UserError(
        f"there is no prepared audio in {folder}: a cache may have been cleared; "
        "keras-rawaudio rerun prepares a run's audio there again"
    )


def read_floats(
    path: Path, start: int, stop: int, size: int = 1 << 20, channels: int = 1
) -> Iterator[np.ndarray]:
    """Samples start to stop of a raw file of 16-bit samples, as float32 in [-1, 1).

    Plain reads rather than a memory map, so that no page of the file stays in the process.

    Args:
        path: the file.
        start: the first sample, counted per channel.
        stop: the one after the last.
        size: the most samples in a block.
        channels: how many are interleaved.

    Yields:
        float32 `(n,)`, or `(n, channels)` of more than one channel.
    """
    with path.open("rb") as file:
        file.seek(start * channels * SAMPLE.itemsize)
        while start < stop:
            block = np.fromfile(file, SAMPLE, min(size, stop - start) * channels)
            if len(block) < channels:
                raise UserError(f"{path} is shorter than its description says; delete its folder")
            start += len(block) // channels
            floats = block.astype(np.float32) / np.float32(FULL_SCALE)
            yield floats if channels == 1 else floats.reshape(-1, channels)
