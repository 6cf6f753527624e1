"""Audio files to a corpus on disk: once, whole or not at all, in bounded memory."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from platformdirs import user_cache_path

from keras_rawaudio.data.corpus import remote
from keras_rawaudio.data.corpus.corpus import Corpus, read_floats, to_int16
from keras_rawaudio.data.corpus.decoding import file_stamp, find_files, open_audio
from keras_rawaudio.data.corpus.description import DESCRIPTION, FORMAT_VERSION
from keras_rawaudio.data.corpus.labels import label_files
from keras_rawaudio.data.corpus.settings import PARTS, CorpusSettings
from keras_rawaudio.data.corpus.shards import Shard, make_shards
from keras_rawaudio.data.corpus.splitting import Span, split_each_in_time, split_in_time
from keras_rawaudio.data.corpus.stored import open_corpus
from keras_rawaudio.errors import UserError
from keras_rawaudio.files import PARTIAL, sync, sync_tree, write_failure
from keras_rawaudio.locks import exclusive

SHARD = re.compile(r"[0-9a-f]+\.(i16|json)")  # the names of its files
MAX_SAMPLE_RATE = 48_000  # in Hz, without a recipe
PREPARING = ".preparing"  # the folder in a cache where shards and a corpus are made
HEADERS = 8  # that are read at the same time: a store takes its time for each
ADVICE = "choose another by train --cache, or by XDG_CACHE_HOME on Linux"
KEPT_SECONDS = 7 * 24 * 3600  # for so long shards that nobody has used are kept


def prepare(
    sources: Sequence[str | Path],
    cache: Path | None = None,
    settings: CorpusSettings | None = None,
    processes: int | None = None,
    advice: str = ADVICE,
) -> Corpus:
    """Decode, resample, mix, trim and split audio files into a cached corpus.

    The corpus lies in `cache/<fingerprint>`. A later call with the same sources (path, size and
    time of change) and the same settings finds it there and reads no audio. One process at a time
    prepares audio in a cache; others wait, and find what it has made.

    Where it was ended or failed, files that it had decoded are not decoded again: they wait in the
    cache for a week.

    Args:
        sources: files, folders (searched recursively) and addresses such as s3://bucket/folder
            (see `corpus.remote`). Or the one path or address of a `corpus.json`: a corpus that is
            prepared already, and stays where it is.
        cache: a folder; by default that of `default_cache`.
        settings: rate, trimming and split; `CorpusSettings()` by default.
        processes: how many decode at the same time, see `make_shards`. The corpus is the same.
        advice: the end of the error's line where the cache cannot be written.

    Returns:
        The corpus; each part has at least one sample.

    Raises:
        UserError: if a source does not exist, is empty, is not audio, or holds a NaN; if all
            audio is silent or too short to split; if the cache cannot be written; if a prepared
            corpus was made with other settings.

    Example:
        >>> corpus = prepare(["song.flac"])  # doctest: +SKIP
        >>> corpus.sample_rate  # doctest: +SKIP
        16000
    """
    settings = settings or CorpusSettings()
    settings = replace(settings, max_sample_rate=settings.max_sample_rate or MAX_SAMPLE_RATE)
    if len(sources) == 1 and Path(sources[0]).name == DESCRIPTION:
        return _prepared(str(sources[0]), settings)
    cache = Path(cache) if cache is not None else default_cache()
    stamps = _stamps(sources)
    fingerprint = _fingerprint(stamps, settings)
    folder = cache / fingerprint
    if (ready := _ready(folder)) is not None:
        return ready
    with exclusive(cache, wait=True, advice=advice):
        if (ready := _ready(folder)) is not None:  # another process has made it meanwhile
            return ready
        work = cache / PREPARING
        try:
            _tidy(work)
            finished = work / f"{PARTIAL}corpus"
            finished.mkdir(parents=True)
            shards = _shards(work, stamps, settings)
            make_shards(shards, processes)
            _write(finished, shards, settings, fingerprint)
            sync_tree(finished)
            shutil.rmtree(folder, ignore_errors=True)  # damaged, or of an older version
            finished.replace(folder)
            sync(cache)  # before the shards go
            for shard in shards:
                shard.remove()
        except OSError as error:
            with suppress(OSError):  # the disk may be full
                _tidy(work, -math.inf)
            reason = write_failure(error)
            raise UserError(f"cannot prepare the corpus in {cache}: {reason}; {advice}") from error
        finally:
            _tidy(work)
    return Corpus.open(folder)


def _prepared(manifest: str, settings: CorpusSettings) -> Corpus:
    """The corpus beside a manifest, if it is what these settings make."""
    corpus = open_corpus(manifest if remote.is_url(manifest) else Path(manifest).parent)
    found, wanted = corpus.describe()["settings"], json.loads(json.dumps(asdict(settings)))
    if other := sorted(name for name in wanted if found.get(name) != wanted[name]):
        name = other[0]
        raise UserError(
            f"{manifest} was prepared with {name} {found.get(name)}, not {wanted[name]}; "
            "prepare the audio for this recipe"
        )
    return corpus


def default_cache() -> Path:
    """The user's cache folder for this package, where the system keeps such folders.

    `~/.cache/keras_rawaudio` (or `$XDG_CACHE_HOME/keras_rawaudio`) on Linux,
    `~/Library/Caches/keras_rawaudio` on macOS, `%LOCALAPPDATA%\\keras_rawaudio\\Cache` on Windows.

    Raises:
        UserError: the user has no home.
    """
    try:
        return user_cache_path("keras_rawaudio", appauthor=False)
    except RuntimeError as error:  # a user without a home
        raise UserError(f"no place for prepared audio: {error}; name one by --cache") from None


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
            stamps.setdefault(str(path), file_stamp(path))
    return list(stamps.values())


def _fingerprint(stamps: list[dict[str, Any]], settings: CorpusSettings) -> str:
    made_from = [FORMAT_VERSION, asdict(settings), stamps]
    return hashlib.sha256(json.dumps(made_from).encode()).hexdigest()[:16]


def _ready(folder: Path) -> Corpus | None:
    try:
        return Corpus.open(folder)
    except UserError:
        return None


def _tidy(work: Path, kept_seconds: float = KEPT_SECONDS) -> None:
    """Remove what is half-made, and shards that nobody has used for long; nothing of others."""
    for path in work.glob("*") if work.is_dir() else ():
        if path.name.startswith(PARTIAL):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif SHARD.fullmatch(path.name) and time.time() - path.stat().st_mtime > kept_seconds:
            path.unlink()
    with suppress(OSError):  # it holds shards, or is not there
        work.rmdir()


def _shards(folder: Path, stamps: list[dict[str, Any]], settings: CorpusSettings) -> list[Shard]:
    """A shard for each source, at the rate and with the channels that suit all of them."""
    with ThreadPoolExecutor(HEADERS) as pool:
        headers = list(pool.map(_header, [stamp["path"] for stamp in stamps]))
    assert settings.max_sample_rate  # `prepare` has seen to it
    rate = settings.sample_rate or min(settings.max_sample_rate, *(rate for rate, _ in headers))
    channels = settings.channels or max(2 if count == 2 else 1 for _, count in headers)
    return [Shard(folder, stamp, rate, channels, settings.trim_decibels) for stamp in stamps]


def _header(path: str) -> tuple[int, int]:
    """A source's own rate in Hz, and channels."""
    if remote.is_url(path):
        return remote.header(path)
    audio = open_audio(Path(path))
    return audio.sample_rate, audio.channels


