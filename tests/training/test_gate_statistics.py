"""Gates and activations: found, named, and recognised when they are saturated."""

import json
import re

import numpy as np
import pytest
from keras import ops

from keras_rawaudio.cli import main
from keras_rawaudio.models import AudioModel
from keras_rawaudio.training.gate_statistics import GateStatistics, report, saturation
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train

CODEC = {"name": "mulaw", "peak": 1.0, "levels": 16}
HEAD = {"kind": "categorical", "hidden_units": 8, "layers": 1, "linear": 4}
NOISE = np.random.default_rng(0).integers(-9000, 9000, 4000, dtype=np.int16)
SEGMENTS = [NOISE[:100], NOISE]


def model_of(*tiers):
    return AudioModel([{"units": 6, **tier} for tier in tiers], HEAD, CODEC)


def set_all(cell, kernel, bias):
    """Every pre-activation of a cell becomes `bias`, one value or one per block."""
    for weight in (cell.kernel, cell.recurrent_kernel):
        weight.assign(kernel * ops.ones_like(weight))
    blocks = np.repeat(np.broadcast_to(bias, cell.blocks), cell.units)
    cell.bias.assign(np.broadcast_to(blocks, cell.bias.shape))


def test_layers_and_names():
    """Each layer of each tier, each gate, once for each step and unit."""
    model = model_of(
        {"frame_size": 8, "layers": 2}, {"frame_size": 4, "cell": "lstm", "clock_harmonics": 2}
    )
    layers = GateStatistics(model, SEGMENTS)()
    assert {layer: list(values) for layer, values in layers.items()} == {
        "tier0_layer0": ["update", "reset", "candidate"],
        "tier0_layer1": ["update", "reset", "candidate"],
        "tier1_layer0": ["input", "forget", "candidate", "output", "memory"],
    }
    assert {len(v) for v in layers["tier0_layer1"].values()} == {6 * 4000 // 8}
    assert {len(v) for v in layers["tier1_layer0"].values()} == {6 * 4000 // 4}


@pytest.mark.parametrize(
    "noise", [None, *(pytest.param(n, marks=pytest.mark.slow) for n in ("half-normal", "binary"))]
)
@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize(
    ("bias", "share"), [(20.0, 1.0), pytest.param(-20.0, 1.0, marks=pytest.mark.slow), (0.0, 0.0)]
)
def test_a_layer_forced_into_saturation_and_one_at_zero(cell, noise, bias, share):
    model = model_of({"frame_size": 8, "cell": cell, "layers": 2, "activation_noise": noise})
    stuck, idle = model.tiers[0].stack.cells
    set_all(stuck, 0.0, bias)
    set_all(idle, 0.0, 0.0)
    layers = GateStatistics(model, SEGMENTS)()
    assert saturation(layers["tier0_layer1"]) == {
        "saturated_gates": 0.0,
        "saturated_activations": 0.0,
    }
    assert np.allclose(layers["tier0_layer1"].get("forget", 0.5), 0.5)
    found = saturation(layers["tier0_layer0"])
    assert found["saturated_gates"] == share
    assert np.mean(np.abs(layers["tier0_layer0"]["candidate"]) > 0.9) == share
    found = report(layers)["tier0_layer0"]
    gate = "update" if cell == "gru" else "forget"
    assert found[gate] == {"mean": {20.0: 1.0, -20.0: 0.0, 0.0: 0.5}[bias], "saturated": share}


def test_an_lstm_whose_memory_has_run_full():
    """Gates open for good and a candidate of 1: the memory grows by one per step, its tanh is 1."""
    model = model_of({"frame_size": 8, "cell": "lstm"})
    set_all(model.tiers[0].stack.cells[0], 0.0, 20.0)
    memory = GateStatistics(model, SEGMENTS)()["tier0_layer0"]["memory"].reshape(-1, 6)
    np.testing.assert_allclose(memory[:, 0], np.tanh(1.0 + np.arange(500)), rtol=1e-5)


def test_values_are_those_of_the_steps():
    """What is worked out afterwards is what the cells had, step by step."""
    model = model_of({"frame_size": 8}, {"frame_size": 4, "cell": "lstm", "layers": 2})
    stack = model.tiers[1].stack
    inputs = np.random.default_rng(1).normal(size=(2, 7, 6)).astype("float32")
    state = stack.zero_state(2)
    seen = {}
    stack.watcher = seen.__setitem__
    stack(inputs, state)
    for t in range(7):
        hidden, after = ops.convert_to_tensor(inputs[:, t]), []
        for i, cell in enumerate(stack.cells):
            before = state[2 * i : 2 * i + 2]
            gates = cell.gates(cell.project(hidden), before, ops.sigmoid, ops.tanh)
            for name, value in gates.items():
                np.testing.assert_allclose(seen[f"layer{i}"][name][t], value, atol=1e-6)
            hidden, states = cell.step(cell.project(hidden), before)
            after += states
            np.testing.assert_allclose(
                seen[f"layer{i}"]["memory"][t], np.tanh(states[1]), atol=1e-6
            )
        state = after


def test_nothing_is_left_behind():
    """The model learns and plays after a look as it did before it."""
    model = model_of({"frame_size": 8}, {"frame_size": 4})
    x = ops.zeros((1, model.context + 16), "int32")
    before = np.asarray(model(x, model.zero_state(1))[0])
    GateStatistics(model, SEGMENTS)()
    assert all(tier.stack.watcher is None for tier in model.tiers)
    np.testing.assert_array_equal(np.asarray(model(x, model.zero_state(1))[0]), before)


@pytest.mark.slow
def test_a_run_is_diagnosed_on_demand(tmp_path, piece, cache, tiny, capsys):
    run = tmp_path / "run"
    assert train([piece], run, tiny(noisy=True), Budget(epochs=1), cache=cache)
    capsys.readouterr()
    words = ["evaluate", "--run", str(run), "--split", "validation", "--diagnose"]
    assert main(words) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert re.fullmatch(r"tier0 layer0: \d+% of gates and \d+% of activations saturated", last)
    assert main([*words, "--json"]) == 0
    layers = json.loads(capsys.readouterr().out)["layers"]
    assert list(layers) == ["tier0_layer0"]
    shares = {"saturated_gates", "saturated_activations"}
    assert shares | {"forget", "memory"} <= set(layers["tier0_layer0"])
