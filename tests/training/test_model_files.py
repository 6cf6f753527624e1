"""What is done to a model of codes before it is kept."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from keras_rawaudio.recipes import CodeTrainingSettings
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.model_files import ModelFiles, load_model
from keras_rawaudio.training.run_folder import RunFolder

from ..small_models import make_spectral


@pytest.mark.parametrize(("copied", "limit"), [(1.0, 4.0), (9.0, 4.0), (9.0, None)])
def test_the_memory_of_a_model_that_copies_is_shortened_until_it_does_not(
    tmp_path, capsys, copied, limit
):
    shorter, longest = {0.0: 2.9, 2.9: 1.4}, {0.0: copied, 2.9: 5.0, 1.4: 2.0}
    copies = SimpleNamespace(memory=0.0, longest=lambda seed: longest[copies.memory])

    def shorten_memory():
        copies.memory = shorter[copies.memory]
        return True

    copies.shorten_memory = shorten_memory
    files = ModelFiles(
        RunFolder(tmp_path),
        SimpleNamespace(model=make_spectral(), averaged=nullcontext),
        Console("bits_per_code", {}),
        None,
        CodeTrainingSettings(longest_copy=limit),
    )
    files.balance, files.copies = SimpleNamespace(fit=lambda *_: None, lingers=True), copies
    too_long = limit is not None and copied > limit
    assert files.balance_codes(steps=7) == {"copied_seconds": 2.0 if too_long else copied}
    assert copies.memory == (1.4 if too_long else 0.0)
    assert capsys.readouterr().err.count("begins anew after") == (2 if too_long else 0)


@pytest.mark.parametrize("limit", [4.0, None])
def test_the_memory_of_a_model_that_lingers_is_shortened_at_the_end(tmp_path, capsys, limit):
    model = make_spectral()
    files = ModelFiles(
        RunFolder(tmp_path),
        SimpleNamespace(model=model, averaged=nullcontext),
        Console("bits_per_code", {}),
        None,
        CodeTrainingSettings(longest_copy=limit),
    )
    files.save_best()
    memories = []

    def shorten_memory():
        model.memory.assign(model.memory + 40.0)
        return True

    def fit(updates, seed):
        memories.append(float(model.memory))
        files.balance.lingers = len(memories) < 3

    files.copies = SimpleNamespace(shorten_memory=shorten_memory, longest=lambda seed: 0.0)
    files.balance = SimpleNamespace(fit=fit, lingers=False)
    files.finish(steps=7)
    assert memories == ([0.0, 40.0, 80.0] if limit else [0.0])
    assert capsys.readouterr().err.count("lingers on few codes") == (2 if limit else 0)
    assert float(load_model(RunFolder(tmp_path)).memory) == memories[-1]
