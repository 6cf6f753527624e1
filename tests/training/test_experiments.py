"""The experiments of 2016: their frames and sequences, networks and options, really trained."""

import numpy as np
import pytest
import soundfile

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import prepare
from keras_rawaudio.layers import RecurrentStack
from keras_rawaudio.recipes import load_recipe
from keras_rawaudio.training import throughput
from keras_rawaudio.training.build import build_model
from keras_rawaudio.training.csv_log import read_log
from keras_rawaudio.training.model_files import load_model
from keras_rawaudio.training.resource_estimate import AT_REST, step_memory
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget
from keras_rawaudio.training.train import train
from keras_rawaudio.training.trainer import Trainer

# Frame, frames in a sequence, shift.
SEQUENCES = [
    (4000, 50, 1000),
    (1000, 50, 1000),
    (1000, 100, 1000),
    (4000, 100, 1000),
    (800, 8000, 1000),
    (40, 10_000, 1000),
    (100, 7000, 1000),
    (40, 40_000, 1000),
    (40_000, 40, 1000),
    (8000, 25, 1000),
]
# For the small piece: frames of 10 samples, a quarter of a second of them.
SMALL = {
    "tiers.0.frame_size": 10,
    "data.length": 500,
    "data.batch": 4,
    "training.sample_seconds": 0.0,
}


@pytest.fixture(scope="module")
def hour(tmp_path_factory):
    """Noise long enough for the longest sequence: 18 minutes at 8 kHz."""
    folder = tmp_path_factory.mktemp("hour")
    noise = np.random.default_rng(0).integers(-9999, 9999, 8_300_000).astype(np.int16)
    soundfile.write(folder / "noise.wav", noise, 8000)
    return prepare([folder / "noise.wav"], folder / "cache")


