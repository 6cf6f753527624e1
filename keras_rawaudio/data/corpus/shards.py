"""Source files decoded one by one, in parallel processes, each to a shard on disk."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from keras_rawaudio.data.corpus import remote
from keras_rawaudio.data.corpus.corpus import FULL_SCALE, SAMPLE, read_floats, sha256, to_int16
from keras_rawaudio.data.corpus.decoding import Audio, decode, file_stamp, open_audio
from keras_rawaudio.data.corpus.splitting import sounding_range
from keras_rawaudio.errors import UserError
from keras_rawaudio.files import PARTIAL, partial_path, sync

VERSION = 1  # of a shard's two files
CLIPPED_WARNING = 1e-3  # the fraction of clipped samples that is worth a warning
FACTS = {
    *("sha256", "sample_rate", "channels", "samples", "clipped", "peak", "sounding"),
    "warnings",
}
SMALL = 1 << 26  # bytes of audio files in sum that one process decodes soon enough
IDLE = 10.0  # seconds without work after which a process ends
NOTE_EVERY = 30.0  # seconds between two lines about how far it is


@dataclass(frozen=True)
class Shard:
    """The samples of one source file at the rate of a corpus.

    `<key>.i16` holds them, `<key>.json` the facts about them. The second is written last: where it
    is, the shard is whole.

    Args:
        folder: where it lies.
        stamp: `path` of the source, its `bytes`, and what tells whether it changed.
        sample_rate: in Hz.
        channels: 1 or 2.
        trim_decibels: as in `CorpusSettings`.
    """

    folder: Path
    stamp: dict[str, Any]
    sample_rate: int
    channels: int
    trim_decibels: float

    @cached_property
    def key(self) -> str:
        """A name for the source and all that its samples depend on."""
        made_from = [VERSION, self.stamp, self.sample_rate, self.channels, self.trim_decibels]
        return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:24]

    @property
    def path(self) -> Path:
        """Its 16-bit samples, channels interleaved."""
        return self.folder / f"{self.key}.i16"

    def facts(self) -> dict[str, Any] | None:
        """What is known of its samples; `None`: it is not there, or not whole.

        Returns:
            `sha256`, `sample_rate` and `channels` of the source; its `samples` at the corpus' rate,
            how many of them were `clipped`, their `peak`, the range that is `sounding`, and
            `warnings`.
        """
        try:
            if not self._facts.is_file():  # a pipe would wait
                return None
            facts: dict[str, Any] = json.loads(self._facts.read_text(encoding="utf-8"))
            size = facts["samples"] * self.channels * SAMPLE.itemsize
            whole = facts.keys() == FACTS and self.path.stat().st_size == size
            return facts if whole else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def make(self) -> None:
        """Decode the source.

        Raises:
            UserError: it cannot be read, is not audio, holds no audio, or has changed since its
                stamp was taken.
            OSError: the shard cannot be written.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if remote.is_url(self.stamp["path"]):
                facts = self._from_store()
            else:
                facts = self._from_file(Path(self.stamp["path"]))
        texts = [str(warning.message) for warning in caught]
        with _whole(self._facts) as partial:
            partial.write_text(json.dumps({**facts, "warnings": texts}), encoding="utf-8")

    def remove(self) -> None:
        """Remove it from the disk."""
        self._facts.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    @property
    def _facts(self) -> Path:
        return self.folder / f"{self.key}.json"

    def _from_file(self, path: Path) -> dict[str, Any]:
        facts = self._decode(open_audio(path))
        try:
            facts["sha256"] = sha256(path)
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from None
        if file_stamp(path) != self.stamp:  # else its new samples would be found by its old stamp
            raise UserError(f"{path} changed while it was read; try again when it is complete")
        return facts

    def _from_store(self) -> dict[str, Any]:
        """From where it lies if that can be, or from a copy, which is removed again."""
        url = self.stamp["path"]
        if audio := remote.open_lazily(url):
            return self._decode(audio) | {"sha256": remote.sha256(url)}
        with TemporaryDirectory(prefix=PARTIAL, dir=self.folder) as folder:
            path, digest = remote.fetch(url, Path(folder))
            return self._decode(open_audio(path, url)) | {"sha256": digest}

    def _decode(self, audio: Audio) -> dict[str, Any]:
        with _whole(self.path) as partial:
            samples, clipped, peak = _decode_to(partial, audio, self.sample_rate, self.channels)
            if samples == 0:
                raise UserError(f"{audio.name} holds no audio (0 samples)")
            whole = samples * self.channels
            if clipped > CLIPPED_WARNING * whole:
                warnings.warn(
                    f"{audio.name}: {clipped} of {whole} samples lie beyond full scale and were "
                    "clipped; scale the file to [-1, 1]",
                    stacklevel=2,
                )
            blocks = read_floats(partial, 0, samples, channels=self.channels)
            sounding = sounding_range(blocks, self.sample_rate, self.trim_decibels)
        return {
            "sample_rate": audio.sample_rate,
            "channels": audio.channels,
            "samples": samples,
            "clipped": clipped,
            "peak": peak,
            "sounding": sounding,
        }


