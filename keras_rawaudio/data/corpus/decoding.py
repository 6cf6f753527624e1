"""Audio files as float32 at one rate, mono or stereo, block by block."""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from keras_rawaudio.data.corpus.settings import is_sample_rate
from keras_rawaudio.errors import UserError
from keras_rawaudio.quiet import silent_stderr

if TYPE_CHECKING:
    import soundfile

KINDS = "aif aifc aiff au caf flac mp3 oga ogg opus rf64 snd w64 wav wave"
"""What a folder is searched for; a file that is named itself may be called anything."""

BLOCK = 1 << 16  # samples of each channel of stereo, half a megabyte as float32


class Audio(Protocol):
    """What can be decoded: its name for messages, rate in Hz, channels, and blocks of samples."""

    @property
    def name(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    def blocks(self) -> Iterator[np.ndarray]:
        """Float32 samples as they are, `(n, channels)`."""


@dataclass(frozen=True)
class AudioFile:
    """What a header says: path, rate in Hz, channels; and what messages call the file."""

    path: Path
    sample_rate: int
    channels: int
    name: str

    def blocks(self) -> Iterator[np.ndarray]:
        """The file's samples as they are, `(n, channels)`, by libsndfile."""
        return _read(self)


def find_files(source: str | Path) -> list[Path]:
    """A file as it is; a folder searched recursively, in the order of its files' paths.

    Returns:
        Absolute paths with links followed, so that one file has one name.

    Raises:
        UserError: if the source is empty, does not exist or is a folder that holds no audio file.
    """
    if not str(source):
        raise UserError("the path of an audio file is empty; name a file or a folder")
    source = Path(os.path.expanduser(source))
    if not source.exists():
        raise UserError(f"no such file or folder: {source}")
    if not source.is_dir():
        return [source.resolve()]
    inside = sorted(path for path in source.rglob("*") if _looks_like_audio(path, source))
    if not inside:
        raise UserError(f"no audio file (WAV, FLAC, OGG, MP3, ...) in the folder {source}")
    return [path.resolve() for path in inside]


def open_audio(path: Path, name: str | None = None) -> AudioFile:
    """Read a file's header.

    Args:
        path: the file.
        name: what messages call it; its path by default.

    Raises:
        UserError: if the file is empty, cannot be read, is not audio, or claims a sample rate that
            no audio has.
    """
    import soundfile

    name = name or str(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe or a device may never end
            raise UserError(f"{name} is not a file; name an audio file or a folder of them")
        if status.st_size == 0:
            raise UserError(f"{name} is empty (0 bytes)")
        with _open(path) as sound:
            audio = AudioFile(path, sound.samplerate, sound.channels, name)
    except UserError:  # a ValueError, too
        raise
    except OSError as error:
        raise UserError(f"cannot read {name}: {error.strerror or error}") from error
    except (soundfile.SoundFileRuntimeError, TypeError, ValueError) as error:
        reason = getattr(error, "error_string", str(error)).splitlines()[0]
        raise UserError(f"{name} is not an audio file that can be decoded: {reason}") from error
    if not is_sample_rate(audio.sample_rate):
        raise UserError(
            f"{name} claims a sample rate of {audio.sample_rate} Hz, which no audio has; repair it "
            "or leave the file out"
        )
    return audio


def decode(audio: Audio, sample_rate: int, channels: int = 1) -> Iterator[np.ndarray]:
    """Decode, mix and resample one file.

    Mono is the mean of the channels, taken before the resampling (both are linear, and one channel
    resamples faster than two). Stereo of anything but two channels is that mean twice. Samples may
    lie beyond [-1, 1]. Of a file that is cut off, what can be decoded is used, with a warning.

    Args:
        audio: from `open_audio`, or what tensorflow-io opens.
        sample_rate: the wanted rate in Hz.
        channels: 1 for mono, 2 for stereo.

    Yields:
        float32 `(n,)` if mono, `(n, 2)` if stereo, about `BLOCK` samples or fewer each.

    Raises:
        UserError: if nothing can be decoded or a sample is NaN or infinite.
    """
    blocks = (_mix(block, channels) for block in _finite(audio))
    if audio.sample_rate == sample_rate:
        yield from blocks
        return
    import soxr

    resampler = soxr.ResampleStream(audio.sample_rate, sample_rate, channels, "float32", "HQ")
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(_mix(np.zeros((0, 1), np.float32), channels), last=True)


def _mix(block: np.ndarray, channels: int) -> np.ndarray:
    """`(n, any)` to `(n,)` or `(n, 2)`."""
    count = block.shape[1]
    if count == channels == 2:
        return block
    weights = np.full(count, 1 / count, np.float32)
    mono = block[:, 0] if count == 1 else block @ weights
    return mono if channels == 1 else np.repeat(mono[:, None], channels, axis=1)


def _read(audio: AudioFile) -> Iterator[np.ndarray]:
    """A file's samples as they are, `(n, its channels)`."""
    import soundfile

    position, reason = 0, None
    with _open(audio.path) as sound:
        cut = _is_cut(sound.extra_info)
        while reason is None:
            block = np.empty((max(1, 2 * BLOCK // audio.channels), audio.channels), np.float32)
            try:
                with silent_stderr():
                    count = len(sound.read(out=block))
            except soundfile.SoundFileRuntimeError as error:
                count, reason = sound.tell() - position, str(error)
            if count <= 0:
                break
            position += count
            yield block[:count]
        # What an MP3 without a header of its own says of its length is an estimate.
        cut = cut or reason is not None or position < 0.99 * sound.frames
    second = position / audio.sample_rate
    if reason and not position:
        raise UserError(f"cannot decode {audio.name}: {reason}")
    if cut and position:
        warnings.warn(
            f"{audio.name} is cut off or damaged: its first {second:.1f} s are used", stacklevel=2
        )


def _open(path: Path) -> soundfile.SoundFile:
    """A file for libsndfile, which takes names as bytes where they need not be Unicode."""
    import soundfile

    with silent_stderr():
        return soundfile.SoundFile(path if os.name == "nt" else os.fsencode(path))


def _is_cut(log: str) -> bool:
    """Whether libsndfile's log of an open file says that audio is missing.

    Sizes near 2 and 4 GB stand for "unknown", as in a file that was written to a pipe.
    """
    sizes = re.search(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", log, re.MULTILINE)
    if sizes and int(sizes[2]) < int(sizes[1]) < 0x7FFFF000:
        return True
    return "lacks an end-of-stream bit" in log


def _finite(audio: Audio) -> Iterator[np.ndarray]:
    """The blocks of samples, none of which may be NaN or infinite."""
    position = 0
    for block in audio.blocks():
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            second = (position + int(np.argmin(finite))) / audio.sample_rate
            raise UserError(
                f"{audio.name} holds a sample that is not a finite number (NaN or infinity) at "
                f"{second:.3f} s; repair it or leave the file out"
            )
        position += len(block)
        yield block


def _looks_like_audio(path: Path, folder: Path) -> bool:
    hidden = any(name.startswith(".") for name in path.relative_to(folder).parts)
    return path.suffix.lower().lstrip(".") in KINDS.split() and not hidden and path.is_file()
