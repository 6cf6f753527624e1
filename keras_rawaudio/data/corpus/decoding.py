"""Audio files as mono float32 at one rate, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_rawaudio.errors import UserError

KINDS = "aif aifc aiff au caf flac mp3 oga ogg opus rf64 snd w64 wav wave"
"""What a folder is searched for; a file that is named itself may be called anything."""

BLOCK = 1 << 17  # frames: two channels of float32 take a megabyte


@dataclass(frozen=True)
class AudioFile:
    """What a header says: path, rate in Hz, channels."""

    path: Path
    sample_rate: int
    channels: int


def find_files(source: str | Path) -> list[Path]:
    """A file as it is; a folder searched recursively, in the order of its files' paths.

    Returns:
        Absolute paths with links followed, so that one file has one name.

    Raises:
        UserError: if the source does not exist or is a folder that holds no audio file.
    """
    source = Path(source).expanduser()
    if not source.exists():
        raise UserError(f"no such file or folder: {source}")
    if not source.is_dir():
        return [source.resolve()]
    inside = sorted(path for path in source.rglob("*") if _looks_like_audio(path, source))
    if not inside:
        raise UserError(f"no audio file (WAV, FLAC, OGG, MP3, ...) in the folder {source}")
    return [path.resolve() for path in inside]


def open_audio(path: Path) -> AudioFile:
    """Read a file's header.

    Raises:
        UserError: if the file is empty, cannot be read, or is not audio.
    """
    import soundfile

    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path} is empty (0 bytes)")
        with soundfile.SoundFile(path) as sound:
            return AudioFile(path, sound.samplerate, sound.channels)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (soundfile.SoundFileRuntimeError, TypeError) as error:
        raise UserError(f"{path} is not an audio file that can be decoded: {error}") from error


def decode(audio: AudioFile, sample_rate: int) -> Iterator[np.ndarray]:
    """Decode, mix to mono and resample one file.

    Mixing is the mean of the channels, taken before the resampling (both are linear, and one
    channel resamples faster than two). Samples may lie beyond [-1, 1].

    Args:
        audio: from `open_audio`.
        sample_rate: the wanted rate in Hz.

    Yields:
        float32 vectors, about `BLOCK` samples or fewer each.

    Raises:
        UserError: if decoding fails half-way or a sample is NaN or infinite.
    """
    mono = _mono(audio)
    if audio.sample_rate == sample_rate:
        yield from mono
        return
    import soxr

    resampler = soxr.ResampleStream(audio.sample_rate, sample_rate, 1, "float32", "HQ")
    for block in mono:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)


def _mono(audio: AudioFile) -> Iterator[np.ndarray]:
    import soundfile

    weights = np.full(audio.channels, 1 / audio.channels, np.float32)
    position = 0
    try:
        with soundfile.SoundFile(audio.path) as sound:
            while len(block := sound.read(BLOCK, "float32", always_2d=True)):
                mono = block[:, 0] if audio.channels == 1 else block @ weights
                finite = np.isfinite(mono)
                if not finite.all():
                    second = (position + int(np.argmin(finite))) / audio.sample_rate
                    raise UserError(
                        f"{audio.path} holds a sample that is not a finite number (NaN or "
                        f"infinity) at {second:.3f} s; repair it or leave the file out"
                    )
                position += len(mono)
                yield mono
    except soundfile.SoundFileRuntimeError as error:
        second = position / audio.sample_rate
        raise UserError(f"cannot decode {audio.path} after {second:.1f} s: {error}") from error


def _looks_like_audio(path: Path, folder: Path) -> bool:
    hidden = any(name.startswith(".") for name in path.relative_to(folder).parts)
    return path.suffix.lower().lstrip(".") in KINDS.split() and not hidden and path.is_file()
