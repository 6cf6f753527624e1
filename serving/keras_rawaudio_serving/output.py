"""Where the audio goes: files (whole or not at all) or a pipe."""

import io
import os
import select
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from .audio import file_name
from .errors import ServingError
from .finished_file import finish
from .scratch import Scratch, is_kept, refusal, replace_all

if TYPE_CHECKING:
    import soundfile

FORMATS = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
_LARGEST_WAV = 2**32 - 2**16  # bytes of samples
_COMPRESSION = 20  # the most that FLAC and OGG save, about
_MAX_FRAMES = 1 << 16  # libsndfile's Vorbis encoder overflows its stack on very long writes


class Output(Protocol):
    """Takes blocks; leaving its `with` without an error is what makes the result final."""

    def __enter__(self) -> "Output": ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def write(self, block: np.ndarray) -> None: ...


def to_pcm16(audio: np.ndarray) -> np.ndarray:
    """float audio to int16, 1.0 being 32768, clipped before the cast, so that nothing wraps round.

    Args:
        audio: of any shape.

    Returns:
        int16 of the same shape.

    Example:
        >>> to_pcm16(np.array([0.5, 1.0, -3.0])).tolist()
        [16384, 32767, -32768]
    """
    scaled = np.rint(np.asarray(audio, np.float32) * np.float32(32768))
    pcm: np.ndarray = np.clip(scaled, -32768, 32767).astype(np.int16)
    return pcm


def interleaved(block: np.ndarray) -> np.ndarray:
    """int16 (samples, streams * channels) of float (streams, samples[, channels]).

    Example:
        >>> interleaved(np.array([[0.0, 0.5], [1.0, -1.0]])).tolist()
        [[0, 32767], [16384, -32768]]
    """
    return np.ascontiguousarray(np.moveaxis(to_pcm16(block), 1, 0).reshape(block.shape[1], -1))