def _write(folder: Path, shards: list[Shard], settings: CorpusSettings, fingerprint: str) -> None:
    rate, channels = shards[0].sample_rate, shards[0].channels
    sources: list[dict[str, Any]] = []
    for shard in shards:
        facts = shard.facts()
        if facts is None:  # a disk that loses what was written
            raise OSError(f"{shard.path} is gone")
        for text in facts.pop("warnings"):
            warnings.warn(text, stacklevel=3)
        sounding = facts.pop("sounding")
        kept = sounding if settings.trim else [0, facts["samples"]]
        sources.append({**shard.stamp, **facts, "kept": kept})
    ranges = [(start, stop) for start, stop in (source["kept"] for source in sources)]
    if all(source["peak"] == 0 for source in sources):
        named = sources[0]["path"] if len(sources) == 1 else f"all {len(sources)} files"
        raise UserError(f"nothing but silence in {named}")
    paths = [source["path"] for source in sources]
    labels = label_files(paths)[1] if settings.split_each else []
    if labels:
        spans = split_each_in_time(ranges, labels, settings.split)
    else:
        spans = split_in_time(ranges, settings.split)
    _check_long_enough(spans, ranges, rate)
    parts: dict[str, Any] = {}
    checksums: dict[str, str] = {}
    for part in PARTS:
        parts[part], digests = _write_part(folder, part, spans[part], shards)
        checksums |= digests
    description = {
        "format_version": FORMAT_VERSION,
        "fingerprint": fingerprint,
        "sample_rate": rate,
        "channels": channels,
        "peak": max(part["peak"] for part in parts.values()),
        "settings": asdict(settings),
        "sources": sources,
        "parts": parts,
        "files": checksums,
    }
    text = json.dumps(description, indent=1)  # ASCII: a path may be no valid Unicode
    (folder / DESCRIPTION).write_text(text + "\n", encoding="utf-8")


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
    folder: Path, part: str, spans: list[Span], shards: list[Shard]
) -> tuple[dict[str, Any], dict[str, str]]:
    """The part's files; returns its description, and each file's SHA-256 by its name."""
    channels, peak = shards[0].channels, 0.0
    names = [f"{part}.i16", f"{part}.mono.i16"][:channels]
    digests = {name: hashlib.sha256() for name in names}
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / name).open("wb")) for name in names}
        for index, start, stop in spans:
            for block in read_floats(shards[index].path, start, stop, channels=channels):
                peak = max(peak, float(np.max(np.abs(block))))
                blocks = [block, block.mean(axis=1)] if channels > 1 else [block]
                for name, samples in zip(names, map(to_int16, blocks), strict=True):
                    files[name].write(samples.tobytes())
                    digests[name].update(samples.data)
    segments = [{"source": i, "start": start, "samples": stop - start} for i, start, stop in spans]
    count = sum(segment["samples"] for segment in segments)
    description = {"samples": count, "peak": peak, "segments": segments}
    return description, {name: digest.hexdigest() for name, digest in digests.items()}
