"""Overlapping predictions of one trained model, averaged where they meet."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.generation import ReferenceSampler
from keras_rawaudio.generation.overlapping import overlapping
from keras_rawaudio.layers.overlap import sum_to_one
from keras_rawaudio.models import AudioModel

from ..small_models import far_from_fresh

CODEC = {"name": "standardize", "mean": 0.1, "std": 0.4}
FRAME = 6


def model_of(tier=None, head=None, tiers=()):
    keras.utils.set_random_seed(0)
    tier = {"frame_size": FRAME, "units": 5, "cell": "lstm", "layers": 2} | (tier or {})
    head = {"kind": "regression", "window": "triangle"} | (head or {})
    return far_from_fresh(AudioModel([*tiers, tier], head, CODEC), spread=0.2)


def by_hand(model, predictions, seed, samples):
    """The same with as many separate states, a list and a loop over time."""
    hop, tier = FRAME // predictions, model.tiers[0]
    window = sum_to_one(FRAME, hop, "triangle")
    past = [float(model.codec.encode(0.0))] * tier.window
    seed = list(model.codec.encode(seed))
    states = [tier.zero_state(1) for _ in range(predictions)]
    pending, drawn = np.zeros(FRAME), []
    for step, time in enumerate(range(0, len(seed) + samples, hop)):
        given = np.array([past[-tier.window :]], "float32")
        turn = step % predictions
        output, states[turn] = tier.step(ops.convert_to_tensor(given), None, states[turn])
        frame, _ = model.head(None, output, [])
        pending = pending + window * ops.convert_to_numpy(frame)[0]
        new = seed[time : time + hop] if time < len(seed) else list(pending[:hop])
        drawn += new if time >= len(seed) else []
        past += new
        pending = np.concatenate([pending[hop:], np.zeros(hop)])
    return model.codec.decode(np.array(drawn))


@pytest.mark.parametrize("predictions", [2, 3])
@pytest.mark.parametrize("window", [None, 9])
def test_as_many_states_take_turns_and_their_predictions_are_averaged(predictions, window):
    model = model_of({"window": window})
    seed = np.random.default_rng(0).uniform(-0.5, 0.5, 5 * FRAME).astype("float32")
    again = overlapping(model, predictions)
    audio = ReferenceSampler(again).generate(4 * FRAME, seed)[0]
    np.testing.assert_allclose(audio, by_hand(model, predictions, seed, 4 * FRAME), atol=1e-5)
    plain = ReferenceSampler(model).generate(4 * FRAME, seed)[0]
    assert np.abs(audio - plain).max() > 0.01


def test_one_prediction_is_the_model_itself():
    model = model_of()
    assert overlapping(model, 1) is model


def test_the_mean_of_a_trained_average_reaches_as_far():
    """A span of two frames, predicted twice per frame, covers each sample four times."""
    again = overlapping(model_of(head={"span": 2 * FRAME}), 2)
    assert (again.frame, again.head.span, again.head.ahead) == (3, 12, 9)


@pytest.mark.parametrize(
    ("settings", "predictions", "words"),
    [
        ({}, 4, "must divide the frame of 6 samples"),
        ({}, 0, "must divide"),
        ({"head": {"reconstruct": True}}, 2, "predicts the next frame"),
        ({"tier": {"units": FRAME, "skips": False}, "head": {"end_layer": False}}, 2, "end layer"),
        ({"tiers": ({"frame_size": 2 * FRAME, "units": 4},)}, 2, "one tier"),
    ],
)
def test_what_cannot_be_averaged_is_one_line(settings, predictions, words):
    with pytest.raises(UserError, match=words):
        overlapping(model_of(**settings), predictions)