def output_paths(path: str | Path, streams: int) -> list[Path]:
    """The files of `streams` streams: the path itself, or new-1.wav, new-2.wav, ...

    Raises:
        ServingError: unknown extension, no such folder, or a folder, a pipe, a device or another
            user's file in the file's place, which a file must not take.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ServingError(
            f"cannot write {path}: unknown extension {path.suffix!r}; use .wav, .flac or .ogg"
        )
    if not path.parent.is_dir():
        raise ServingError(f"cannot write {path}: no such folder: {path.parent}")
    paths = [path]
    if streams > 1:
        paths = [path.with_name(f"{path.stem}-{n + 1}{path.suffix}") for n in range(streams)]
    for one in paths:
        if one.is_dir():
            raise ServingError(f"cannot write {one}: it is a folder")
        if one.exists() and not one.is_file():
            raise ServingError(
                f"cannot write {one}: it is a pipe or a device; --out - writes to a pipe"
            )
        if one.exists() and is_kept(one):
            raise ServingError(f"cannot write {one}: it is another user's; choose another place")
    return paths


def refuse_inputs(paths: Iterable[Path], *inputs: str | None) -> None:
    """Refuse to write over what is read.

    Args:
        paths: that are written.
        inputs: paths that are read; None stands for none.

    Raises:
        ServingError: one of them is the same file.
    """
    read = [path for path in inputs if path is not None and os.path.exists(path)]
    for path in paths:
        if path.exists() and any(os.path.samefile(path, one) for one in read):
            raise ServingError(f"cannot write {path}: it is what is read; choose another place")


def check_room(path: str | Path, samples: int, files: int) -> None:
    """Refuse what no file or disk holds, before it is made.

    Args:
        path: of the files.
        samples: of each file, of all channels together.
        files: how many.

    Raises:
        ServingError: a WAV of more than 4 GB, or more than the disk has room for.
    """
    size = 2 * samples
    if Path(path).suffix.lower() == ".wav" and size > _LARGEST_WAV:
        raise ServingError(f"cannot write {path}: a WAV holds 4 GB at most; use .flac, or less")
    free = shutil.disk_usage(Path(path).parent).free
    least = 1 if Path(path).suffix.lower() == ".wav" else _COMPRESSION
    if size * files / least > free:
        raise ServingError(f"cannot write {path}: the disk has {free / 1e9:.1f} GB left; make less")


class FileOutput:
    """One 16-bit file per stream, in WAV, FLAC or OGG by extension.

    Written beside their final place, and renamed at the end when they are on the disk: no
    half-written file is ever left. What a process left that was killed goes when the next one
    writes to the same place.

    Args:
        path: of the one file; several are numbered.
        streams: how many are written.
        sample_rate: of the files.
        channels: of each stream.
        keep: how many streams become files in the end, those that `kept` lists; all by default.

    Attributes:
        kept: numbers of the streams to keep, from 0, in the order of the files.
    """

    def __init__(
        self,
        path: str | Path,
        streams: int,
        sample_rate: int,
        channels: int = 1,
        keep: int | None = None,
    ) -> None:
        import soundfile

        self.paths = output_paths(path, keep or streams)
        self.kept: Sequence[int] = range(keep or streams)
        container, subtype = FORMATS[Path(path).suffix.lower()]
        self._files: list[soundfile.SoundFile] = []
        self._frames = 0
        self._scratch: Scratch | None = None
        try:
            self._scratch = Scratch(self.paths[0])
            for number in range(streams):
                part = self._scratch.path / f"{number}{self.paths[0].suffix}"
                part.touch()  # libsndfile keeps the reason of the system to itself
                self._files.append(
                    soundfile.SoundFile(
                        file_name(part),
                        "w",
                        sample_rate,
                        channels,
                        subtype=subtype,
                        format=container,
                    )
                )
        except (OSError, soundfile.SoundFileError) as error:
            self._discard()
            reason = getattr(error, "strerror", None) or getattr(error, "error_string", error)
            raise ServingError(f"cannot write {path}: {reason}") from None
        except BaseException:
            self._discard()
            raise

    def __enter__(self) -> "FileOutput":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._commit()
        finally:
            self._discard()

    def write(self, block: np.ndarray) -> None:
        """Append float (streams, samples) or (streams, samples, channels)."""
        for file, row in zip(self._files, to_pcm16(block), strict=True):
            try:
                for start in range(0, len(row), _MAX_FRAMES):
                    file.write(row[start : start + _MAX_FRAMES])
            except RuntimeError as error:  # libsndfile's: disk full, a WAV of more than 4 GB
                raise self._failure(file, error) from None
        self._frames += block.shape[1]

    def _failure(self, file: "soundfile.SoundFile", error: Exception) -> ServingError:
        reason = refusal(Path(os.fsdecode(file.name))) or error
        return ServingError(
            f"cannot write {self.paths[0]}: {reason}; make room, or choose another place"
        )

    def _commit(self) -> None:
        umask = os.umask(0)
        os.umask(umask)
        parts = [Path(os.fsdecode(file.name)) for file in self._files]
        for file, part in zip(self._files, parts, strict=True):
            try:
                file.close()
                finish(part, self._frames)
            except (OSError, RuntimeError, ValueError) as error:
                raise self._failure(file, error) from None
            part.chmod(0o666 & ~umask)  # libsndfile gives 0644; it should be like any other file
        kept = [parts[stream] for stream in self.kept]
        assert self._scratch
        try:
            replace_all(list(zip(kept, self.paths, strict=True)), self._scratch.path)
        except OSError as error:  # another's file, a mounted one
            raise ServingError(
                f"cannot write {self.paths[0]}: {error.strerror}; choose another place"
            ) from None

    def _discard(self) -> None:
        for file in self._files:
            file.close()
        if self._scratch:
            self._scratch.remove()


class PipeOutput:
    """Raw signed 16-bit little-endian PCM to standard output, streams and channels interleaved."""

    def __init__(self) -> None:
        if sys.stdout is None:
            raise ServingError("--out - writes to standard output, and it is closed")
        if sys.stdout.isatty():
            raise ServingError(
                "--out - writes raw audio: pipe it somewhere, it is not for a terminal"
            )

    def __enter__(self) -> "PipeOutput":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, BrokenPipeError):
            # Nobody listens any more; keep the interpreter from flushing into the closed pipe.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def write(self, block: np.ndarray) -> None:
        """Send float (streams, samples) or (streams, samples, channels) at once."""
        try:
            buffer: Any = sys.stdout.buffer
            # Past the buffer, which would try again to write what it holds when Python leaves.
            raw: Any = getattr(buffer, "raw", buffer)
            write_all(raw, interleaved(block).astype("<i2").tobytes())
        except BrokenPipeError:
            raise
        except OSError as error:
            raise ServingError(f"cannot write to standard output: {error.strerror}") from None


def write_all(file: io.RawIOBase, data: bytes) -> None:
    """Write all bytes to an unbuffered file; one call may take some of them, or none yet."""
    rest = memoryview(data)
    while rest:
        count = file.write(rest)
        if count is None:  # a pipe that does not wait, and is full
            select.select([], [file], [])
        else:
            rest = rest[count:]
