"""A folder that is no corpus, or whose description was changed."""

import json
import os
import shutil

import numpy as np
import pytest

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.errors import UserError

from .conftest import noise, write


def test_what_is_no_corpus(tmp_path, prepare):
    with pytest.raises(UserError, match="not a prepared corpus"):
        Corpus.open(tmp_path)
    corpus = prepare(write(tmp_path / "a.wav", noise(1)))
    copy = tmp_path / "copy"
    shutil.copytree(corpus.folder, copy)
    assert Corpus.open(copy).describe() == corpus.describe()  # it may be moved
    for text in ("[]", "{", json.dumps({"format_version": 99})):
        (copy / "corpus.json").write_text(text)
        with pytest.raises(UserError):
            Corpus.open(copy)


def _set(*keys):
    """Puts the last of the keys where the others lead."""

    def change(values):
        *path, name, value = keys
        for key in path:
            values = values[key]
        values[name] = value

    return change


SEGMENT = ("parts", "train", "segments", 0)


@pytest.mark.parametrize(
    "change",
    [
        _set("sample_rate", "2000"),
        _set("sample_rate", 10**9),
        _set("channels", 3),
        _set("fingerprint", 1),
        _set("settings", []),
        _set("sources", {}),
        _set("sources", 0, "path", ""),
        _set("sources", 0, "path", "."),
        _set("parts", []),
        _set("parts", "test", {}),
        _set("parts", "train", "segments", []),
        _set(*SEGMENT, "samples", -1),
        _set(*SEGMENT, "samples", 1.5),
        _set(*SEGMENT, "start", "0"),
        _set(*SEGMENT, "start", 1 << 62),
        _set(*SEGMENT, "source", 9),
    ],
)
def test_a_description_changed_by_hand_is_one_line(tmp_path, prepare, change):
    path = prepare(write(tmp_path / "song.wav", noise(1))).folder / "corpus.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(UserError, match="is damaged"):
        Corpus.open(path.parent)


def test_true_is_no_version(tmp_path, prepare):
    path = prepare(write(tmp_path / "song.wav", noise(1))).folder / "corpus.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": True}))
    with pytest.raises(UserError, match="of format True"):
        Corpus.open(path.parent)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.write_text("[" * 99_999)])
def test_a_description_that_is_no_file_of_ours_is_one_line(tmp_path, make):
    make(tmp_path / "corpus.json")
    with pytest.raises(UserError, match="is not a prepared corpus"):
        Corpus.open(tmp_path)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_corpus_that_lacks_any_of_its_files_is_refused(channels, tmp_path, prepare):
    audio = np.stack([noise(4), noise(4, seed=1)], axis=1)
    folder = prepare(write(tmp_path / "a.wav", audio), channels=channels).folder
    files = sorted(folder.glob("*.i16"))
    assert len(files) == 3 * channels
    for path in files:
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(UserError, match=rf"is damaged \({path.name}\)"):
            Corpus.open(folder)
        path.write_bytes(content)
    assert Corpus.open(folder).samples("train")
