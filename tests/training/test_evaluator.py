"""Scores against numbers had by hand, and that scoring leaves no trace."""

import math

import numpy as np
import pytest

from keras_rawaudio.training import evaluator
from keras_rawaudio.training.baseline_scores import baselines
from keras_rawaudio.training.evaluator import Evaluator


def zero_output(model):
    layer = model.head.logits if model.codec.discrete else model.head.output_layer
    for variable in layer.variables:
        variable.assign(np.zeros(variable.shape))


def state_of(trainer):
    variables = trainer.model.variables + trainer.step.optimizer.variables
    arrays = [np.asarray(v) for v in variables]
    return arrays + [v.numpy() for v in trainer.step.carried.variables.values()]


def test_a_uniform_model_scores_the_width_of_its_codes(build, tiny):
    model = build(tiny())
    zero_output(model)
    noise = np.random.default_rng(0).integers(-9999, 9999, 1003).astype(np.int16)
    scores = Evaluator(model, [noise[:800], noise[800:820], noise[820:]])()
    assert scores["bits_per_sample"] == pytest.approx(4.0, abs=1e-6)
    assert scores["loss"] == pytest.approx(4 * math.log(2), abs=1e-6)
    assert scores["samples"] == 1003


def test_a_silent_model_is_the_zero_baseline(build, tiny, corpus):
    """Pitfall 12: a loss stands beside predictors that know nothing, on the same scale."""
    model = build(tiny(noisy=True))
    zero_output(model)
    # Silence, which the codec moves with the train part's mean.
    bias = model.head.output_layer.bias
    bias.assign(np.broadcast_to(model.codec.encode(np.zeros(1, np.float32)), bias.shape))
    scores = Evaluator(model, corpus.segments("validation"))()
    beside = baselines(corpus, model, "validation")
    # The baselines leave out the first frame of a segment, which has none before it.
    assert scores["variance_unexplained"] == pytest.approx(beside["zero"], rel=0.01)


@pytest.mark.parametrize("noisy", [False, True])
def test_windows_and_rows_change_no_score(build, tiny, corpus, monkeypatch, noisy):
    """Each stream is one: as if it were read in one go, whatever the windows it is read in."""
    model = build(tiny(noisy))
    whole = corpus.segments("train")[0]
    streams = [whole[:1000], whole[1000:1500], whole[1500:1507]]
    losses = []
    for stream in streams:
        audio = stream.astype(np.float32) / 32768
        values = model.codec.encode(np.pad(audio, (model.context + 1, -len(audio) % model.frame)))
        prediction, _ = model(values[None, :-1], model.zero_state(1))
        target = values[None, model.context + 1 :]
        losses.append(np.asarray(model.head.loss(prediction, target))[0, : len(audio)])
    expected = np.concatenate(losses).mean()
    monkeypatch.setattr(evaluator, "SAMPLES", 3 * 48)
    scores = Evaluator(model, streams)()
    assert scores["samples"] == 1507
    assert scores["loss"] == pytest.approx(expected, rel=1e-4)


def test_all_of_the_part_is_scored_without_noise_and_nothing_changes(trainer, tiny, corpus):
    """Pitfalls 7 and 11: all of the validation part, noise off, and training's state untouched."""
    trainer = trainer(tiny(noisy=True))
    trainer.fit()
    before = state_of(trainer)
    first, second = trainer.validator.evaluator(), trainer.validator.evaluator()
    assert first == second
    assert first["samples"] == corpus.samples("validation")
    for a, b in zip(before, state_of(trainer), strict=True):
        np.testing.assert_array_equal(a, b)
