"""Audio at addresses: S3, HTTP, memory; connections that are cut; what is not installed."""

import builtins
import hashlib
import http.server
import shutil
import socketserver
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.corpus import open_corpus, prepare, remote, stored
from keras_rawaudio.data.corpus.gfile import Gfile
from keras_rawaudio.errors import UserError

PARTS = ("train", "validation", "test")


@pytest.fixture
def song(tmp_path):
    """Large enough that a cut leaves blocks on both sides."""
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, 2_000_000)
    soundfile.write(tmp_path / "song.wav", audio, 8000, "PCM_16")
    return tmp_path / "song.wav"


def same_samples(a, b):
    for part in PARTS:
        for one, two in zip(a.segments(part), b.segments(part), strict=True):
            np.testing.assert_array_equal(one, two)


def test_what_is_a_url():
    for url in ("gs://b/a.wav", "s3://b/a.wav", "https://h/a.wav?x=1", "file:///a.wav"):
        assert remote.is_url(url)
    for path in ("a.wav", "/a/b.wav", "C:\\a.wav", "C://a.wav", "a://b", "odd:name.wav", "//a"):
        assert not remote.is_url(path)


@pytest.mark.parametrize("missing", [("fsspec", "tensorflow_io"), ("s3fs",)])
def test_one_line_says_what_to_install(monkeypatch, tmp_path, missing):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.split(".")[0] in missing:
            raise ImportError(f"no {name}", name=name)
        return real(name, *args, **options)

    for name in [name for name in sys.modules if name.split(".")[0] in missing]:
        monkeypatch.delitem(sys.modules, name)
    if "s3fs" in missing:
        pytest.importorskip("fsspec")
        monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install '\.\[remote\]|[Ii]nstall s3fs") as caught:
        prepare(["s3://bucket/song.flac"], tmp_path)
    assert "s3://bucket/song.flac" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@contextmanager
