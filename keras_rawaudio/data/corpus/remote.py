"""Sources that are addresses of fsspec: s3://, gs://, https:// and the others that it knows."""

from __future__ import annotations

import asyncio
import hashlib
import io
import re
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from keras_rawaudio.data.corpus.decoding import KINDS, open_audio
from keras_rawaudio.data.corpus.gfile import Gfile, GfileAudio
from keras_rawaudio.data.corpus.settings import is_sample_rate
from keras_rawaudio.errors import UserError, one_line
from keras_rawaudio.quiet import silent_stderr

BLOCK = 1 << 20  # bytes
LARGEST_UNKNOWN = 1 << 32  # bytes of a file whose length its server does not name
RETRIES = 4  # of a connection that was cut, without a byte in between
PAUSE = 0.5  # seconds before the first of them; each further one waits twice as long
PATIENCE = 10.0  # seconds without a byte, after which an HTTP server counts as cut off


def is_url(source: str) -> bool:
    """Whether a source is a URL rather than a local path.

    Example:
        >>> is_url("gs://bucket/song.flac"), is_url("C:/song.flac")
        (True, False)
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", source) is not None


def open_store(url: str) -> tuple[Any, str]:
    """The file system of fsspec for an address, and the path in it.

    An HTTP server that sends nothing for `PATIENCE` is an error, and a long file may take its time:
    aiohttp's default limits the whole of an answer to five minutes. A number of seconds under
    `timeout` in fsspec's own configuration takes the place of `PATIENCE`. Other stores have limits
    of their own.

    Args:
        url: of a file or a folder.

    Returns:
        The file system and the path.

    Raises:
        ImportError: no package for this kind of address.
        ValueError: fsspec does not know this kind.
    """
    import fsspec

    if url.split("://")[0].lower() not in ("http", "https"):
        return tuple(fsspec.core.url_to_fs(url))
    kind = fsspec.get_filesystem_class("http")
    import aiohttp  # the line before says what to install where it is missing

    settings = dict(fsspec.config.apply_config(kind, {}).get("client_kwargs") or {})
    seconds = settings.get("timeout", PATIENCE)
    if isinstance(seconds, (int, float)):
        waits = aiohttp.ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)
        settings["timeout"] = waits
    return tuple(fsspec.core.url_to_fs(url, client_kwargs=settings))


def find(url: str) -> list[dict[str, Any]]:
    """A remote file, or the audio files of a remote folder, in the order of their names.

    Args:
        url: of a file or a folder.

    Returns:
        For each file its `path` and what tells whether it changed: `bytes`, and what the store has
        of `mtime_ns` or `version`.

    Raises:
        UserError: no package for this kind of address, nothing there, or no audio in the folder.
    """
    try:
        stamps = _system(url).find()
        if not stamps:
            raise UserError(f"no audio file (WAV, FLAC, OGG, MP3, ...) in the folder {url}")
        return [{"path": each, **stamp} for each, stamp in stamps.items()]
    except UserError:
        raise
    except Exception as error:  # each kind of store has errors of its own
        raise read_error(url, error) from error


def fetch(url: str, folder: Path) -> tuple[Path, str]:
    """Copy a remote file's bytes into a local folder, block by block.

    A connection that is cut is tried again from where it ended.

    Args:
        url: as `find` gives it.
        folder: an existing local folder.

    Returns:
        The local copy, which lives as long as the folder does, and the SHA-256 of its bytes.

    Raises:
        UserError: the file cannot be read, or the connection is cut again and again.
    """
    system = _system(url)
    name = PurePosixPath(url.split("?")[0]).name or "audio"
    number = sum(1 for _ in folder.iterdir())  # two URLs may end in the same name
    path = folder / f"{number}-{name}"
    digest = hashlib.sha256()
    with path.open("wb") as target:
        for block in _blocks(url, system):
            target.write(block)
            digest.update(block)
    return path, digest.hexdigest()


def header(url: str) -> tuple[int, int]:
    """A remote file's rate in Hz and its channels, straight from the store.

    It reads the first megabyte. Where the header lies behind a large picture, it reads all.

    Args:
        url: as `find` gives it.

    Returns:
        The rate in Hz, and the number of channels.

    Raises:
        UserError: the file cannot be read, or is not audio.
    """
    import soundfile

    if audio := open_lazily(url):
        return audio.sample_rate, audio.channels
    start = io.BytesIO(next(_blocks(url, _system(url)), b""))
    try:
        with silent_stderr(), soundfile.SoundFile(start) as sound:
            if is_sample_rate(sound.samplerate):
                return sound.samplerate, sound.channels
    except (soundfile.SoundFileRuntimeError, TypeError, ValueError):
        pass
    with TemporaryDirectory() as folder:
        copy = open_audio(fetch(url, Path(folder))[0], url)
    return copy.sample_rate, copy.channels


def open_lazily(url: str) -> GfileAudio | None:
    """A file that is decoded where it lies, where tensorflow-io reads it and knows its kind."""
    system = _system(url)
    return system.audio() if isinstance(system, Gfile) else None


def sha256(url: str) -> str:
    """SHA-256 of a remote file's bytes, in hexadecimal digits."""
    digest = hashlib.sha256()
    for block in _blocks(url, _system(url)):
        digest.update(block)
    return digest.hexdigest()


