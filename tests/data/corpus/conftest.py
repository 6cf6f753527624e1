"""Audio to prepare, and corpora of it in a cache of the test's own."""

import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.corpus import PARTS, CorpusSettings
from keras_rawaudio.data.corpus import prepare as prepare_at

KINDS = ["wav", "flac", "ogg", "mp3", "aiff"]


@pytest.fixture
def prepare(tmp_path):
    """`prepare` with a cache of the test's own and its settings as keywords."""

    def run(*sources, **settings):
        return prepare_at(list(sources), tmp_path / "cache", CorpusSettings(**settings))

    return run


@pytest.fixture
def s3(monkeypatch):
    """The port of a server on this machine that speaks S3, which the environment names."""
    moto = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    yield port
    moto.stop()


def tone(seconds, rate=8000, pitch=440.0, gain=0.5):
    time = np.arange(round(seconds * rate)) / rate
    return (gain * np.sin(2 * np.pi * pitch * time)).astype(np.float32)


def noise(seconds, rate=8000, gain=0.1, seed=0):
    random = np.random.default_rng(seed)
    return (gain * random.uniform(-1, 1, round(seconds * rate))).astype(np.float32)


def write(path, audio, rate=8000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, audio, rate, **options)
    return path


def whole(corpus):
    """All three parts, one after the other."""
    return np.concatenate([chunk for part in PARTS for chunk in corpus.chunks(part)])
