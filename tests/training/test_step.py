"""One step: the state that it carries, the gradient that it takes, the optimizer that it uses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_rawaudio.data.windows import WindowPlan, read_batches
from keras_rawaudio.training.build import OPTIMIZERS
from keras_rawaudio.training.step import TrainingStep


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
    for name, value in step.carried.variables.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-4, atol=1e-6)


def test_named_rows_start_from_zero(build, tiny, batches):
    model = build(tiny())
    step = still(model)
    one, two = batches(model, 2)
    step(one, 0.0)
    carried = {name: value.numpy() for name, value in step.carried.variables.items()}
    two["reset"] = np.array([True, False, True, False])
    step(two, 0.0)
    _, fresh = model(two["x"], model.zero_state(4))
    _, going_on = model(two["x"], carried)
    for name, value in step.carried.variables.items():
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
    batch["position"] = np.zeros(4, np.int64)
    losses = [float(step(batch, 0.02)[0]) for _ in range(80)]
    assert losses[0] > 2.0
    assert losses[-1] < 0.1 * losses[0]


def test_noise_is_on_in_training(build, tiny, batches):
    """Pitfall 11: the same batch from the same state gives another loss every time."""
    model = build(tiny(noisy=True))
    step = still(model)
    batch = batches(model, 1, window=16)[0]
    batch["reset"] = np.ones(4, bool)
    assert float(step(batch, 0.0)[0]) != float(step(batch, 0.0)[0])


def test_clocks_run_with_the_audio(build, tiny, batches):
    """Window after window the phase is that of the place in the file; a reset sets it anew."""
    model = build(tiny(clock=True))
    period = 777.25
    model.tiers[0].set_period(period)
    step = still(model)
    for batch in batches(model, 4):
        step(batch, 0.0)
        expected = (batch["position"] + 64) / period
        difference = step.carried.variables["tier0_clock"].numpy()[:, 0] - expected
        np.testing.assert_allclose((difference + 0.5) % 1, 0.5, atol=1e-5)


def test_averages_follow_the_weights(build, tiny, batches):
    """By hand: a running mean whose first steps count for little."""
    model = build(tiny())
    step = TrainingStep(model, keras.optimizers.SGD(), batch=4, average=0.5)
    expected = weights(model)
    for n, batch in enumerate(batches(model, 5), start=1):
        step(batch, 0.1)
        kept = min(0.5, (n + 1) / (n + 10))
        pairs = zip(expected, weights(model), strict=True)
        expected = [kept * mean + (1 - kept) * now for mean, now in pairs]
    for mean, average in zip(expected, step.averages, strict=True):
        np.testing.assert_allclose(average, mean, atol=1e-6)


def test_the_average_of_weights_that_stand_still(build, tiny, batches):
    model = build(tiny())
    step = still(model, average=0.5)
    for variable in model.trainable_variables:
        variable.assign(variable + 1.0)  # the averages begin elsewhere
    batch = batches(model, 1)[0]
    for _ in range(40):
        step(batch, 0.0)
    for variable, average in zip(model.trainable_variables, step.averages, strict=True):
        np.testing.assert_allclose(average, variable, atol=1e-4)


def test_averaged_swaps_and_puts_back(build, tiny, batches):
    model = build(tiny())
    step = TrainingStep(model, keras.optimizers.SGD(), batch=4, average=0.9)
    for batch in batches(model, 3):
        step(batch, 0.1)
    learned, means = weights(model), [v.numpy() for v in step.averages]
    assert max(np.abs(a - b).max() for a, b in zip(learned, means, strict=True)) > 1e-4

    def holds(expected):
        for a, b in zip(weights(model), expected, strict=True):
            np.testing.assert_array_equal(a, b)

    with step.averaged():
        holds(means)
    holds(learned)
    with pytest.raises(RuntimeError), step.averaged():
        raise RuntimeError
    holds(learned)


def test_without_an_average_the_weights_are_as_they_are(build, tiny, batches):
    model = build(tiny())
    step = TrainingStep(model, keras.optimizers.SGD(), batch=4, average=None)
    step(batches(model, 1)[0], 0.1)
    assert step.averages == []
    learned = weights(model)
    with step.averaged():
        for a, b in zip(weights(model), learned, strict=True):
            np.testing.assert_array_equal(a, b)


def test_weight_noise_moves_the_gradient_and_not_the_weights(build, tiny, batches):
    """With a rate of zero the weights stay as they are; the loss is that of other weights."""
    model = build(tiny())
    before = weights(model)
    noisy = TrainingStep(model, keras.optimizers.SGD(), batch=4, weight_noise=0.1)
    plain = TrainingStep(model, keras.optimizers.SGD(), batch=4)
    (batch,) = batches(model, 1)
    losses = [float(step(batch, 0.0)[0]) for step in (plain, noisy, noisy)]
    assert len(set(losses)) == 3
    for value, kept in zip(weights(model), before, strict=True):
        np.testing.assert_array_equal(value, kept)
    assert "weight_noise" in noisy.variables()


def test_the_gradient_is_taken_at_the_noisy_weights_and_moves_the_clean_ones(build, tiny, batches):
    """By hand: noise from a seed generator in the same state, then plain gradient descent."""
    ours, theirs = build(tiny()), build(tiny())
    (batch,) = batches(ours, 1)
    step = TrainingStep(ours, keras.optimizers.SGD(), batch=4, weight_noise=0.05)
    seed = keras.random.SeedGenerator()
    seed.state.assign(step.noise_seed.state)
    step(batch, 0.1)
    clean = weights(theirs)
    for variable in theirs.trainable_variables:
        noise = keras.random.normal(variable.shape, stddev=0.05, seed=seed)
        variable.assign(variable + noise)
    with tf.GradientTape() as tape:
        prediction, _ = theirs(batch["x"], theirs.zero_state(4), training=True)
        loss = tf.reduce_mean(theirs.head.loss(prediction, batch["y"]))
    gradients = tape.gradient(loss, [v.value for v in theirs.trainable_variables])
    for moved, start, gradient in zip(weights(ours), clean, gradients, strict=True):
        expected = start - 0.1 * tf.convert_to_tensor(gradient).numpy()
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-6)


def test_weight_noise_of_zero_changes_no_bit(build, tiny, batches):
    """Neither the weights nor what a checkpoint keeps."""
    moved, kept = [], []
    for options in ({}, {"weight_noise": 0.0}):
        model = build(tiny())
        step = TrainingStep(model, keras.optimizers.SGD(), batch=4, **options)
        for batch in batches(model, 2):
            step(batch, 0.1)
        moved.append(weights(model))
        kept.append(set(step.variables()))
    for a, b in zip(*moved, strict=True):
        np.testing.assert_array_equal(a, b)
    assert kept[0] == kept[1]
    assert "weight_noise" not in kept[0]
