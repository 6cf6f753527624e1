"""Windows of a prepared corpus that stays in a store: those of a local copy, bit for bit."""

import os
import socket
import threading
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from keras_rawaudio.data.codecs import MuLaw
from keras_rawaudio.data.corpus import CorpusSettings, open_corpus, prepare, remote, stored
from keras_rawaudio.data.windows import WindowPlan, window_dataset
from keras_rawaudio.errors import UserError

from .conftest import noise, write

SECONDS = (4.0, 3.0, 2.0, 1.0)


@pytest.fixture
def local(tmp_path):
    """A stereo corpus in a folder."""
    for number, seconds in enumerate(SECONDS):
        both = [noise(seconds, seed=number), noise(seconds, seed=number + 10)]
        write(tmp_path / "audio" / f"{number}.wav", np.stack(both, axis=1))
    return prepare([tmp_path / "audio"], tmp_path / "cache")


@pytest.fixture
def memory(local):
    """The address of a copy in memory."""
    store = pytest.importorskip("fsspec").filesystem("memory")
    store.put(str(local.folder), "/prepared", recursive=True)
    yield "memory://prepared"
    store.rm("/prepared", recursive=True)


def windows(corpus, shift, mono):
    """Batches of an epoch and a bit, from the middle of the first one on."""
    segments = corpus.segments("train", mono=mono)
    plan = WindowPlan([len(s) for s in segments], frame=8, frames=16, batch=4, shift=shift)
    data = window_dataset(
        segments,
        MuLaw(0.5).encode,
        plan,
        context=20,
        skip_batches=3,
        starts=corpus.starts("train"),
        labels=range(len(segments)),
        rows=slice(1, 3),
    )
    return [
        {name: value.numpy() for name, value in batch.items()}
        for batch in data.take(plan.batches_per_epoch)
    ]


@pytest.mark.parametrize("shift", ["lanes", "random", 64])
@pytest.mark.parametrize("mono", [True, False])
def test_windows_are_those_of_the_folder(local, memory, shift, mono):
    found, wanted = (windows(c, shift, mono) for c in (open_corpus(memory), local))
    assert len(found) == len(wanted)
    for one, two in zip(found, wanted, strict=True):
        assert one.keys() == two.keys()
        for name in two:
            assert one[name].dtype == two[name].dtype
            np.testing.assert_array_equal(one[name], two[name], err_msg=name)


def test_the_rest_is_that_of_the_folder(local, memory):
    corpus = open_corpus(f"{memory}/corpus.json")
    assert corpus.address == memory
    assert corpus.describe() == local.describe()
    assert corpus.sha256() == local.sha256()
    for mono in (True, False):
        pairs = zip(
            corpus.chunks("train", 999, mono), local.chunks("train", 999, mono), strict=True
        )
        for one, two in pairs:
            np.testing.assert_array_equal(one, two)
    (segment, *_), (wanted, *_) = corpus.segments("train"), local.segments("train")
    np.testing.assert_array_equal(np.asarray(segment), wanted)
    np.testing.assert_array_equal(segment[5:50:3], wanted[5:50:3])
    assert segment[7:3].shape == (0, 2)


def test_it_is_taken_in_the_place_of_audio(local, memory):
    for manifest in (f"{memory}/corpus.json", f"{local.folder}/corpus.json"):
        assert prepare([manifest]).sha256() == local.sha256()
        with pytest.raises(UserError, match=r"prepared with max_sample_rate 48000, not 16000"):
            prepare([manifest], settings=CorpusSettings(max_sample_rate=16_000))


@pytest.mark.parametrize("name", ["corpus.json", "./corpus.json"])
def test_it_is_taken_by_its_bare_name(local, monkeypatch, name):
    monkeypatch.chdir(local.folder)
    assert prepare([name]).address == local.address


def test_what_is_no_corpus_is_one_line(memory):
    store = pytest.importorskip("fsspec").filesystem("memory")
    store.pipe("/prepared/train.i16", b"short")
    with pytest.raises(UserError, match=r"train\.i16 has another size than corpus\.json says"):
        open_corpus(memory)
    store.pipe("/prepared/corpus.json", b"[]")
    with pytest.raises(UserError, match="is not a prepared corpus"):
        open_corpus(memory)
    with pytest.raises(UserError, match=r"cannot read memory://nowhere/corpus\.json"):
        open_corpus("memory://nowhere")


@contextmanager
def cutting(port, answers, cuts):
    """A way to a server, by which `cuts` connections end in the middle of a long answer.

    Yields:
        Its port, and a list that holds how many are still to come.
    """
    left = [cuts]

    def forward(source, target, is_answer):
        sent = 0
        try:
            while data := source.recv(1 << 12):
                if is_answer and left[0] and sent + len(data) > answers:
                    left[0] -= 1
                    break
                target.sendall(data)
                sent += len(data)
        except OSError:
            pass
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def accept():
        while True:
            try:
                client = listening.accept()[0]
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", port))
            for ends in ((client, server, False), (server, client, True)):
                threading.Thread(target=forward, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], left


@pytest.mark.slow
def test_windows_straight_from_s3_over_connections_that_are_cut(local, s3, monkeypatch):
    store = pytest.importorskip("s3fs").S3FileSystem
    monkeypatch.setattr(remote, "PAUSE", 0.0)
    monkeypatch.setattr(stored, "PAUSE", 0.0)
    monkeypatch.setattr(stored, "BLOCK", 1 << 14)
    import boto3

    bucket = boto3.resource("s3").create_bucket(Bucket="cut")
    for path in local.folder.iterdir():
        bucket.upload_file(str(path), f"prepared/{path.name}")
    try:
        with cutting(s3, 10_000, cuts=5) as (way, left):
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{way}")
            store.clear_instance_cache()  # whose addresses are those of another test
            found = windows(open_corpus("s3://cut/prepared"), "lanes", mono=True)
            assert left == [0]
    finally:
        store.clear_instance_cache()
    for one, two in zip(found, windows(local, "lanes", mono=True), strict=True):
        for name in two:
            np.testing.assert_array_equal(one[name], two[name], err_msg=name)


@pytest.mark.skipif(os.name == "nt", reason="FIFOs")
@pytest.mark.parametrize("name", ["corpus.json", "train.i16"])
def test_what_never_ends_is_refused_at_once(local, name):
    (local.folder / name).unlink()
    os.mkfifo(local.folder / name)
    with pytest.raises(UserError, match=f"{name}: it is no file"):
        open_corpus(local.folder.as_uri())


def test_a_description_of_any_size_is_not_read(local):
    os.truncate(local.folder / "corpus.json", 1 << 40)
    with pytest.raises(UserError, match="too large for a description"):
        open_corpus(local.folder.as_uri())
