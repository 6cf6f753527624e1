"""Preparation by several processes: the same corpus, resumable, with checksums."""

import hashlib
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from keras_rawaudio.data.corpus import Corpus, CorpusSettings, shards
from keras_rawaudio.data.corpus import prepare as prepare_at
from keras_rawaudio.data.corpus.decoding import file_stamp
from keras_rawaudio.errors import UserError

from .conftest import noise, whole, write


@pytest.fixture
def album(tmp_path):
    """Five files of several rates and channels, one of which is too loud."""
    write(tmp_path / "in" / "0.wav", noise(2, 16000), 16000)
    write(tmp_path / "in" / "1.flac", np.stack([noise(3, seed=1), noise(3, seed=2)], axis=1))
    write(tmp_path / "in" / "2.ogg", noise(2, 44100, seed=3), 44100)
    write(tmp_path / "in" / "3.mp3", noise(2, 16000, seed=4), 16000)
    write(tmp_path / "in" / "4.wav", noise(1, gain=2.0, seed=5), subtype="FLOAT")
    return tmp_path / "in"


@pytest.mark.parametrize("settings", [CorpusSettings(), CorpusSettings(12000, channels=1)])
def test_any_number_of_processes_gives_the_same_files(tmp_path, album, settings):
    contents = []
    for processes in (1, 3):
        with pytest.warns(UserWarning, match=r"4\.wav: \d+ of \d+ samples lie beyond full scale"):
            folder = prepare_at([album], tmp_path / f"{processes}", settings, processes).folder
        contents.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert contents[0] == contents[1]


def test_the_manifest_names_every_file_with_its_checksum(tmp_path, prepare):
    path = write(tmp_path / "a.flac", np.stack([noise(1), noise(1, seed=1)], axis=1))
    corpus = prepare(path)
    (source,) = corpus.describe()["sources"]
    assert source["bytes"] == path.stat().st_size
    assert source["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (source["samples"], source["sample_rate"], source["channels"]) == (8000, 8000, 2)
    names = {file.name for file in corpus.folder.iterdir()} - {"corpus.json"}
    assert corpus.describe()["files"] == {
        name: hashlib.sha256((corpus.folder / name).read_bytes()).hexdigest() for name in names
    }
    corpus.verify()


@pytest.mark.parametrize("change", ["grows", "is replaced", "is removed"])
def test_audio_that_changes_while_it_is_read_is_one_line(tmp_path, prepare, monkeypatch, change):
    """Its samples would else be found by the stamp of what was there before."""
    source, other = write(tmp_path / "a.wav", noise(2)), write(tmp_path / "b.wav", noise(2, seed=1))
    ready = write(tmp_path / "c.wav", noise(3))
    once = shards.decode

    def decode(audio, *arguments):
        yield from once(audio, *arguments)
        if audio.path != source:
            return
        if change == "grows":
            with source.open("ab") as file:
                file.write(bytes(100))
        elif change == "is replaced":
            other.replace(source)
        else:
            source.unlink()

    monkeypatch.setattr(shards, "decode", decode)
    message = r"cannot read .*a\.wav: No such" if change == "is removed" else "changed while it was"
    with pytest.raises(UserError, match=message):
        prepare(ready, source)
    kept = {path.suffix for path in (tmp_path / "cache" / ".preparing").iterdir()}
    assert kept >= {".i16", ".json"}  # what was decoded before is not decoded again


def test_one_changed_bit_is_found(tmp_path, prepare):
    corpus = prepare(write(tmp_path / "a.wav", noise(1)))
    path = corpus.folder / "test.i16"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"is damaged \(test\.i16\); delete the folder"):
        Corpus.open(corpus.folder).verify()


@pytest.mark.parametrize("files", [None, [], {}, {"train.i16": ""}])
def test_without_checksums_nothing_is_verified(tmp_path, prepare, files):
    """Those of earlier versions have none; they open as ever."""
    path = prepare(write(tmp_path / "a.wav", noise(1))).folder / "corpus.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"files": files}))
    with pytest.raises(UserError, match="has no checksums"):
        Corpus.open(path.parent).verify()


@pytest.mark.parametrize("damage", ["[" * 100_000, "[]", '{"samples": 8000}', "\xff", None])
def test_a_shard_whose_facts_are_damaged_is_none(tmp_path, damage):
    path = write(tmp_path / "a.wav", noise(1))
    shard = shards.Shard(tmp_path, file_stamp(path), 8000, 1, 60.0)
    shard.make()
    assert shard.facts()["samples"] == 8000
    facts = shard.path.with_suffix(".json")
    facts.unlink()
    os.mkfifo(facts) if damage is None else facts.write_text(damage, encoding="latin-1")
    assert shard.facts() is None
    shard.make()
    assert shard.facts()["samples"] == 8000


