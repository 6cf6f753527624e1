import builtins
import functools
import http.server
import sys
import threading

import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.corpus import prepare, remote
from keras_rawaudio.errors import UserError


def tensorflow_io_loads():
    try:
        remote._gfile("")
    except UserError:
        return False
    return True


@pytest.fixture
def song(tmp_path):
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, 8000)
    soundfile.write(tmp_path / "song.flac", audio, 8000)
    return tmp_path / "song.flac"


def test_what_is_a_url():
    for url in ("gs://b/a.wav", "s3://b/a.wav", "https://h/a.wav?x=1", "file:///a.wav"):
        assert remote.is_url(url)
    for path in ("a.wav", "/a/b.wav", "C:\\a.wav", "C://a.wav", "a://b", "odd:name.wav", "//a"):
        assert not remote.is_url(path)


def test_without_tensorflow_io_one_line_says_what_to_install(monkeypatch, tmp_path):
    real = builtins.__import__

    def without(name, *args, **options):
        if name == "tensorflow_io":
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.delitem(sys.modules, "tensorflow_io", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"keras_rawaudio\[tfio\]") as caught:
        prepare(["gs://bucket/song.flac"], tmp_path)
    assert "gs://bucket/song.flac" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


needs_tensorflow_io = pytest.mark.skipif(
    not tensorflow_io_loads(), reason="tensorflow-io is not installed or does not load"
)


@needs_tensorflow_io
def test_a_file_url_gives_what_the_path_gives(song, tmp_path):
    cache = tmp_path / "cache"
    local, by_url = prepare([song], cache), prepare([song.as_uri()], cache)
    assert by_url.folder != local.folder
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(by_url.segments(part), local.segments(part))
    assert by_url.describe()["sources"][0]["path"] == song.as_uri()
    assert prepare([song.as_uri()], cache).folder == by_url.folder


@needs_tensorflow_io
def test_a_song_over_http(song, tmp_path):
    serve = functools.partial(http.server.SimpleHTTPRequestHandler, directory=song.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/song.flac"
        try:
            assert remote.fetch(url, tmp_path).read_bytes() == song.read_bytes()
        finally:
            server.shutdown()


@needs_tensorflow_io
def test_a_url_with_nothing_behind_it(tmp_path):
    with pytest.raises(UserError, match="cannot read") as caught:
        prepare([(tmp_path / "none.flac").as_uri()], tmp_path / "cache")
    assert "\n" not in str(caught.value)