@pytest.mark.slow
@pytest.mark.parametrize(("frame", "frames", "shift"), SEQUENCES)
def test_frames_and_sequences(hour, tmp_path, monkeypatch, capsys, frame, frames, shift):
    """Each says what it takes, trains, and keeps its memory however long its sequences are."""
    overrides = {
        "tiers.0.frame_size": frame,
        "tiers.0.units": 8,
        "data.length": frame * min(frames, 100 if frame < 8000 else 10 if frame > 8000 else 25),
        "data.sequence": frame * frames,
        "data.shift": shift,
        "training.sample_seconds": 0.0,
    }
    recipe = load_recipe("frame-gru", overrides)
    model = build_model(recipe, fit_codec("standardize", hour.parts()))
    budget = Budget(minutes=1e-9)
    made = Trainer(RunFolder(tmp_path / "run"), recipe, hour, model, budget)
    assert made.plan.batch == 10
    block = next(made.plan.epoch(0))
    assert (np.diff(block.offset[0]) == shift).all()
    begins = block.offset[block.reset[:, 0], 0]
    assert (np.diff(begins) % (frame * frames) == 0).all()
    assert step_memory(made.step, made.plan) < AT_REST + 0.5e9
    monkeypatch.setattr(throughput, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(
        made.validator, "evaluator", lambda: {"loss": 1.0, "variance_unexplained": 1.0}
    )
    monkeypatch.setattr(made.validator, "gate_statistics", dict)
    assert made.fit()
    assert made.steps >= 2
    assert capsys.readouterr().err.startswith(f"an epoch: {made.plan.batches_per_epoch} steps")


def trained(folder, piece, cache, recipe, overrides, epochs=1):
    """Train a recipe as the command does; its model as it was saved, and its last validation."""
    recipe = load_recipe(recipe, SMALL | overrides)
    assert train([piece], folder, recipe, Budget(epochs=epochs), cache=cache)
    run = RunFolder.open(folder)
    row = read_log(run.log)[-1]
    return load_model(run, "best"), row["variance_unexplained"]


NETWORKS = {
    "lstm of 2 x 199": ("frame-gru", {"tiers.0.cell": "lstm", "tiers.0.units": 199}),
    "gru of 2 x 256": ("frame-gru", {"tiers.0.units": 256}),
    "200-100-100-200": ("hourglass-lstm", {}),
    "the top state is the output": ("state-gru", {"tiers.0.units": [20, 20, 10]}),
    "noise on gates of two layers": ("noisy-lstm", {"tiers.0.units": 20}),
    "memories to an MLP": ("memory-lstm", {"tiers.0.units": 20, "head.hidden_units": 20}),
    "binary stochastic gates": ("binary-lstm", {"tiers.0.units": 20}),
    "hard units with noise, gru": ("noisy-gru", {"tiers.0.units": 20}),
    "hard units with noise, lstm": ("noisy-tanh-lstm", {"tiers.0.units": 20}),
    "hard units without noise": (
        "noisy-gru",
        {"tiers.0.units": 20, "tiers.0.activation_noise": "hard"},
    ),
    "memories of a noisy lstm give back the frame": (
        "noisy-lstm",
        {
            "tiers.0.units": 20,
            "tiers.0.skips": "memories",
            "head.hidden_units": 20,
            "head.reconstruct": True,
        },
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_train(name, tmp_path, piece, cache):
    recipe, overrides = NETWORKS[name]
    model, score = trained(tmp_path / "run", piece, cache, recipe, overrides)
    assert 0 < score < 3
    widths = [cell.units for cell in model.tiers[0].stack.cells]
    if recipe == "hourglass-lstm":
        assert widths == [200, 100, 100, 200]
    elif recipe == "state-gru":
        assert (len(widths), model.head.weights) == (3, [])
    else:
        assert widths == 2 * [overrides["tiers.0.units"]]


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("units", [199, 200, 256, [200, 100, 100, 200]])
def test_two_layers_and_an_hourglass_build(corpus, cell, units):
    overrides = {"tiers.0.cell": cell, "tiers.0.units": units}
    if isinstance(units, list):
        overrides["tiers.0.layers"] = len(units)
    model = build_model(
        load_recipe("frame-gru", overrides), fit_codec("standardize", corpus.parts())
    )
    widths = units if isinstance(units, list) else [units, units]
    gates = {"gru": 3, "lstm": 4}[cell]
    bias = {"gru": 2, "lstm": 1}[cell]
    inside = [
        gates * n * (before + n + bias)
        for before, n in zip([widths[0], *widths], widths, strict=False)
    ]
    end = (sum(widths) + 1) * 250
    assert model.count_params() == (250 + 1) * widths[0] + sum(inside) + end


@pytest.mark.slow
@pytest.mark.parametrize("layers", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("units", [200, 2000])
def test_one_to_five_layers_of_200_to_2000_units(layers, units):
    """What a step reads and hands on; of the widest, shapes alone: they fill gigabytes."""
    stack = RecurrentStack("gru", units, layers=layers, skips=True)
    assert stack.output_width == layers * units
    assert [shape for _, shape in stack.state_shapes()] == layers * [(units,)]
    if units == 200 or layers == 1:
        stack.build((None, None, units))
        output, _ = stack.step(np.zeros((1, units), "float32"), stack.zero_state(1))
        assert output.shape == (1, layers * units)


OPTIONS = {
    "one row, lstm, forget bias of 0, windows of 100 steps": {
        "data.batch": 1,
        "data.length": 1000,
        "tiers.0.cell": "lstm",
        "tiers.0.forget_bias": 0,
    },
    "10 rows a sample apart, forget bias of 1": {
        "data.batch": 10,
        "data.shift": 1,
        "data.length": 20,
        "tiers.0.cell": "lstm",
        "tiers.0.forget_bias": 1,
    },
    "100 rows, forget bias of 2, hardly clipped": {
        "data.batch": 100,
        "data.length": 50,
        "tiers.0.cell": "lstm",
        "tiers.0.forget_bias": 2,
        "training.clip_norm": 100,
    },
    "128 lanes, predicting under noise": {
        "data.batch": 128,
        "data.length": 50,
        "data.shift": "lanes",
        "tiers.0.input_noise": 0.1,
    },
    "windows of 2 s, clipped": {
        "data.length": 4000,
        "data.batch": 1,
        "training.clip_norm": 0.1,
    },
    "rows a fifth of a frame apart, sequences of two windows": {
        "data.shift": 2,
        "data.sequence": 1000,
        "head.reconstruct": True,
        "tiers.0.input_noise": 0.1,
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_options(name, tmp_path, piece, cache):
    overrides = {"tiers.0.units": 8} | OPTIONS[name]
    _, score = trained(tmp_path / "run", piece, cache, "frame-gru", overrides)
    assert 0 < score < 3
    settings = load_recipe("frame-gru").training
    assert (settings.optimizer, settings.learning_rate) == ("rmsprop", 2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["frame-gru", "denoising-gru"])
def test_thirty_epochs(recipe, tmp_path, piece, cache):
    """They learn: to tell what comes a little better than silence does, to give back far better."""
    overrides = {"tiers.0.units": 32, "data.batch": 1}
    _, score = trained(tmp_path / "run", piece, cache, recipe, overrides, epochs=30)
    assert score < (0.5 if recipe == "denoising-gru" else 0.98)