def _blocks(url: str, system: _Fsspec | Gfile) -> Iterator[bytes]:
    """All bytes of a file, across connections that are cut."""
    done = failures = 0
    try:
        total = system.stamp()["bytes"]
        source = system.read(0)
    except Exception as error:
        raise read_error(url, error) from error
    while total is None or done < total:
        try:
            block = next(source, b"")
            if not block and total is not None:
                raise EOFError(f"the connection ended after {done} of {total} bytes")
        except Exception as error:
            failures += 1
            if failures > RETRIES or is_final(error):
                raise read_error(url, error) from error
            time.sleep(PAUSE * 2 ** (failures - 1))
            source = system.read(done)
            continue
        if not block:
            return
        failures = 0
        done += len(block)
        if total is None and done > LARGEST_UNKNOWN:
            raise UserError(
                f"{url} names no length and has sent {LARGEST_UNKNOWN >> 30} GB: it may never end; "
                "download a part of it"
            )
        yield block


class _Fsspec:
    """A file or folder of any store that fsspec knows.

    Args:
        url: its address.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.store, self.path = open_store(url)

    def find(self) -> dict[str, dict[str, Any]]:
        """The file itself, or the audio files of the folder, with their stamps."""
        if _is_audio(self.url) or not self.store.isdir(self.path):
            return {self.url: self.stamp()}
        self.store.invalidate_cache()
        inside = sorted(self.store.find(self.path, detail=True).items())
        files = ((path, status) for path, status in inside if _is_audio(path))
        return {self.store.unstrip_protocol(path): _stamp(status) for path, status in files}

    def stamp(self) -> dict[str, Any]:
        """Size, and what the store has of a version or a time of change."""
        self.store.invalidate_cache()
        status = self.store.info(self.path)
        if status["type"] != "file":
            raise FileNotFoundError("it is a folder without audio")
        return _stamp(status)

    def read(self, begin: int) -> Iterator[bytes]:
        """The bytes from a position to the end, block by block."""
        with self.store.open(self.path, "rb", block_size=BLOCK) as file:
            if begin:
                file.seek(begin)
            while block := file.read(BLOCK):
                yield block


def _system(url: str) -> _Fsspec | Gfile:
    try:
        return _Fsspec(url)
    except ImportError as error:
        if error.name == "fsspec":
            return Gfile(url)
        raise read_error(url, error) from error
    except ValueError as error:
        raise read_error(url, error) from error


def _stamp(status: dict[str, Any]) -> dict[str, Any]:
    """What tells whether a file changed, of what the store says about it."""
    keys = (
        *("ETag", "etag", "md5Hash", "LastModified", "last_modified", "mtime", "created"),
        *("Last-Modified", "Content-MD5", "Digest"),  # of a plain HTTP server
    )
    version = next((status[key] for key in keys if status.get(key) is not None), "")
    return {"bytes": status["size"], "version": str(version)}


def _is_audio(path: str) -> bool:
    suffix = PurePosixPath(path.split("?")[0]).suffix
    return suffix.lower().lstrip(".") in KINDS.split()


def is_final(error: Exception) -> bool:
    """Whether trying again is of no use: the file is gone, or may not be read.

    Of a server that does not answer, fsspec says that there is no file.
    """
    cause = error.__cause__
    lost = isinstance(cause, (OSError, asyncio.TimeoutError)) or "Disconnected" in repr(cause)
    return isinstance(error, (FileNotFoundError, PermissionError)) and not lost


def read_error(url: str, error: Exception) -> UserError:
    """The one line for whatever a store raised."""
    cause: BaseException = error
    while str(cause) in ("", url) and cause.__cause__:  # fsspec's own say no more than that
        cause = cause.__cause__
    reason = (str(cause).splitlines() or [type(cause).__name__])[0]
    return UserError(f"cannot read {url}: {one_line(reason)}; check the address and the network")
