"""What is done to a model of codes before it is kept."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from keras_rawaudio.recipes import CodeTrainingSettings
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.model_files import ModelFiles
from keras_rawaudio.training.run_folder import RunFolder

from ..small_models import make_spectral


@pytest.mark.parametrize(("copied", "limit"), [(1.0, 4.0), (9.0, 4.0), (9.0, None)])
def test_the_memory_of_a_model_that_copies_for_too_long_is_limited(tmp_path, capsys, copied, limit):
    model, limits = make_spectral(), []

    def limit_memory(longest):
        limits.append(longest)
        return 2.9

    files = ModelFiles(
        RunFolder(tmp_path),
        SimpleNamespace(model=model, averaged=nullcontext),
        Console("bits_per_code", {}),
        None,
        CodeTrainingSettings(longest_copy=limit),
    )
    files.balance = SimpleNamespace(fit=lambda *_: None)
    files.copies = SimpleNamespace(
        longest=lambda seed: 2.0 if limits else copied, limit_memory=limit_memory
    )
    forgets = limit is not None and copied > limit
    assert files.balance_codes(steps=7) == {"copied_seconds": 2.0 if forgets else copied}
    assert limits == ([limit] if forgets else [])
    assert ("begins anew after 2.9 s at the latest" in capsys.readouterr().err) == forgets
