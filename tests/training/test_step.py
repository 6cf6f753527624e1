"""One step: the state that it carries, the gradient that it takes, the optimizer that it uses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.trainer import OPTIMIZERS
from keras_rawaudio.windows import WindowPlan, read_batches


@pytest.fixture
def batches(corpus):
    """The first batches of a model's windows; rows carry on from one to the next."""

    def make(model, count, window=64):
        segments = corpus.segments("train")
        plan = WindowPlan([len(s) for s in segments], model.frame, window // model.frame, 4)
        reader = read_batches(segments, model.codec.encode, plan, model.context)
        return [next(reader) for _ in range(count)]

    return make


def still(model, **options):
    """A step that moves no weight."""
    return TrainingStep(model, keras.optimizers.SGD(0.0), batch=4, **options)


def weights(model):
    return [np.asarray(v) for v in model.trainable_variables]


def test_state_runs_through_windows(build, tiny, batches):
    model = build(tiny())
    step = still(model)
    one, two = batches(model, 2)
    for batch in (one, two):
        step(batch, 0.0)
    both = np.concatenate([one["x"], two["x"][:, model.context :]], axis=1)
    _, expected = model(both, model.zero_state(4))
    for name, value in step.carried.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-6)


def test_named_rows_start_from_zero(build, tiny, batches):
    model = build(tiny())
    step = still(model)
    one, two = batches(model, 2)
    step(one, 0.0)
    carried = {name: value.numpy() for name, value in step.carried.items()}
    two["reset"] = np.array([True, False, True, False])
    step(two, 0.0)
    _, fresh = model(two["x"], model.zero_state(4))
    _, going_on = model(two["x"], carried)
    for name, value in step.carried.items():
        np.testing.assert_allclose(value[::2], fresh[name][::2], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(value[1::2], going_on[name][1::2], rtol=1e-4, atol=1e-6)
        assert np.abs(fresh[name] - going_on[name]).max() > 1e-4


@pytest.mark.parametrize("name", ["adam", "rmsprop", "sgd"])
def test_steps_are_the_librarys_on_clipped_gradients(build, tiny, batches, name):
    """Pitfall 10: Keras' own optimizer, fed with gradients clipped by their global norm."""
    clip = 0.01
    ours, theirs = build(tiny()), build(tiny())
    step = TrainingStep(ours, OPTIMIZERS[name](0.01), batch=4, clip_norm=clip)
    kind = {"adam": keras.optimizers.Adam, "rmsprop": keras.optimizers.RMSprop}.get(
        name, keras.optimizers.SGD
    )
    assert type(step.optimizer) is kind
    optimizer = kind(0.01)
    state = theirs.zero_state(4)
    for batch in batches(theirs, 3):
        _, norm = step(batch, 0.01)
        with tf.GradientTape() as tape:
            prediction, state = theirs(batch["x"], state, training=True)
            loss = tf.reduce_mean(theirs.head.loss(prediction, batch["y"]))
        gradients = tape.gradient(loss, [v.value for v in theirs.trainable_variables])
        length = np.sqrt(sum(np.sum(np.square(g)) for g in map(tf.convert_to_tensor, gradients)))
        assert length > clip
        np.testing.assert_allclose(norm, length, rtol=1e-4)
        clipped = [tf.convert_to_tensor(g) * (clip / length) for g in gradients]
        optimizer.apply(clipped, theirs.trainable_variables)
    for a, b in zip(weights(ours), weights(theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)


def test_a_small_gradient_is_left_alone(build, tiny, batches):
    moved = []
    for clip in (None, 1e6):
        model = build(tiny())
        step = TrainingStep(model, keras.optimizers.SGD(), batch=4, clip_norm=clip)
        step(batches(model, 1)[0], 0.1)
        moved.append(weights(model))
    for a, b in zip(*moved, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_learns_what_is_easy(build, tiny):
    model = build(tiny())
    step = TrainingStep(model, keras.optimizers.Adam(), batch=4, clip_norm=1.0)
    C, N = model.context, 64
    codes = np.tile(np.arange(0, 16, 2), 100)[: C + N + 1]
    rows = np.tile(codes, (4, 1)).astype(np.int32)
    batch = {"x": rows[:, :-1], "y": rows[:, C + 1 :], "reset": np.ones(4, bool)}
    losses = [float(step(batch, 0.02)[0]) for _ in range(80)]
    assert losses[0] > 2.0
    assert losses[-1] < 0.1 * losses[0]


def test_noise_is_on_in_training(build, tiny, batches):
    """Pitfall 11: the same batch from the same state gives another loss every time."""
    model = build(tiny(noisy=True))
    step = still(model)
    batch = batches(model, 1)[0]
    batch["reset"] = np.ones(4, bool)
    assert float(step(batch, 0.0)[0]) != float(step(batch, 0.0)[0])
