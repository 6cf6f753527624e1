"""Audio files to a corpus on disk: once, atomically, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from keras_rawaudio.data.corpus import remote
from keras_rawaudio.data.corpus.corpus import (
    DESCRIPTION,
    FORMAT_VERSION,
    FULL_SCALE,
    Corpus,
    read_floats,
    to_int16,
)
from keras_rawaudio.data.corpus.decoding import AudioFile, decode, find_files, open_audio
from keras_rawaudio.data.corpus.labels import label_files
from keras_rawaudio.data.corpus.settings import PARTS, CorpusSettings
from keras_rawaudio.data.corpus.splitting import (
    Span,
    sounding_range,
    split_each_in_time,
    split_in_time,
)
from keras_rawaudio.errors import UserError
from keras_rawaudio.files import sync_tree, write_failure
from keras_rawaudio.locks import exclusive

PREPARING = ".preparing-"  # how the names of folders in the making begin
CLIPPED_WARNING = 1e-3  # the fraction of clipped samples that is worth a warning


def prepare(
    sources: Sequence[str | Path],
    cache: Path | None = None,
    settings: CorpusSettings | None = None,
) -> Corpus:
    """Decode, resample, mix, trim and split audio files into a cached corpus.

    The corpus lies in `cache/<fingerprint>`. A later call with the same sources (path, size and
    time of change) and the same settings finds it there and reads no audio. One process at a time
    prepares audio in a cache; others wait, and find what it has made.

    Args:
        sources: files, folders (searched recursively) and addresses such as s3://bucket/folder
            (see `corpus.remote`).
        cache: a folder; by default that of `default_cache`.
        settings: rate, trimming and split; `CorpusSettings()` by default.

    Returns:
        The corpus; each part has at least one sample.

    Raises:
        UserError: if a source does not exist, is empty, is not audio, or holds a NaN; if all
            audio is silent or too short to split; if the cache cannot be written.

    Example:
        >>> corpus = prepare(["song.flac"])  # doctest: +SKIP
        >>> corpus.sample_rate  # doctest: +SKIP
        16000
    """
    settings = settings or CorpusSettings()
    cache = Path(cache) if cache is not None else default_cache()
    stamps = _stamps(sources)
    fingerprint = _fingerprint(stamps, settings)
    folder = cache / fingerprint
    if (ready := _ready(folder)) is not None:
        return ready
    with exclusive(cache, wait=True):
        if (ready := _ready(folder)) is not None:  # another process has made it meanwhile
            return ready
        for leftover in cache.glob(f"{PREPARING}*"):  # of a process that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        scratch = cache / f"{PREPARING}{fingerprint}"
        try:
            finished = scratch / "corpus"
            finished.mkdir(parents=True)
            _write(finished, scratch, stamps, settings, fingerprint)
            sync_tree(finished)
            shutil.rmtree(folder, ignore_errors=True)  # damaged, or of an older version
            finished.replace(folder)
        except OSError as error:
            reason = write_failure(error)
            raise UserError(f"cannot prepare the corpus in {cache}: {reason}") from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return Corpus.open(folder)


def default_cache() -> Path:
    """The user's cache folder for this package, where the system keeps such folders.

    `~/.cache/keras_rawaudio` (or `$XDG_CACHE_HOME/keras_rawaudio`) on Linux,
    `~/Library/Caches/keras_rawaudio` on macOS, `%LOCALAPPDATA%\\keras_rawaudio\\Cache` on Windows.
    """
    return user_cache_path("keras_rawaudio", appauthor=False)


def _stamps(sources: Sequence[str | Path]) -> list[dict[str, Any]]:
    """Every source file with what tells whether it changed."""
    if not sources:
        raise UserError("no audio given; name a file, a folder or a URL")
    # A file that is reached twice counts once, or else it could be trained and tested on.
    stamps: dict[str, dict[str, Any]] = {}
    for source in sources:
        if remote.is_url(str(source)):
            for stamp in remote.find(str(source)):
                stamps.setdefault(stamp["path"], stamp)
            continue
        for path in find_files(source):
            status = path.stat()
            stamp = {"path": str(path), "bytes": status.st_size, "mtime_ns": status.st_mtime_ns}
            stamps.setdefault(str(path), stamp)
    return list(stamps.values())


def _fingerprint(stamps: list[dict[str, Any]], settings: CorpusSettings) -> str:
    made_from = [FORMAT_VERSION, asdict(settings), stamps]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def _ready(folder: Path) -> Corpus | None:
    try:
        return Corpus.open(folder)
    except UserError:
        return None


def _write(
    folder: Path,
    scratch: Path,
    stamps: list[dict[str, Any]],
    settings: CorpusSettings,
    fingerprint: str,
) -> None:
    files = [open_audio(_local(stamp, scratch)) for stamp in stamps]
    rate = settings.sample_rate or min(
        settings.max_sample_rate, *(audio.sample_rate for audio in files)
    )
    channels = settings.channels or max(2 if audio.channels == 2 else 1 for audio in files)
    sources: list[dict[str, Any]] = []
    ranges: list[tuple[int, int]] = []
    for index, (audio, stamp) in enumerate(zip(files, stamps, strict=True)):
        raw = scratch / f"{index}.i16"
        samples, clipped, peak = _decode_to(raw, audio, rate, channels)
        if samples == 0:
            raise UserError(f"{stamp['path']} holds no audio (0 samples)")
        if clipped > CLIPPED_WARNING * samples * channels:
            warnings.warn(
                f"{stamp['path']}: {clipped} of {samples * channels} samples lie beyond full scale "
                "and were clipped; scale the file to [-1, 1]",
                stacklevel=3,
            )
        blocks = read_floats(raw, 0, samples, channels=channels)
        span = sounding_range(blocks, rate, settings.trim_decibels)
        ranges.append(span if settings.trim else (0, samples))
        sources.append(
            {
                **stamp,
                "sample_rate": audio.sample_rate,
                "channels": audio.channels,
                "samples": samples,
                "kept": list(ranges[-1]),
                "clipped": clipped,
                "peak": peak,
            }
        )
    if all(source["peak"] == 0 for source in sources):
        named = sources[0]["path"] if len(sources) == 1 else f"all {len(sources)} files"
        raise UserError(f"nothing but silence in {named}")
    labels = label_files([stamp["path"] for stamp in stamps])[1] if settings.split_each else []
    if labels:
        spans = split_each_in_time(ranges, labels, settings.split)
    else:
        spans = split_in_time(ranges, settings.split)
    _check_long_enough(spans, ranges, rate)
    parts = {part: _write_part(folder, scratch, part, spans[part], channels) for part in PARTS}
    description = {
        "format_version": FORMAT_VERSION,
        "fingerprint": fingerprint,
        "sample_rate": rate,
        "channels": channels,
        "peak": max(part["peak"] for part in parts.values()),
        "settings": asdict(settings),
        "sources": sources,
        "parts": parts,
    }
    text = json.dumps(description, indent=1)  # ASCII: a path may be no valid Unicode
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


def _local(stamp: dict[str, Any], scratch: Path) -> Path:
    """The path of a file on this machine; a remote one's checksum is kept with its stamp."""
    if not remote.is_url(stamp["path"]):
        return Path(stamp["path"])
    path, stamp["sha256"] = remote.fetch(stamp["path"], scratch)
    return path