def test_after_kill_nine_finished_files_are_not_decoded_again(tmp_path, album, monkeypatch):
    """Those that decode for it may still finish the file that they are at."""
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import os, signal, time
from pathlib import Path
from threading import Thread
from keras_rawaudio.data.corpus import prepare, shards
cache = Path({str(tmp_path / "cache")!r})
def kill():
    while not any(cache.glob(".preparing/[!.]*.json")):
        time.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)
Thread(target=kill).start()
prepare([{str(album)!r}], cache, processes=2)
"""
    )
    assert subprocess.run([sys.executable, script]).returncode == -signal.SIGKILL
    finished = {path.stem for path in (tmp_path / "cache" / ".preparing").glob("[!.]*.json")}
    assert finished
    decoded, once = [], shards.Shard.make
    monkeypatch.setattr(
        shards.Shard, "make", lambda shard: (decoded.append(shard.key), once(shard))
    )
    with pytest.warns(UserWarning, match="full scale"):
        corpus = prepare_at([album], tmp_path / "cache", processes=1)
    assert len(decoded) <= 5 - len(finished)
    assert not finished & set(decoded)
    corpus.verify()


def test_a_file_that_fails_does_not_cost_the_others(tmp_path, album, monkeypatch):
    """Take it out, and only what was not yet finished is decoded."""
    bad = write(tmp_path / "in" / "5.wav", np.float32([0.1] * 9 + [np.nan]), subtype="FLOAT")
    with pytest.raises(UserError, match=r"5\.wav holds a sample that is not a finite number"):
        prepare_at([album], tmp_path / "cache", processes=1)
    assert len([*(tmp_path / "cache" / ".preparing").glob("*.i16")]) == 5
    bad.unlink()
    monkeypatch.setattr(shards, "decode", lambda *_: pytest.fail("decoded again"))
    with pytest.warns(UserWarning, match="full scale"):
        assert whole(prepare_at([album], tmp_path / "cache")).shape[1] == 2


def test_an_error_of_a_process_is_one_line(tmp_path, album):
    write(tmp_path / "in" / "5.wav", np.float32([0.1] * 9 + [np.nan]), subtype="FLOAT")
    with pytest.raises(UserError, match=r"5\.wav holds a sample that is not a finite") as caught:
        prepare_at([album], tmp_path / "cache", processes=2)
    assert "\n" not in str(caught.value)
    left = [path.name for path in (tmp_path / "cache").rglob("*.partial*")]
    assert not left


def test_a_process_that_is_killed_is_one_line(tmp_path, album, monkeypatch):
    monkeypatch.setattr(shards, "_make", _end)
    with pytest.raises(UserError, match="was ended from outside") as caught:
        prepare_at([album], tmp_path / "cache", processes=2)
    assert "\n" not in str(caught.value)


def _end(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_large_files_start_processes(tmp_path, album, monkeypatch):
    loky = pytest.importorskip("loky")
    started, once = [], loky.ProcessPoolExecutor

    def start(processes, **options):
        started.append(processes)
        return once(processes, **options)

    monkeypatch.setattr(loky, "ProcessPoolExecutor", start)
    monkeypatch.setattr(loky, "cpu_count", lambda: 2)
    with pytest.warns(UserWarning, match="full scale"):
        prepare_at([album], tmp_path / "small")
    assert started == []
    monkeypatch.setattr(shards, "SMALL", 1000)
    with pytest.warns(UserWarning, match="full scale"):
        prepare_at([album], tmp_path / "large")
    assert started == [2]


def test_a_wrong_number_of_processors_is_one_line(tmp_path, album, monkeypatch):
    pytest.importorskip("loky")
    monkeypatch.setattr(shards, "SMALL", 1000)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "abc")
    with pytest.raises(UserError, match="LOKY_MAX_CPU_COUNT is no number of processes"):
        prepare_at([album], tmp_path / "cache")


def test_decoding_loads_no_tensorflow(album):
    code = f"""
import sys
from pathlib import Path
from keras_rawaudio.data.corpus.decoding import file_stamp
from keras_rawaudio.data.corpus.shards import Shard
folder = Path({str(album)!r})
Shard(folder, file_stamp(folder / "1.flac"), 8000, 1, -90.0).make()
print(*sys.modules)
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not {"tensorflow", "keras", "scipy"} & set(loaded.stdout.split())
