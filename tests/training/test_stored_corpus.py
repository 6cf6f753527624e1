"""Training on a prepared corpus that stays in a store."""

import keras
import numpy as np
import pytest

from keras_rawaudio.data.corpus import CorpusSettings, prepare
from keras_rawaudio.training.model_files import load_model
from keras_rawaudio.training.resume import resume
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.run_scores import evaluate
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train


@pytest.mark.slow
def test_a_run_is_that_of_a_local_copy(piece, cache, tiny, tmp_path):
    """It is trained, gone on with and evaluated from the store."""
    store = pytest.importorskip("fsspec").filesystem("memory")
    recipe = tiny(schedule="constant", sample_seconds=0.2)
    corpus = prepare([piece], cache, recipe.data.corpus(CorpusSettings()))
    store.put(str(corpus.folder), "/prepared", recursive=True)
    try:
        train(["memory://prepared/corpus.json"], tmp_path / "a", recipe, Budget(epochs=1))
        resume(tmp_path / "a", Budget(epochs=2))
        scores = evaluate(tmp_path / "a")
    finally:
        store.rm("/prepared", recursive=True)
    train([piece], tmp_path / "b", recipe, Budget(epochs=2), cache=cache)
    wanted = evaluate(tmp_path / "b")
    assert scores | {"run": ""} == wanted | {"run": ""}
    runs = [RunFolder(tmp_path / name) for name in "ab"]
    assert runs[0].describe()["samples_sha256"] == runs[1].describe()["samples_sha256"]
    for one, two in zip(*(load_model(run).weights for run in runs), strict=True):
        np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (one, two)))
