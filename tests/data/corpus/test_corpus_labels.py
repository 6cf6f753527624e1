"""Labels: which music a file is, and parts that hold some of each."""

import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.corpus import CorpusSettings, prepare
from keras_rawaudio.data.corpus.labels import MOST, label_files
from keras_rawaudio.data.corpus.settings import PARTS
from keras_rawaudio.data.corpus.splitting import split_each_in_time


@pytest.mark.parametrize(
    ("paths", "names", "labels"),
    [
        (["/m/one.wav"], [], []),
        (["/m/one.wav", "/m/two.flac"], ["one", "two"], [0, 1]),
        (["/m/night/1.wav", "/m/day/1.wav", "/m/day/2.wav"], ["night", "day"], [0, 1, 1]),
        (["/m/a/x.wav", "/m/a/b/y.wav", "/m/z.wav"], ["a", "z"], [0, 0, 1]),
        (["/m/a.wav", "/m/a.ogg", "/m/b.ogg"], ["a.wav", "a.ogg", "b"], [0, 1, 2]),
        (["/m/a=1,b.wav", "/m/c.wav"], ["a_1_b", "c"], [0, 1]),
        (["/m/a,b.wav", "/m/a=b.wav"], ["a_b", "a_b_"], [0, 1]),
        (["/m/U\u0308ber den Wolken.wav", "/m/c.wav"], ["\u00dcber den Wolken", "c"], [0, 1]),
        (["s3://bucket/night/1.wav", "s3://bucket/day.wav"], ["night", "day"], [0, 1]),
        ([f"/m/{i}.wav" for i in range(MOST + 1)], [], []),
    ],
)
def test_files_and_folders_are_named(paths, names, labels):
    assert label_files(paths) == (names, labels)


def test_each_label_is_split_by_itself():
    ranges = [(0, 100), (10, 60), (0, 200), (0, 300), (5, 5), (0, 40)]
    spans = split_each_in_time(ranges, [0, 1, 2, 2, 3, 2], (0.8, 0.1, 0.1))
    assert spans["train"] == [(0, 0, 80), (1, 10, 50), (2, 0, 200)]
    # The three files of one label stay whole; a silent file is nowhere.
    assert {file for file, *_ in spans["validation"]} == {0, 1, 3}
    assert {file for file, *_ in spans["test"]} == {0, 1, 5}


def test_a_corpus_knows_the_labels_of_its_segments(tmp_path):
    rng = np.random.default_rng(0)
    for name, seconds in {"night": 2, "day": 3}.items():
        soundfile.write(tmp_path / f"{name}.wav", rng.normal(size=seconds * 4000) / 9, 4000)
    files = [tmp_path / "night.wav", tmp_path / "day.wav"]
    corpus = prepare(files, tmp_path, CorpusSettings(split_each=True))
    assert corpus.labels == ["night", "day"]
    for part in PARTS:
        assert corpus.segment_labels(part) == [0, 1]
    assert [len(s) for s in corpus.segments("train")] == [6400, 9600]
    assert corpus.longest("validation") == (1, "day")
    alone = prepare(files[:1], tmp_path, CorpusSettings(split_each=True))
    assert alone.labels == alone.segment_labels("train") == []
    assert alone.longest("validation") == (0, None)
    assert [len(s) for s in alone.segments("train")] == [6400]


def test_each_label_knows_of_how_many_files_it_is(tmp_path):
    audio = np.random.default_rng(0).normal(size=4000) / 9
    for name in ("a/1", "a/2", "a/3", "b"):
        (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / "music" / f"{name}.wav", audio, 2000)
    corpus = prepare([tmp_path / "music"], tmp_path / "cache")
    assert dict(zip(corpus.labels, corpus.label_files(), strict=True)) == {"a": 3, "b": 1}
