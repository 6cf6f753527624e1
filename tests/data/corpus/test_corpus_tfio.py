"""Audio that tensorflow-io decodes where it lies: as soundfile does, to one step of 16 bits."""

import subprocess
import sys

import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.corpus import PARTS, prepare
from keras_rawaudio.data.corpus.decoding import open_audio
from keras_rawaudio.data.corpus.gfile import BLOCK, Gfile, GfileAudio
from keras_rawaudio.errors import UserError

from .conftest import noise, write

pytestmark = pytest.mark.tfio
KINDS = ["wav", "flac", "ogg", "mp3"]


@pytest.fixture(autouse=True)
def needs_tensorflow_io():
    try:
        Gfile("file:///song.wav")
    except UserError:
        pytest.skip("tensorflow-io is not installed or does not load")


@pytest.fixture
def without_fsspec(monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec", None)


def joined(audio):
    return np.concatenate([*audio.blocks()])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_are_those_of_soundfile_to_one_step(tmp_path, kind, channels):
    """In several blocks, the last of them ragged."""
    audio = np.stack([noise(40, 44100, seed=seed) for seed in range(channels)], axis=1)
    assert BLOCK < len(audio) < 2 * BLOCK
    path = write(tmp_path / f"a.{kind}", audio, 44100)
    lazy, eager = GfileAudio(path.as_uri()), open_audio(path)
    assert (lazy.sample_rate, lazy.channels) == (eager.sample_rate, eager.channels)
    found, expected = joined(lazy), joined(eager)
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1 / 32768


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_24", "FLOAT"])
def test_other_depths_of_wav(tmp_path, subtype):
    path = write(tmp_path / "a.wav", noise(1), subtype=subtype)
    difference = joined(GfileAudio(path.as_uri())) - joined(open_audio(path))
    assert np.abs(difference).max() <= 1 / 32768


@pytest.mark.parametrize("kind", KINDS)
def test_a_corpus_without_a_local_copy(tmp_path, kind, without_fsspec, monkeypatch):
    path = write(tmp_path / f"a.{kind}", noise(3, 16000), 16000)
    expected = prepare([path], tmp_path / "local")
    monkeypatch.setattr("keras_rawaudio.data.corpus.remote.fetch", lambda *_: pytest.fail("copied"))
    corpus = prepare([path.as_uri()], tmp_path / "remote")
    for part in PARTS:
        (one,), (two,) = corpus.segments(part), expected.segments(part)
        assert np.abs(one.astype(int) - two).max() <= 1
    (source,), (local,) = corpus.describe()["sources"], expected.describe()["sources"]
    assert source["sha256"] == local["sha256"]
    corpus.verify()


def test_what_it_does_not_decode_is_copied(tmp_path, without_fsspec):
    path = write(tmp_path / "a.aiff", noise(2))
    assert prepare([path.as_uri()], tmp_path / "cache").samples("train") == 12800


@pytest.mark.parametrize("content", [b"", b"no audio" * 100])
def test_what_is_no_audio_is_one_line(tmp_path, without_fsspec, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"cannot decode file:.*a\.wav") as caught:
        prepare([path.as_uri()], tmp_path / "cache")
    assert "\n" not in str(caught.value)


def test_from_a_server_that_speaks_s3(tmp_path):
    """In a process of its own: this release of tensorflow-io aborts it at its end."""
    pytest.importorskip("moto.server")
    for kind in KINDS:
        soundfile.write(tmp_path / f"a.{kind}", noise(2, 44100), 44100)
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import os, sys
from pathlib import Path
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
address = "http://%s:%s" % server.get_host_and_port()
os.environ |= dict(
    AWS_ENDPOINT_URL=address, S3_ENDPOINT=address, AWS_REGION="us-east-1",
    AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test",
)
import boto3
bucket = boto3.resource("s3").create_bucket(Bucket="songs")
from keras_rawaudio.data.corpus.decoding import open_audio
from keras_rawaudio.data.corpus.gfile import Gfile
import numpy as np
for kind in {KINDS!r}:
    path = Path({str(tmp_path)!r}, "a." + kind)
    bucket.upload_file(str(path), path.name)
    found = np.concatenate([*Gfile("s3://songs/" + path.name).audio().blocks()])
    expected = np.concatenate([*open_audio(path).blocks()])
    assert np.abs(found - expected).max() <= 1 / 32768, kind
    print(kind, flush=True)
"""
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert done.stdout.split() == KINDS, done.stderr
