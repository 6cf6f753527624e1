"""The recurrent stack: parity, causality, carried state, noise, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers import RecurrentStack
from keras_rawaudio.layers.time_loop import scan_time

CELLS = ["gru", "lstm", "deep-gate-lstm"]


def normal(*shape, seed=0, scale=1.0):
    return (scale * np.random.default_rng(seed).normal(size=shape)).astype("float32")


def built(*args, width=3, **kwargs):
    """A stack with weights that differ from their initial values, biases included."""
    stack = RecurrentStack(*args, **kwargs)
    stack.build((None, None, width))
    for seed, weight in enumerate(stack.trainable_weights):
        weight.assign(weight + normal(*weight.shape, seed=seed, scale=0.1))
    return stack


def state_of(stack, rows, seed=7):
    return [
        normal(rows, *shape, seed=seed + i, scale=0.3)
        for i, (_, shape) in enumerate(stack.state_shapes())
    ]


def run(stack, inputs, state, **kwargs):
    outputs, state = stack(inputs, state, **kwargs)
    return ops.convert_to_numpy(outputs), [ops.convert_to_numpy(x) for x in state]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_equals_the_keras_layer(cell):
    layer_class = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell]
    layer = layer_class(5, return_sequences=True, return_state=True)
    layer.build((None, None, 3))
    stack = built(cell, 5)
    layer.set_weights(stack.get_weights())
    inputs, state = normal(4, 21, 3), state_of(stack, 4)
    outputs, after = run(stack, inputs, state)
    expected, *states = layer(inputs, initial_state=[ops.convert_to_tensor(x) for x in state])
    np.testing.assert_allclose(outputs, ops.convert_to_numpy(expected), atol=1e-5)
    for mine, theirs in zip(after, states, strict=True):
        np.testing.assert_allclose(mine, ops.convert_to_numpy(theirs), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
def test_layers_and_repeated_steps(cell, layers):
    stack = built(cell, 4, layers=layers, skips=True)
    inputs, state = normal(2, 19, 3), state_of(stack, 2)
    outputs, after = run(stack, inputs, state)
    assert outputs.shape == (2, 19, 4 * layers)
    assert len(stack.state_names()) == len(state) == layers * (1 if cell == "gru" else 2)
    for t in range(19):
        output, state = stack.step(ops.convert_to_tensor(inputs[:, t]), state)
        np.testing.assert_allclose(outputs[:, t], ops.convert_to_numpy(output), atol=1e-5)
    for mine, theirs in zip(after, state, strict=True):
        np.testing.assert_allclose(mine, ops.convert_to_numpy(theirs), atol=1e-5)


def test_widths():
    units = [200, 100, 100, 200]
    for skips, width in [(True, 600), (False, 200)]:
        stack = RecurrentStack("gru", units, skips=skips)
        outputs, state = run(stack, normal(1, 2, 3), stack.zero_state(1))
        assert outputs.shape == (1, 2, width)
        assert stack.output_width == width
        assert [x.shape[-1] for x in state] == units
        assert stack.state_shapes()[3] == ("layer3_h", (200,))


@pytest.mark.parametrize("cell", CELLS)
def test_memories_are_the_last_state_of_each_layer(cell):
    """What an LSTM remembers, not what it shows; a GRU shows what it remembers."""
    stack = built(cell, [4, 5], skips="memories")
    inputs, state = normal(2, 9, 3), state_of(stack, 2)
    outputs, after = run(stack, inputs, state)
    memories = after[0:2] if cell == "gru" else after[1::2]
    np.testing.assert_allclose(outputs[:, -1], np.concatenate(memories, axis=-1), atol=1e-6)
    for t in range(9):
        output, state = stack.step(ops.convert_to_tensor(inputs[:, t]), state)
        np.testing.assert_allclose(outputs[:, t], ops.convert_to_numpy(output), atol=1e-5)
    shown = built(cell, [4, 5], skips=True)
    shown.set_weights(stack.get_weights())
    same = np.abs(run(shown, inputs, state_of(stack, 2))[0] - outputs).max() < 1e-5
    assert same == (cell == "gru")


@pytest.mark.parametrize("cell", CELLS)
def test_rows_and_frames(cell):
    """Pitfall 8: the recurrence runs over time, and rows know nothing of each other."""
    stack = built(cell, 4, layers=2)
    inputs, state = normal(5, 9, 3), state_of(stack, 5)
    outputs, after = run(stack, inputs, state)

    order = np.array([3, 0, 4, 1, 2])
    permuted, permuted_after = run(stack, inputs[order], [x[order] for x in state])
    np.testing.assert_allclose(permuted, outputs[order], atol=1e-6)
    for mine, theirs in zip(permuted_after, after, strict=True):
        np.testing.assert_allclose(mine, theirs[order], atol=1e-6)

    changed = inputs.copy()
    changed[2, 4] += 1
    difference = np.abs(run(stack, changed, state)[0] - outputs).max(axis=-1)
    touched = np.zeros((5, 9), bool)
    touched[2, 4:] = True
    assert (difference[touched] > 1e-5).all()
    assert (difference[~touched] < 1e-6).all()


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("length", [3, 16, 20, 35])
def test_carried_state(cell, length):
    stack = built(cell, [4, 5])
    inputs, state = normal(2, 2 * length, 3), state_of(stack, 2)
    whole, after_whole = run(stack, inputs, state)
    first, middle = run(stack, inputs[:, :length], state)
    second, after = run(stack, inputs[:, length:], middle)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), whole, atol=1e-5)
    for mine, theirs in zip(after, after_whole, strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-5)


@pytest.mark.parametrize("length", [2, 9, 12, 13])
def test_dilated_sequences_know_nothing_of_each_other(length):
    """Every third step is a sequence of its own, whole windows of it or not; steps agree."""
    plain, stack = built("lstm", [4, 5]), built("lstm", [4, 5], dilation=3)
    plain.set_weights(stack.get_weights())
    inputs, state = normal(2, length, 3), state_of(stack, 2)
    outputs, after = run(stack, inputs, state)
    for begin in range(min(3, length)):
        one = [np.split(x, 3, axis=-1)[begin] for x in state]
        expected, last = run(plain, inputs[:, begin::3], one)
        np.testing.assert_allclose(outputs[:, begin::3], expected, atol=1e-5)
        place = (begin - length) % 3
        for mine, theirs in zip(after, last, strict=True):
            np.testing.assert_allclose(np.split(mine, 3, axis=-1)[place], theirs, atol=1e-5)
    for t in range(length):
        output, state = stack.step(ops.convert_to_tensor(inputs[:, t]), state)
        np.testing.assert_allclose(outputs[:, t], ops.convert_to_numpy(output), atol=1e-5)
    for mine, theirs in zip(after, state, strict=True):
        np.testing.assert_allclose(mine, ops.convert_to_numpy(theirs), atol=1e-5)


def test_seed_and_names():
    stack = RecurrentStack("lstm", [4, 2])
    assert stack.state_names() == ["layer0_h", "layer0_c", "layer1_h", "layer1_c"]
    assert [tuple(x.shape) for x in stack.zero_state(3)] == [(3, 4), (3, 4), (3, 2), (3, 2)]


@pytest.mark.parametrize("steps", [1, 7, 8, 9, 30])
@pytest.mark.parametrize("block", [1, 4, 64])
def test_scan_time(steps, block):
    values = normal(steps, 2)
    (sums,) = scan_time(lambda c, x: (c[0] + x[0],), (np.ones(2, "float32"),), [values], block)
    expected = 1 + np.cumsum(values, axis=0)
    np.testing.assert_allclose(ops.convert_to_numpy(sums), expected, atol=1e-5)


def gradients(stack, inputs, state, whole):
    """Gradients of a loss on outputs and last states, for weights, inputs and state.

    `whole` takes the sequence in one call; else step by step, where autodiff does the work.
    """

    def loss(inputs, state):
        if whole:
            outputs, after = stack(inputs, state)
        else:
            outputs, after = [], state
            for t in range(inputs.shape[1]):
                output, after = stack.step(inputs[:, t], after)
                outputs.append(output)
            outputs = ops.stack(outputs, axis=1)
        weights = normal(*outputs.shape, seed=3)
        return ops.sum(ops.sin(2 * outputs) * weights) + sum(ops.sum(ops.sin(x)) for x in after)

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        inputs, state = tf.constant(inputs), [tf.constant(x) for x in state]
        sources = [v.value for v in stack.trainable_weights] + [inputs, *state]
        with tf.GradientTape() as tape:
            tape.watch([inputs, *state])
            value = loss(inputs, state)
        return tape.gradient(value, sources)
    if keras.backend.backend() == "jax":
        import jax

        def pure(weights, inputs, state):
            mapping = zip(stack.trainable_weights, weights, strict=True)
            with keras.StatelessScope(state_mapping=list(mapping)):
                return loss(inputs, state)

        weights = [v.value for v in stack.trainable_weights]
        return jax.tree.leaves(jax.grad(pure, argnums=(0, 1, 2))(weights, inputs, state))
    pytest.skip("no gradients written for this backend")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("length", [1, 5, 37])
def test_fast_gradient_equals_autodiff(cell, length):
    stack = built(cell, [4, 5], skips=True)
    inputs, state = normal(3, length, 3), state_of(stack, 3)
    fast = gradients(stack, inputs, state, whole=True)
    slow = gradients(stack, inputs, state, whole=False)
    assert len(fast) == len(slow) > 0
    for mine, theirs in zip(fast, slow, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(mine), ops.convert_to_numpy(theirs), rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "noise",
    [
        {"preactivation_noise": 0.05},
        {"activation_noise": "half-normal"},
        {"activation_noise": "normal"},
        {"activation_noise": "binary"},
        {"activation_noise": "half-normal", "preactivation_noise": 0.05},
    ],
)
def test_noise_only_in_training(cell, noise):
    """Pitfall 11: noise is on in training, off in evaluation and in `step`."""
    stack = built(cell, 6, layers=2, seed=5, **noise)
    # Far enough out that hard units saturate.
    if cell == "deep-gate-lstm":
        for layer in stack.cells:
            layer.gate_kernels.assign(8 * layer.gate_kernels)
    inputs, state = 8 * normal(2, 6, 3), state_of(stack, 2)
    outputs, _ = run(stack, inputs, state)
    np.testing.assert_array_equal(run(stack, inputs, state)[0], outputs)
    again = run(stack, inputs, state, training=False)[0]
    np.testing.assert_array_equal(again, outputs)
    noisy = run(stack, inputs, state, training=True)[0]
    other = run(stack, inputs, state, training=True)[0]
    assert np.abs(noisy - outputs).max() > 1e-4
    assert np.abs(noisy - other).max() > 1e-4
    for t in range(6):
        output, state = stack.step(ops.convert_to_tensor(inputs[:, t]), state)
        np.testing.assert_allclose(ops.convert_to_numpy(output), outputs[:, t], atol=1e-4)


def test_gates_of_two_layers_by_hand():
    """A step of the deep-gate LSTM in plain NumPy."""
    cell = built("deep-gate-lstm", 4, width=3).cells[0]
    x, h, c = normal(2, 3), normal(2, 4, seed=1), normal(2, 4, seed=2)
    _, (shown, memory) = cell.step(cell.project(x), [h, c])
    U, W, V, a, b = (
        ops.convert_to_numpy(w)
        for w in (
            cell.recurrent_kernel,
            cell.kernel,
            cell.gate_kernels,
            cell.bias,
            cell.hidden_bias,
        )
    )
    hidden = np.tanh(x @ W + h @ U + b)
    sums = [hidden[:, 4 * k : 4 * k + 4] @ V[k] + a[4 * k : 4 * k + 4] for k in range(4)]
    taken, kept, out = (1 / (1 + np.exp(-sums[k])) for k in (0, 1, 3))
    expected = kept * c + taken * np.tanh(sums[2])
    np.testing.assert_allclose(ops.convert_to_numpy(memory), expected, atol=1e-6)
    np.testing.assert_allclose(ops.convert_to_numpy(shown), out * np.tanh(expected), atol=1e-6)


def test_same_seed_same_noise():
    inputs = normal(2, 5, 3)
    runs = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(0)
        stack = RecurrentStack("gru", 4, preactivation_noise=0.1, seed=seed)
        runs.append(run(stack, inputs, stack.zero_state(2), training=True)[0])
    np.testing.assert_array_equal(runs[0], runs[1])
    assert np.abs(runs[0] - runs[2]).max() > 1e-4


def test_preactivation_noise_has_the_given_deviation():
    cell = RecurrentStack("lstm", 50, preactivation_noise=0.05, seed=1).cells[0]
    cell.build((None, 3))
    inputs = normal(40, 10, 3)
    noise = ops.convert_to_numpy(cell.project(inputs, training=True) - cell.project(inputs))
    assert abs(noise.std() - 0.05) < 0.001
    assert abs(noise.mean()) < 0.001


@pytest.mark.parametrize("forget_bias", [None, 0.0, 2.5])
def test_forget_bias(forget_bias):
    """Pitfall 9: the forget bias stands in the built weights, in the forget gate's columns."""
    stack = RecurrentStack("lstm", [4, 6], forget_bias=forget_bias)
    stack.build((None, None, 3))
    for cell in stack.cells:
        bias = ops.convert_to_numpy(cell.bias).reshape(4, cell.units)
        np.testing.assert_array_equal(bias[1], 1.0 if forget_bias is None else forget_bias)
        np.testing.assert_array_equal(bias[[0, 2, 3]], 0)


