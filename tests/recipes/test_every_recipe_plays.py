"""Every shipped recipe trains, exports and plays: a few steps, narrow, on a short piece."""

import numpy as np
import pytest

from keras_rawaudio.data.corpus.synthesis import write_demo_piece
from keras_rawaudio.exporters.export import export
from keras_rawaudio.recipes import RefinerRecipe, SpectralRecipe, load_recipe, recipe_names
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train

RATE = 2000
WINDOW = 1000  # samples of a row in a step, at least
SMALL_HEAD = {"hidden_units": 8, "codebook_size": 8, "filters": 4, "lpc_order": 32}


@pytest.fixture(scope="module")
def piece(tmp_path_factory):
    return write_demo_piece(tmp_path_factory.mktemp("piece") / "piece.wav", 8.0, RATE)


def narrow(name):
    """The recipe with little in it: what it is made of stays."""
    recipe = load_recipe(name)
    small = {"data.batch": 2, "training.sample_seconds": 0.0, "training.validate_every": 1000.0}
    if isinstance(recipe, SpectralRecipe):
        small |= {"spectral.units": 8, "spectral.components": 8, "data.length": 8}
        return load_recipe(name, small)
    if isinstance(recipe, RefinerRecipe):
        small |= {"refiner.frame_size": 10, "refiner.frames": 8, "refiner.units": 8}
        return load_recipe(name, small | {"data.length": 160})
    for i, tier in enumerate(recipe.tiers):
        small[f"tiers.{i}.units"] = [8] * len(tier.units) if isinstance(tier.units, tuple) else 8
    frame = recipe.tiers[0].frame_size
    small["data.length"] = -(-WINDOW // frame) * frame
    settings = recipe.head.model_dump()
    small |= {f"head.{key}": value for key, value in SMALL_HEAD.items() if settings.get(key)}
    if settings.get("end_layer") is False:  # its state is a frame
        small["tiers.0.units"] = frame
    return load_recipe(name, small)


@pytest.mark.slow
@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_trains_exports_and_plays(name, piece, tmp_path):
    from keras_rawaudio_serving.refiner import Refiner
    from keras_rawaudio_serving.sampler import Sampler

    run = tmp_path / "run"
    assert train([piece], run, narrow(name), Budget(epochs=1), cache=tmp_path / "cache")
    (row,) = read_log(RunFolder.open(run).log)
    assert row["step"] > 1
    assert np.isfinite(row["train_loss"])
    path = export(run, tmp_path / "exported")
    if isinstance(load_recipe(name), RefinerRecipe):  # it plays what it is given, revised
        given = np.random.default_rng(0).uniform(-0.5, 0.5, (2, RATE)).astype("float32")
        audio = np.concatenate(list(Refiner(path, RATE).stream([given])), axis=1)
        assert np.abs(audio - given).max() > 0.01
    else:
        sampler = Sampler.load(path, streams=2, provider="cpu", random_seed=1)
        audio = sampler.generate(1.0)
        assert sampler.sample_rate == RATE
    assert audio.shape[:2] == (2, RATE)
    assert np.isfinite(audio).all()
    assert np.abs(audio).max() <= 1
    assert len(np.unique(audio)) > 8