def _decode_to(raw: Path, audio: AudioFile, rate: int, channels: int) -> tuple[int, int, float]:
    """One file to 16-bit samples on disk; returns samples, clipped samples and peak."""
    samples, clipped, peak = 0, 0, 0
    with raw.open("wb") as file:
        for block in decode(audio, rate, channels):
            # 1.0 itself becomes 32767/32768, which nobody can hear.
            clipped += int(np.count_nonzero(np.abs(block) > 1))
            quantised = to_int16(block)
            peak = max(peak, int(np.max(np.abs(quantised.astype(np.int32)), initial=0)))
            quantised.tofile(file)
            samples += len(quantised)
    return samples, clipped, peak / FULL_SCALE


def _check_long_enough(
    spans: dict[str, list[Span]], ranges: list[tuple[int, int]], rate: int
) -> None:
    missing = [part for part in PARTS if not spans.get(part)]
    if missing:
        seconds = sum(stop - start for start, stop in ranges) / rate
        raise UserError(
            f"{seconds:.4f} s of audio is too short to split: nothing is left for the "
            f"{' and '.join(missing)} part"
        )


def _write_part(
    folder: Path, scratch: Path, part: str, spans: list[Span], channels: int
) -> dict[str, Any]:
    peak = 0.0
    with ExitStack() as files:
        file = files.enter_context((folder / f"{part}.i16").open("wb"))
        if channels > 1:
            mono = files.enter_context((folder / f"{part}.mono.i16").open("wb"))
        for index, start, stop in spans:
            for block in read_floats(scratch / f"{index}.i16", start, stop, channels=channels):
                peak = max(peak, float(np.max(np.abs(block))))
                to_int16(block).tofile(file)
                if channels > 1:
                    to_int16(block.mean(axis=1)).tofile(mono)
    segments = [{"source": i, "start": start, "samples": stop - start} for i, start, stop in spans]
    samples = sum(segment["samples"] for segment in segments)
    return {"samples": samples, "peak": peak, "segments": segments}