def test_bad_settings():
    with pytest.raises(UserError, match="unknown cell 'rnn'; take one of gru, lstm"):
        RecurrentStack("rnn", 4)
    with pytest.raises(UserError, match="1 to 5 layers, not 6"):
        RecurrentStack("gru", 4, layers=6)
    with pytest.raises(UserError, match="layers is 3, but units lists 2"):
        RecurrentStack("gru", [4, 5], layers=3)
    with pytest.raises(UserError, match="unknown activation_noise 'loud'"):
        RecurrentStack("gru", 4, activation_noise="loud")
    with pytest.raises(UserError, match="must not be negative"):
        RecurrentStack("gru", 4, preactivation_noise=-0.1)
    with pytest.raises(UserError, match="units must be a positive number, not 0"):
        RecurrentStack("gru", 0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("noise", [None, "half-normal", "binary"])
@pytest.mark.parametrize("length", [None, 6])
def test_save_and_load(tmp_path, cell, noise, length):
    stack = RecurrentStack(
        cell,
        [4, 3],
        skips=True,
        activation_noise=noise,
        preactivation_noise=0.01,
        forget_bias=2.0,
        seed=3,
    )
    inputs = keras.Input((length, 3))
    state = [keras.Input(shape, name=name) for name, shape in stack.state_shapes()]
    outputs, after = stack(inputs, state)
    model = keras.Model([inputs, *state], [outputs, *after])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    values = [normal(2, 6, 3), *state_of(stack, 2)]
    for mine, theirs in zip(loaded(values), model(values), strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(mine), ops.convert_to_numpy(theirs))
    twin = next(layer for layer in loaded.layers if isinstance(layer, RecurrentStack))
    assert twin.get_config() == stack.get_config()
    # The noise goes on where it stood, too.
    for mine, theirs in zip(
        twin(values[0], values[1:], training=True)[1],
        stack(values[0], values[1:], training=True)[1],
        strict=True,
    ):
        np.testing.assert_array_equal(ops.convert_to_numpy(mine), ops.convert_to_numpy(theirs))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "noise",
    [None, *(pytest.param(noise, marks=pytest.mark.slow) for noise in ("normal", "binary"))],
)
def test_trains_in_a_compiled_step(cell, noise):
    """The loss falls, and the noise is not drawn once and for all when the step is traced."""
    keras.utils.set_random_seed(1)
    stack = RecurrentStack(cell, 8, activation_noise=noise, preactivation_noise=0.02, seed=1)
    inputs = keras.Input((9, 3))
    state = [keras.Input(shape) for _, shape in stack.state_shapes()]
    outputs = keras.layers.Dense(1)(stack(inputs, state)[0])
    model = keras.Model([inputs, *state], outputs)
    compiled_by_xla = keras.backend.backend() == "jax"
    model.compile(keras.optimizers.Adam(0.03), "mse", jit_compile=compiled_by_xla)
    values = [normal(16, 9, 3), *[0 * x for x in state_of(stack, 16)]]
    target = np.cumsum(values[0][..., :1], axis=1) / 3
    losses = [float(model.train_on_batch(values, target)) for _ in range(80)]
    assert losses[-1] < losses[0] / 2
    seed_state = ops.convert_to_numpy(stack.cells[0].seed_generator.state)
    model.train_on_batch(values, target)
    assert (ops.convert_to_numpy(stack.cells[0].seed_generator.state) != seed_state).any()
