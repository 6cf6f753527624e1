"""Keras' compile and fit on batches of windows: the step of the trainer, the state carried."""

import keras
import numpy as np
import pytest

from keras_rawaudio import AudioModel
from keras_rawaudio.data.windows import WindowPlan, read_batches, window_dataset
from keras_rawaudio.errors import UserError
from keras_rawaudio.training.step import TrainingStep

ROWS = 5
AUDIO = [(8000 * np.sin(np.arange(4000) / 9)).astype(np.int16)]
PLAN = WindowPlan([4000], frame=4, frames=10, batch=ROWS)


def make():
    keras.utils.set_random_seed(0)
    codec = {"name": "mulaw", "peak": 1.0, "levels": 16}
    tiers = [{"frame_size": 4, "units": 8, "clock_harmonics": 2}]
    return AudioModel(tiers, {"kind": "categorical", "hidden_units": 8}, codec)


def windows(model):
    return window_dataset(AUDIO, model.codec.encode, PLAN, model.context)


@pytest.mark.slow
def test_fit_takes_the_steps_of_the_trainer():
    fitted, stepped = make(), make()
    fitted.compile(keras.optimizers.SGD(0.1), rows=ROWS)
    history = fitted.fit(windows(fitted), steps_per_epoch=3, shuffle=False, verbose=0)
    step = TrainingStep(stepped, keras.optimizers.SGD(0.1), ROWS)
    reader = read_batches(AUDIO, stepped.codec.encode, PLAN, stepped.context)
    losses = [float(step(next(reader), 0.1)[0]) for _ in range(3)]
    assert history.history["loss"][0] == pytest.approx(np.mean(losses), rel=1e-5)
    for a, b in zip(fitted.trainable_variables, stepped.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.fixture(scope="module")
def fitted():
    """A model after `fit`, and its losses."""
    model = make()
    model.compile(keras.optimizers.Adam(0.01), rows=ROWS)
    data = windows(model)
    history = model.fit(data, steps_per_epoch=20, epochs=3, shuffle=False, verbose=0)
    return model, history.history["loss"]


def test_fit_lowers_the_loss_and_evaluate_takes_no_step(fitted):
    model, losses = fitted
    assert losses[-1] < 0.9 * losses[0]
    before = [np.asarray(v) for v in model.trainable_variables]
    model.evaluate(windows(model), steps=2, verbose=0)
    for a, b in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_carried_state_is_no_part_of_the_saved_model(fitted, tmp_path):
    model, _ = fitted
    assert len(model.weights) <= len(make().variables)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    x = np.zeros((2, model.context + 40), np.int32)
    np.testing.assert_allclose(again(x, again.zero_state(2))[0], model(x, model.zero_state(2))[0])


def test_a_batch_of_windows_needs_compile():
    with pytest.raises(UserError, match="compile"):
        make()({"x": np.zeros((ROWS, 44), np.int32)})
