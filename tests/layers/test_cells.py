"""The cells on their own: Keras' cell interface, gates, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.layers import DeepGateLSTMCell, NoisyGRUCell, NoisyLSTMCell

CELLS = [NoisyGRUCell, NoisyLSTMCell, DeepGateLSTMCell]
INPUTS = np.random.default_rng(0).normal(0, 6, (2, 5, 3)).astype("float32")


@pytest.mark.parametrize("cell_class", CELLS)
@pytest.mark.parametrize("noise", [None, "normal"])
def test_save_and_load_in_a_keras_rnn(tmp_path, cell_class, noise):
    cell = cell_class(4, activation_noise=noise, preactivation_noise=0.01, seed=3)
    model = keras.Sequential([keras.Input((5, 3)), keras.layers.RNN(cell)])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(
        ops.convert_to_numpy(loaded(INPUTS)), ops.convert_to_numpy(model(INPUTS))
    )
    assert loaded.layers[-1].cell.get_config() == cell.get_config()


@pytest.mark.parametrize("cell_class", CELLS)
def test_project_step_and_run_agree_under_given_noise(cell_class):
    """`run` in training is `step` with the noise that was drawn for the whole sequence."""
    cell = cell_class(4, activation_noise="half-normal", seed=3)
    cell.build((None, 3))
    projected = cell.project(INPUTS.transpose(1, 0, 2), training=True)
    state = [ops.zeros((2, 4)) for _ in cell.state_parts]
    sequences = cell.run(projected, state, training=True)
    twin = keras.random.SeedGenerator(3)
    width = (cell.sigmoids + cell.tanhs) * 4
    noise = keras.random.normal((5, 2, width), seed=twin)
    for t in range(5):
        output, state = cell.step(projected[t], state, training=True, noise=noise[t])
        np.testing.assert_allclose(
            ops.convert_to_numpy(sequences[0][t]), ops.convert_to_numpy(output), atol=1e-5
        )
    np.testing.assert_allclose(
        ops.convert_to_numpy(sequences[-1][-1]), ops.convert_to_numpy(state[-1]), atol=1e-5
    )


def test_binary_gates_are_open_or_closed_in_training():
    """With update gates of 0 or 1 each unit of a GRU keeps its state or takes the candidate."""
    cell = NoisyGRUCell(50, activation_noise="binary", seed=1)
    cell.build((None, 3))
    state = np.full((2, 50), 5.0, "float32")  # no candidate gets there
    _, (after,) = cell.step(cell.project(INPUTS[:, 0]), [state], training=True)
    kept = np.isclose(ops.convert_to_numpy(after), 5.0, atol=1e-5)
    assert 0 < kept.sum() < kept.size
    assert (np.abs(ops.convert_to_numpy(after)[~kept]) < 1 + 1e-5).all()


def test_the_forget_bias_of_a_gru_is_its_update_gate_s():
    """Pitfall 9: a large one keeps the state; it stands in the update gate's block alone."""
    cell = NoisyGRUCell(4, forget_bias=20.0)
    cell.build((None, 3))
    bias = ops.convert_to_numpy(cell.bias)
    assert (bias[0, :4] == 20).all()
    assert not bias[0, 4:].any()
    assert not bias[1].any()
    state = np.full((2, 4), 0.7, "float32")
    _, (after,) = cell.step(cell.project(INPUTS[:, 0]), [state])
    np.testing.assert_allclose(ops.convert_to_numpy(after), state, atol=1e-5)


@pytest.mark.parametrize("cell", [NoisyGRUCell, NoisyLSTMCell])
def test_hard_units_draw_nothing(cell):
    """Training is evaluation, and no slope is learned."""
    units = cell(4, activation_noise="hard")
    units.build((None, 3))
    state = [np.full((2, 4), 0.3, "float32")] * len(units.state_parts)
    projected = units.project(ops.transpose(INPUTS, (1, 0, 2))[:, :2] * 9)
    pairs = zip(units.run(projected, state, True), units.run(projected, state, False), strict=True)
    for train, evaluation in pairs:
        np.testing.assert_array_equal(*map(ops.convert_to_numpy, (train, evaluation)))
    assert not any(weight.name == "p" for weight in units.weights)
