"""What is done to a model of codes before it is kept."""

from contextlib import nullcontext
from types import SimpleNamespace

from keras_rawaudio.recipes import CodeTrainingSettings
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.model_files import FINAL_UPDATES, UPDATES, ModelFiles, load_model
from keras_rawaudio.training.run_folder import RunFolder

from ..small_models import make_spectral


def test_a_kept_model_is_balanced_more_closely_at_the_end(tmp_path):
    model = make_spectral()
    files = ModelFiles(
        RunFolder(tmp_path),
        SimpleNamespace(model=model, averaged=nullcontext),
        Console("bits_per_code", {}),
        None,
        CodeTrainingSettings(),
    )
    done = []

    def search(name):
        def find(updates, seed):
            done.append((name, updates, seed, float(model.memory)))
            model.memory.assign(40)
            return 2.5

        return find

    files.memory_limit = SimpleNamespace(find=search("find"), find_anew=search("find_anew"))
    assert files.balance_codes(steps=7) == {"copied_seconds": 2.5}
    files.save_best()
    assert float(load_model(RunFolder(tmp_path)).memory) == 40
    model.memory.assign(99)
    files.finish(steps=9)
    assert done == [("find", UPDATES, 7, 0), ("find_anew", FINAL_UPDATES, 9, 99)]