def make_shards(shards: Sequence[Shard], processes: int | None = None) -> None:
    """Decode those that are not there yet, the largest files first.

    Args:
        shards: of different sources.
        processes: how many decode at the same time. `None`: one where the files are small, or else
            one per processor that this process may use (`LOKY_MAX_CPU_COUNT` makes it fewer).

    Raises:
        UserError: as `Shard.make`; what other processes were at is given up, finished shards stay.
        OSError: a shard cannot be written.
    """
    missing = [shard for shard in shards if shard.facts() is None]
    missing.sort(key=lambda shard: -(shard.stamp["bytes"] or 0))
    if processes is None:
        processes = 1
        if sum(shard.stamp["bytes"] or 0 for shard in missing) > SMALL:
            import loky

            try:
                processes = loky.cpu_count()
            except ValueError as error:
                raise UserError(f"LOKY_MAX_CPU_COUNT is no number of processes: {error}") from None
    noted = time.monotonic()
    for done in _made(missing, min(processes, len(missing))):
        if time.monotonic() - noted > NOTE_EVERY:
            noted = time.monotonic()
            print(f"note: {done} of {len(missing)} files are decoded", file=sys.stderr)


def _made(shards: Sequence[Shard], processes: int) -> Iterator[int]:
    """Makes them; yields how many there are so far."""
    if processes < 2:
        for done, shard in enumerate(shards, 1):
            shard.make()
            yield done
        return
    # Its processes do not run the caller's script again, as those of multiprocessing would.
    import loky

    pool = loky.ProcessPoolExecutor(processes, timeout=IDLE, initializer=_ignore_ctrl_c)
    try:
        futures = [pool.submit(_make, shard, os.getpid()) for shard in shards]
        for done, future in enumerate(as_completed(futures), 1):
            future.result()
            yield done
    except BaseException as error:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where there is no tool to find children of children
            pool.shutdown(kill_workers=True)
        if isinstance(error, BrokenProcessPool):
            raise UserError(
                "a process that decoded audio was ended from outside, perhaps for want of memory; "
                "run it again (LOKY_MAX_CPU_COUNT=1 takes the least), and it goes on"
            ) from error
        raise
    pool.shutdown()


def _ignore_ctrl_c() -> None:
    """The process that waits for the shards takes it, and ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make(shard: Shard, parent: int) -> None:
    if os.getppid() == parent:  # nobody waits for it otherwise
        shard.make()


def _decode_to(raw: Path, audio: Audio, rate: int, channels: int) -> tuple[int, int, float]:
    """One file to 16-bit samples on disk; returns samples, clipped samples and peak."""
    samples, clipped, peak = 0, 0, 0
    with raw.open("wb") as file:
        for block in decode(audio, rate, channels):
            # 1.0 itself becomes 32767/32768, which nobody can hear.
            clipped += int(np.count_nonzero(np.abs(block) > 1))
            quantised = to_int16(block)
            peak = max(peak, int(np.max(np.abs(quantised.astype(np.int32)), initial=0)))
            file.write(quantised.tobytes())  # `tofile` keeps the reason of a failure to itself
            samples += len(quantised)
    return samples, clipped, peak / FULL_SCALE


@contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A temporary path that becomes `path` when the block ends well."""
    partial = partial_path(path)
    yield partial
    sync(partial)
    partial.replace(path)
