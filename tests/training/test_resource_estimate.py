"""The estimate before a training, and that making it changes nothing."""

import keras
import numpy as np
import pytest

from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.training import resource_estimate
from keras_rawaudio.training.resource_estimate import (
    ResourceEstimate,
    announce,
    step_memory,
    step_seconds,
)
from keras_rawaudio.training.step import TrainingStep


def test_text():
    assert (
        str(ResourceEstimate(7, 0.2, 9.6e8))
        == "an epoch: 7 steps, about 0:01; memory: about 1.0 GB"
    )
    assert "about 2:01:05" in str(ResourceEstimate(7, 7264.6, 1e9))


def test_timing_a_step_changes_nothing(trainer, tiny):
    """Weights, slots, averages, carried state and random numbers are as they were."""
    made = trainer(tiny(noisy=True))
    made._loop()
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
    assert made.fit()
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith(f"an epoch: {made.plan.batches_per_epoch} steps, about 0:01; memory:")