def serving(folder, cuts=0, stalls=0):
    """An HTTP server with ranges, whose first `cuts` bodies end in the middle.

    It is silent for the `stalls` requests after the last of them.
    """
    left, silent = [cuts], [stalls]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self):
            self.answer(body=False)

        def do_GET(self):
            self.answer(body=True)

        def answer(self, body):
            if not left[0] and silent[0]:
                silent[0] -= 1
                time.sleep(1)
                return
            path = folder / self.path.strip("/")
            if not path.is_file():
                self.send_error(404)
                return
            whole = path.read_bytes()
            first, last = 0, len(whole) - 1
            asked = self.headers.get("Range")
            if asked:
                begin, end = asked.removeprefix("bytes=").split("-")
                first, last = int(begin), min(int(end or last), last)
            self.send_response(206 if asked else 200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(last + 1 - first))
            if asked:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(whole)}")
            self.end_headers()
            if not body:
                return
            part = whole[first : last + 1]
            if left[0] and len(part) > 1000:
                left[0] -= 1
                self.wfile.write(part[: len(part) // 2])
                self.close_connection = True
                return
            self.wfile.write(part)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_a_song_over_http_gives_what_the_file_gives(song, tmp_path):
    pytest.importorskip("aiohttp")
    cache = tmp_path / "cache"
    with serving(song.parent) as address:
        corpus = prepare([f"{address}/song.wav"], cache)
        assert prepare([f"{address}/song.wav"], cache).folder == corpus.folder
    same_samples(corpus, prepare([song], cache))
    (source,) = corpus.describe()["sources"]
    assert source["path"] == f"{address}/song.wav"
    assert source["sha256"] == hashlib.sha256(song.read_bytes()).hexdigest()


def test_a_connection_that_is_cut_goes_on_from_there(song, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    with serving(song.parent, cuts=3) as address:
        path, digest = remote.fetch(f"{address}/song.wav", tmp_path)
    assert path.read_bytes() == song.read_bytes()
    assert digest == hashlib.sha256(song.read_bytes()).hexdigest()


def test_one_that_is_cut_again_and_again_is_one_line(song, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    cache = tmp_path / "cache"
    with (
        serving(song.parent, cuts=10**6) as address,
        pytest.raises(UserError, match=r"cannot read http.*song\.wav") as caught,
    ):
        prepare([f"{address}/song.wav"], cache)
    assert "\n" not in str(caught.value)
    assert [path for path in cache.rglob("*") if path.is_file()] == []


@contextmanager
def halting(answer):
    """A server that takes every connection, sends some bytes to each request, and then nothing."""
    done = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.recv(1 << 16)
            self.request.sendall(answer)
            done.wait(60)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            done.set()
            server.shutdown()


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + bytes(1000)


@pytest.mark.parametrize("answer", [b"", HALF], ids=["silent", "half"])
def test_a_server_that_falls_silent_is_one_line(answer, tmp_path, monkeypatch):
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "PATIENCE", 0.2)
    for module in (remote, stored):
        monkeypatch.setattr(module, "PAUSE", 0.0)
    with halting(answer) as address:
        for read in (
            lambda: prepare([f"{address}/song.wav"], tmp_path / "cache"),
            lambda: open_corpus(address),
        ):
            with pytest.raises(UserError, match=r"cannot read .*[tT]imeout on reading") as caught:
                read()
            assert "\n" not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_long_answer_is_not_cut_off_and_fsspecs_own_settings_count(monkeypatch):
    pytest.importorskip("aiohttp")
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setitem(fsspec.config.conf, "http", {"client_kwargs": {"trust_env": True}})
    store, path = remote.open_store("https://host/song.wav")
    assert path == "https://host/song.wav"
    assert store.client_kwargs["trust_env"]
    timeout = store.client_kwargs["timeout"]
    assert (timeout.total, timeout.sock_connect, timeout.sock_read) == (None, 10, 10)


def test_how_long_a_server_may_be_silent_can_be_set(tmp_path, monkeypatch):
    pytest.importorskip("aiohttp")
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.setitem(fsspec.config.conf, "http", {"client_kwargs": {"timeout": 0.2}})
    with halting(b"") as address, pytest.raises(UserError, match=r"[tT]imeout on reading"):
        prepare([f"{address}/song.wav"], tmp_path / "cache")


def test_a_server_that_stalls_for_a_while_is_asked_again(song, tmp_path, monkeypatch):
    """Of one that does not answer, fsspec says that there is no file."""
    pytest.importorskip("aiohttp")
    monkeypatch.setattr(remote, "PATIENCE", 0.3)
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    with serving(song.parent, cuts=1, stalls=3) as address:
        path, _ = remote.fetch(f"{address}/song.wav", tmp_path)
    assert path.read_bytes() == song.read_bytes()


def test_nothing_behind_an_address(tmp_path):
    pytest.importorskip("aiohttp")
    with serving(tmp_path) as address, pytest.raises(UserError, match=r"none\.wav: 404") as caught:
        prepare([f"{address}/none.wav"], tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_a_folder_in_memory(song, tmp_path):
    """Its audio files by name; what is no audio is left out."""
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    memory.pipe({"/album/b.wav": song.read_bytes(), "/album/a/a.wav": song.read_bytes()})
    memory.pipe("/album/notes.txt", b"no audio")
    memory.pipe("/words/notes.txt", b"no audio")
    try:
        stamps = remote.find("memory://album")
        assert [stamp["path"] for stamp in stamps] == [
            "memory:///album/a/a.wav",
            "memory:///album/b.wav",
        ]
        memory.pipe("/album/b.wav", song.read_bytes()[:-2])
        assert remote.find("memory://album")[0] == stamps[0]
        assert remote.find("memory://album")[1] != stamps[1]
        with pytest.raises(UserError, match="no audio file"):
            prepare(["memory://words"], tmp_path)
    finally:
        memory.rm("/album", recursive=True)
        memory.rm("/words", recursive=True)


def test_a_corpus_copied_from_another_machine_is_found(song, tmp_path, monkeypatch):
    """The name of a corpus of addresses depends on nothing of the machine."""
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe("/album/a.wav", song.read_bytes())
    try:
        one = prepare(["memory://album"], tmp_path / "one")
        shutil.copytree(one.folder, tmp_path / "two" / one.folder.name)
        monkeypatch.setattr(remote, "fetch", lambda *_: pytest.fail("read again"))
        two = prepare(["memory://album"], tmp_path / "two")
        two.verify()
        same_samples(one, two)
    finally:
        memory.rm("/album", recursive=True)


def test_a_bucket_of_a_server_that_speaks_s3(song, tmp_path, s3):
    pytest.importorskip("s3fs")
    import boto3

    bucket = boto3.resource("s3").create_bucket(Bucket="songs")
    bucket.upload_file(str(song), "album/song.wav")
    corpus = prepare(["s3://songs/album"], tmp_path / "cache")
    assert remote.find("s3://songs/album") == remote.find("s3://songs/album/song.wav")
    same_samples(corpus, prepare([song], tmp_path / "cache"))
    (source,) = corpus.describe()["sources"]
    assert source["path"] == "s3://songs/album/song.wav"
    with pytest.raises(UserError, match=r"cannot read s3://songs/none\.wav"):
        prepare(["s3://songs/none.wav"], tmp_path / "cache")


@pytest.mark.tfio
def test_tensorflow_io_reads_what_fsspec_reads(song):
    try:
        system = Gfile(song.as_uri())
    except UserError:
        pytest.skip("tensorflow-io is not installed or does not load")
    assert system.stamp()["bytes"] == song.stat().st_size
    assert b"".join(system.read(0)) == song.read_bytes()
    assert b"".join(system.read(100)) == song.read_bytes()[100:]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"no audio" * 1000, "is not an audio file"), (b"RIFF", "is not an audio")],
)
def test_what_is_no_audio_is_named_by_its_address(tmp_path, content, message):
    """Not by the copy, which is gone."""
    memory = pytest.importorskip("fsspec").filesystem("memory")
    memory.pipe("/odd/a.wav", content)
    try:
        with pytest.raises(UserError, match=rf"^memory:///odd/a\.wav {message}"):
            prepare(["memory://odd"], tmp_path / "cache")
    finally:
        memory.rm("/odd", recursive=True)


def test_a_header_behind_a_large_picture_is_read_from_a_copy(song, tmp_path):
    memory = pytest.importorskip("fsspec").filesystem("memory")
    data = song.read_bytes()
    size = (1 << 20).to_bytes(4, "little")
    memory.pipe("/pictures/a.wav", data[:12] + b"JUNK" + size + bytes(1 << 20) + data[12:])
    try:
        corpus = prepare(["memory://pictures"], tmp_path / "cache")
        same_samples(corpus, prepare([song], tmp_path / "cache"))
    finally:
        memory.rm("/pictures", recursive=True)


def test_a_stream_that_never_ends_is_refused(monkeypatch, tmp_path):
    """As of an internet radio, whose server names no length."""

    class Radio:
        def stamp(self):
            return {"bytes": None}

        def read(self, begin):
            while True:
                yield bytes(remote.BLOCK)

    monkeypatch.setattr(remote, "LARGEST_UNKNOWN", 3 * remote.BLOCK)
    monkeypatch.setattr(remote, "_system", lambda url: Radio())
    with pytest.raises(UserError, match=r"names no length .* it may never end; download a part"):
        remote.fetch("http://radio/live.mp3", tmp_path)


@pytest.mark.parametrize("name", ["ETag", "Last-Modified", "Digest"])
def test_what_tells_that_a_file_changed(name):
    """Of a plain HTTP server there may be no more than the time of change."""
    before, after = ({"size": 9, "type": "file", name: text} for text in ("a", "b"))
    assert remote._stamp(before) != remote._stamp(after)
    assert remote._stamp(before) == remote._stamp(dict(before))
