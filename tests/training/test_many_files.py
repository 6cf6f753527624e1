"""A corpus of many small files of unequal length, as speech comes."""

import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.run_scores import evaluate
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train

RATE = 2000


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """A folder of 60 files of 5 ms to 0.25 s, each a tone of its own between two silences."""
    folder = tmp_path_factory.mktemp("words")
    random = np.random.default_rng(0)
    for number in range(60):
        time = np.arange(random.integers(10, 500)) / RATE
        tone = 0.5 * np.sin(2 * np.pi * random.uniform(80, 400) * time)
        soundfile.write(folder / f"{number:03d}.wav", np.pad(tone, 100), RATE)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("noisy", [False, True])
def test_from_a_folder_of_small_files_to_a_score(words, tmp_path, tiny, noisy, capsys):
    """Files stay whole, each is a stream, and windows are shortened to fit."""
    recipe = tiny(noisy)
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"length": 64})})
    assert train([words], tmp_path / "run", recipe, Budget(epochs=3), cache=tmp_path / "cache")
    run = RunFolder.open(tmp_path / "run")
    corpus = Corpus.open(run.describe()["corpus"])
    sources = [
        {segment["source"] for segment in corpus.describe()["parts"][part]["segments"]}
        for part in ("train", "validation", "test")
    ]
    assert sum(map(len, sources)) == len(set.union(*sources)) == 60
    report = evaluate(tmp_path / "run")
    assert report["samples"] == corpus.samples("test")
    measure = "variance_unexplained" if noisy else "bits_per_sample"
    assert 0 < report[measure] < (3 if noisy else 5)
    assert min(map(len, corpus.segments("train"))) < recipe.data.length
    assert "note: windows of 40 samples, not 64" in capsys.readouterr().err
