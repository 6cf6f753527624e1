"""The recurrent stack: parity, causality, carried state, settings, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers import RecurrentStack

from .recurrent import CELLS, built, normal, run, state_of


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
@pytest.mark.parametrize(
    "layers", [1, 2, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 4, 5))]
)
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
@pytest.mark.parametrize("length", [pytest.param(None, marks=pytest.mark.slow), 6])
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
