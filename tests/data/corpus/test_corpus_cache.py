"""The cache: found again, made whole or not at all, by one process at a time."""

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from keras_rawaudio.data.corpus import Corpus, preparing, shards
from keras_rawaudio.data.corpus import prepare as prepare_at
from keras_rawaudio.errors import UserError

from .conftest import noise, whole, write


def test_a_second_run_reads_no_audio(tmp_path, prepare, monkeypatch):
    source = write(tmp_path / "a.wav", noise(1))
    first = prepare(source)
    monkeypatch.setattr(shards, "decode", lambda *_: pytest.fail("decoded again"))
    again = prepare(source)
    assert again.folder == first.folder
    assert again.describe() == first.describe() == Corpus.open(first.folder).describe()
    assert [path.name for path in first.folder.parent.iterdir()] == [first.fingerprint]


def test_a_cache_that_is_cleared_under_a_training(tmp_path, prepare):
    corpus = prepare(write(tmp_path / "a.wav", noise(1)))
    shutil.rmtree(corpus.folder)
    with pytest.raises(UserError, match="there is no prepared audio in"):
        corpus.segments("validation")


def test_changed_sources_or_settings_are_another_corpus(tmp_path, prepare):
    source = write(tmp_path / "a.wav", noise(1))
    folders = [
        prepare(source).folder,
        prepare(source, trim=False).folder,
        prepare(source, split=(0.5, 0.25, 0.25)).folder,
    ]
    os.utime(source, ns=(0, 0))
    folders.append(prepare(source).folder)
    write(source, noise(2))
    folders.append(prepare(source).folder)
    assert len(set(folders)) == 5


def test_a_damaged_corpus_is_made_again(tmp_path, prepare):
    source = write(tmp_path / "a.wav", noise(1))
    corpus = prepare(source)
    expected = whole(corpus)
    (corpus.folder / "train.i16").write_bytes(b"short")
    with pytest.raises(UserError, match="damaged"):
        Corpus.open(corpus.folder)
    np.testing.assert_array_equal(whole(prepare(source)), expected)


def test_nothing_stays_behind_after_a_failure(tmp_path, prepare):
    good, bad = write(tmp_path / "a.wav", noise(1)), tmp_path / "b.wav"
    bad.write_text("no audio")
    with pytest.raises(UserError):
        prepare(good, bad)
    assert not (tmp_path / "cache").exists()


def test_two_at_once_agree(tmp_path, prepare, monkeypatch, capsys):
    """One prepares, the others wait for it and decode nothing."""
    source = write(tmp_path / "a.wav", noise(5, 44100), 44100)
    decoded, once = [], shards.decode

    def slowly(*arguments):
        decoded.append(arguments)
        time.sleep(0.5)
        return once(*arguments)

    monkeypatch.setattr(shards, "decode", slowly)
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(prepare, source)]
        while not decoded:
            time.sleep(0.001)
        futures += [pool.submit(prepare, source) for _ in range(3)]
        corpora = [future.result() for future in futures]
    assert len({corpus.folder for corpus in corpora}) == len(decoded) == 1
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [corpora[0].fingerprint]
    assert whole(corpora[0]).shape == (220500,)
    assert f"waiting for process {os.getpid()}" in capsys.readouterr().err


def test_what_is_half_made_or_old_is_cleared(tmp_path, prepare):
    work = tmp_path / "cache" / ".preparing"
    (work / ".partial-corpus").mkdir(parents=True)
    (work / ".partial-1-0f3a.i16").write_bytes(b"half")
    old, new = work / "0f3a.i16", work / "0f3b.i16"
    for path in (old, new):
        path.write_bytes(b"whole")
    os.utime(old, ns=(0, 0))
    prepare(write(tmp_path / "a.wav", noise(1)))
    assert [path.name for path in work.iterdir()] == [new.name]


@pytest.mark.parametrize("full", [False, True])
def test_what_others_keep_where_corpora_are_made_stays(tmp_path, prepare, monkeypatch, full):
    work = tmp_path / "cache" / ".preparing"
    (work / "old").mkdir(parents=True)
    (work / "thesis.txt").write_text("mine")
    for path in work.iterdir():
        os.utime(path, ns=(0, 0))

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    source = write(tmp_path / "a.wav", noise(1))
    if full:
        monkeypatch.setattr(preparing, "sync_tree", fail)
        with pytest.raises(UserError, match="No space left"):
            prepare(source)
    else:
        prepare(source)
    assert sorted(path.name for path in work.iterdir()) == ["old", "thesis.txt"]


def test_a_user_without_a_home_is_asked_for_a_cache(monkeypatch):
    def no_home(*_, **__):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr(preparing, "user_cache_path", no_home)
    with pytest.raises(UserError, match="home directory; name one by --cache"):
        preparing.default_cache()


def test_a_killed_process_leaves_a_cache_that_works(tmp_path, prepare):
    source = write(tmp_path / "a.wav", noise(1))
    code = f"""
import os, signal
from keras_rawaudio.data.corpus import preparing
preparing.sync_tree = lambda folder: os.kill(os.getpid(), signal.SIGKILL)
preparing.prepare([{str(source)!r}], {str(tmp_path / "cache")!r})
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
    left = sorted(path.name[:11] for path in (tmp_path / "cache").iterdir())
    assert ".preparing" in left
    corpus = prepare(source)
    assert len(whole(corpus)) == 8000
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [corpus.fingerprint]


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes")
@pytest.mark.parametrize("existing", [False, True])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, prepare, existing):
    import resource

    source, cache = write(tmp_path / "a.wav", noise(30)), tmp_path / "cache"
    if existing:
        cache.mkdir()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        words = r"cannot prepare the corpus in .*cache: File too large; choose another by train"
        with pytest.raises(UserError, match=words) as caught:
            prepare(source)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "None" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert cache.exists() == existing
    assert not existing or not any(cache.iterdir())


def test_the_default_cache_follows_xdg(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    corpus = prepare_at([write(tmp_path / "a.wav", noise(1))])
    assert corpus.folder.parent == tmp_path / "xdg" / "keras_rawaudio"


def test_folders_are_searched_in_order_and_a_file_counts_once(tmp_path, prepare):
    folder = tmp_path / "in"
    for name in ("b/2.wav", "a/9.flac", "c.WAV", ".hidden/x.wav", "a/._9.flac"):
        kind = "FLAC" if name.endswith("flac") else "WAV"
        write(folder / name, noise(1), format=kind)
    (folder / "cover.jpg").write_bytes(b"...")
    (folder / "a" / "again.flac").symlink_to(folder / "a" / "9.flac")
    corpus = prepare(folder, folder / "c.WAV", str(folder))
    names = [source["path"].rsplit("/", 1)[1] for source in corpus.describe()["sources"]]
    assert names == ["9.flac", "2.wav", "c.WAV"]


def test_importing_the_room_stays_light():
    code = "import sys, keras_rawaudio.data.corpus, keras_rawaudio.data.codecs; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    heavy = {"tensorflow", "keras", "soxr", "soundfile", "scipy", "matplotlib"}
    assert not heavy & set(loaded.stdout.split())


def test_a_cache_that_cannot_be_written_names_the_way_to_another(tmp_path, monkeypatch):
    write(tmp_path / "a.wav", noise(3))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(UserError, match="--cache, or by XDG_CACHE_HOME"):
        prepare_at([tmp_path / "a.wav"])
