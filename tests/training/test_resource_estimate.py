"""The estimate before a training, and that making it changes nothing."""

import keras
import numpy as np
import pytest

from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes import load_recipe, recipe_names
from keras_rawaudio.training import resource_estimate
from keras_rawaudio.training.resource_estimate import (
    ResourceEstimate,
    announce,
    least_memory,
    machine_memory,
    require_memory,
    step_memory,
    step_seconds,
)
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.train import train


def test_text():
    assert (
        str(ResourceEstimate(7, 0.2, 9.6e8))
        == "an epoch: 7 steps, about 0:01; memory: about 1.0 GB"
    )
    assert "about 2:01:05" in str(ResourceEstimate(7, 7264.6, 1e9))


@pytest.mark.slow
def test_timing_a_step_changes_nothing(trainer, tiny):
    """Weights, slots, averages, carried state and random numbers are as they were."""
    made = trainer(tiny(noisy=True))
    made.fit()
    before = {name: keras.ops.convert_to_numpy(v) for name, v in made.step.variables().items()}
    assert step_seconds(made.step, made.plan) > 0
    for name, value in made.step.variables().items():
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(value), before[name], err_msg=name)
    assert any("state/" in name and np.abs(v).max() > 0 for name, v in before.items())


def test_more_rows_and_longer_windows_take_more(corpus, tiny, build):
    def memory(frames, batch):
        model = build(tiny())
        plan = WindowPlan([len(s) for s in corpus.segments("train")], model.frame, frames, batch)
        step = TrainingStep(model, keras.optimizers.SGD(), batch)
        return step_memory(step, plan) - resource_estimate.AT_REST

    one = memory(8, 4)
    assert 1.7 * one < memory(16, 4) < 2.3 * one
    assert 1.7 * one < memory(8, 8) < 2.3 * one


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("raw", {"tiers.0.units": 16384, "tiers.0.layers": 5}),
        ("raw", {"data.length": 1 << 24, "data.batch": 65536}),
        ("raw", {"data.length": 1 << 20, "data.batch": 4096, "data.shift": "random"}),
        ("categorical", {"tiers.1.units": [16384] * 5}),
        ("default", {"spectral.units": 16384, "spectral.layers": 5}),
        ("default", {"data.length": 1 << 20, "data.batch": 4096}),
    ],
)
def test_what_surely_does_not_fit_is_refused_before_audio_is_read(
    tmp_path, monkeypatch, name, changes
):
    monkeypatch.setattr(resource_estimate, "machine_memory", lambda: 32e9)
    recipe = load_recipe(name, changes)
    with pytest.raises(UserError, match=r"takes \d+ GB of memory or more, and this machine has 32"):
        train(["nowhere.wav"], tmp_path / "run", recipe, Budget(epochs=1))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_fit_into_any_machine(name, monkeypatch):
    monkeypatch.setattr(resource_estimate, "machine_memory", lambda: 4e9)
    require_memory(load_recipe(name))


def test_the_least_is_less_than_the_estimate(trainer, tiny):
    made = trainer(tiny())
    assert least_memory(tiny()) <= step_memory(made.step, made.plan)


def test_a_containers_limit_counts(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(resource_estimate, "CONTAINER", limit)
    whole = machine_memory()
    limit.write_text("max\n")
    assert machine_memory() == whole
    limit.write_text("1000000\n")
    assert machine_memory() == 1e6


def test_too_much_memory_is_a_warning(trainer, tiny, monkeypatch):
    made, printed = trainer(tiny()), []
    monkeypatch.setattr(resource_estimate, "machine_memory", lambda: 5e8)

    def killed(*arguments):
        raise MemoryError

    monkeypatch.setattr(resource_estimate, "step_seconds", killed)
    with pytest.raises(MemoryError):
        announce(made.step, made.plan, printed.append)
    (line,) = printed
    assert line.startswith("note: training may take 1 GB")
    assert "lower data.length or data.batch" in line


def test_a_training_prints_its_estimate_first(trainer, tiny, capsys, monkeypatch):
    made = trainer(tiny())
    monkeypatch.setattr(resource_estimate, "step_seconds", lambda step, plan: 0.01)
    monkeypatch.setattr(made, "_loop", lambda: None)
    made.fit()
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(f"an epoch: {made.plan.batches_per_epoch} steps, about 0:01; memory:")
