"""What every model, head, codec, layer and cell keeps to: settings, saving, rows, time.

Parity of what is exported: tests/exporters/test_exporting.py, over the same models.
"""

import inspect
import json

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio import layers
from keras_rawaudio.data.codecs import CODECS, codec_from_json, fit_codec
from keras_rawaudio.models.code_prior import CodePrior
from keras_rawaudio.models.envelope_codebook import EnvelopeCodebook
from keras_rawaudio.models.excitation_network import ExcitationNetwork
from keras_rawaudio.models.frame_codes import FrameCodes
from keras_rawaudio.models.gaussian_grid import GaussianGrid
from keras_rawaudio.models.heads import head_layer
from keras_rawaudio.models.lpc_codes import LPCCodes
from keras_rawaudio.models.spectral_codec import SpectralCodec
from keras_rawaudio.models.spectral_view import SpectralView
from keras_rawaudio.models.tier import Tier
from keras_rawaudio.recipes.heads import HEADS

from ..small_models import (
    LATENT_MODELS,
    MODELS,
    PACED_MODELS,
    SPECTRAL_MODELS,
    inputs,
    make,
    predict,
)

F, W = 32, 6  # samples per frame, width of the tier's output
SMALL_CODES = {"codebook_size": 8, "filters": 3}
HEAD_OPTIONS = {  # for small ones; the others are made as they come
    "categorical": {"levels": 16, "hidden_units": W, "linear": 5},
    "draw": {"steps": 2, "latent": 3, "hidden_units": 8, "filters": 3, "levels": 16},
    "flow": {"couplings": 3, "filters": 4, "kernel_size": 3, "levels": 16},
    "gan": {"latent": 5, "hidden_units": 8, "fakes": "noise"},
    "mixture": {"num_mixtures": 3, "hidden_units": 4},
    "predictive": {**SMALL_CODES, "lpc_order": 16, "hidden_units": 8, "clock_width": 2},
    "regression": {"span": 64, "window": "flat", "cost": {"huber": 1.0}},
    "spectrum": {"form": "polar", "relative": True, "span": 64},
}
OBJECTS = {
    **{kind: lambda k=kind: head_layer(k)(F, **HEAD_OPTIONS.get(k, {})) for kind in HEADS},
    "AffineCoupling": lambda: layers.AffineCoupling(1, 3, 5),
    "BidirectionalStack": lambda: layers.BidirectionalStack("lstm", 3, 1),
    "Corruption": lambda: layers.Corruption(4, 0.1, 0.2, 0.3, 5),
    "Discriminator": lambda: layers.Discriminator(4, 2, 8, 2),
    "GaussianGrid": lambda: GaussianGrid(32, 3),
    "BinaryStochastic": lambda: layers.BinaryStochastic("threshold", seed=1),
    "NoisyActivation": lambda: layers.NoisyActivation("hard_sigmoid", "normal", 0.9, 0.2, False, 3),
    "NoisyGRUCell": lambda: layers.NoisyGRUCell(3, preactivation_noise=0.1, seed=2),
    "NoisyLSTMCell": lambda: layers.NoisyLSTMCell(3, 0.5, activation_noise="binary"),
    "DeepGateLSTMCell": lambda: layers.DeepGateLSTMCell(3, 2.0, seed=2),
    "RecurrentStack": lambda: layers.RecurrentStack("lstm", [3, 4], skips="memories", seed=1),
    "LPCFilterBank": lambda: layers.LPCFilterBank(3, 16, 8),
    "Postfilter": lambda: layers.Postfilter(3, 8),
    "Tier": lambda: Tier(8, 12, "lstm", [3, 4], 2, False, 0.5, "normal", 0.1, 0.2, 3, 0.3, rate=1),
    "SpectralView": lambda: SpectralView(8, 4, 20, "polar", True, 2),
    "EnvelopeCodebook": lambda: EnvelopeCodebook(8, 32),
    "LPCCodes": lambda: LPCCodes(3, 32, 8),
    "FrameCodes": lambda: FrameCodes(8, 3, 32),
    "ExcitationNetwork": lambda: ExcitationNetwork(8, 4, 16, 3, 2, 0.1),
    "SpectralCodec": lambda: SpectralCodec(8000, 2, 16, 5),
    "CodePrior": lambda: CodePrior(3, 5, 8, 1, 0.1, 0.2, 2, 4),
}


@pytest.mark.parametrize("name", OBJECTS)
def test_each_argument_is_an_attribute_and_part_of_the_config(name):
    made = OBJECTS[name]()
    config, names = made.get_config(), set()
    for kind in type(made).__mro__:
        if kind.__module__.startswith("keras_rawaudio"):
            names |= set(inspect.signature(kind.__init__).parameters)
    names -= {"self", "kwargs"}
    assert not [n for n in names if not hasattr(made, n)]
    assert names <= set(config)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(made))
    assert type(again) is type(made)
    assert again.get_config() == config


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_comes_back_from_its_config_and_audio_from_its_values(name):
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 200)).astype("float32")
    codec = fit_codec(name, {"train": lambda: iter(audio)})
    assert codec_from_json(json.loads(json.dumps(codec.to_json()))) == codec
    values = codec.encode(audio)
    assert values.shape == audio.shape
    assert codec.discrete == np.issubdtype(values.dtype, np.integer) == (codec.levels is not None)
    decoded = codec.decode(values)
    assert decoded.dtype == np.float32
    # The widest of 256 mu-law cells, at full scale, is 2 * ln(256) / 255 of the peak.
    np.testing.assert_allclose(decoded, audio, atol=0.012 if codec.discrete else 1e-6)
    np.testing.assert_allclose(codec.encode(decoded), values, atol=1e-5)
    assert abs(codec.decode(np.array([codec.silence]))[0]) < 0.003


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("categorical", "layers", 0),
        ("categorical", "linear", 0),
        ("categorical", "embedded", -1),
        ("mixture", "num_mixtures", 0),
        ("draw", "steps", 0),
        ("draw", "filters", 1),
        ("flow", "couplings", 0),
        ("gan", "latent", 0),
        ("predictive", "layers", 0),
        ("predictive", "num_mixtures", 0),
    ],
)
def test_a_head_names_the_argument_that_is_too_small(kind, name, value):
    with pytest.raises(ValueError, match=f"a {kind} head needs {name} >= {value + 1}, not {value}"):
        head_layer(kind)(F, **{**HEAD_OPTIONS[kind], name: value})


def built_head(kind):
    keras.utils.set_random_seed(0)
    head = head_layer(kind)(F, **HEAD_OPTIONS.get(kind, {}))
    head.build((None, None), (None, None, head.condition_width or W))
    rng = np.random.default_rng(0)
    for weight in head.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.1 * rng.normal(size=weight.shape))
    return head


def inputs_of(head, rows, frames):
    rng = np.random.default_rng(1)
    history = rng.uniform(-0.5, 0.5, (rows, head.context - 1 + frames * F)).astype("float32")
    if head.kind == "categorical":
        history = np.floor((history + 0.5) * 16)
    steps, width = (frames * F, head.condition_width) if head.condition_width else (frames, W)
    return history, rng.normal(size=(rows, steps, width)).astype("float32")


def state_of(head, rows):
    return [ops.zeros((rows, *shape)) for _, shape in head.state_spec()]


def flat(prediction, rows):
    """Every number of a prediction `(rows, samples or frames, ...)`, as a list of arrays."""
    parts = prediction.values() if isinstance(prediction, dict) else [prediction]
    return [ops.convert_to_numpy(part) for part in parts]


@pytest.mark.parametrize("kind", HEADS)
def test_rows_of_a_head_do_not_mix(kind):
    head, order = built_head(kind), np.array([2, 0, 1])
    history, condition = inputs_of(head, 3, 3)
    prediction, state = head(history, condition, state_of(head, 3))
    permuted, after = head(history[order], condition[order], state_of(head, 3))
    pairs = [*zip(flat(prediction, 3), flat(permuted, 3), strict=True)]
    pairs += [(np.asarray(a), np.asarray(b)) for a, b in zip(state, after, strict=True)]
    for left, right in pairs:
        np.testing.assert_allclose(left[order], right, atol=1e-5)


@pytest.mark.parametrize("kind", HEADS)
def test_a_window_of_a_head_is_its_two_halves(kind):
    """Pitfall 21: what goes on from window to window is in the state."""
    head, frames = built_head(kind), 4
    history, condition = inputs_of(head, 2, frames)
    whole, end = head(history, condition, state_of(head, 2))
    half, N = condition.shape[1] // 2, frames * F // 2
    first, state = head(history[:, :-N], condition[:, :half], state_of(head, 2))
    second, state = head(history[:, N:], condition[:, half:], state)
    for a, b, both in zip(flat(first, 2), flat(second, 2), flat(whole, 2), strict=True):
        np.testing.assert_allclose(np.concatenate([a, b], axis=1), both, atol=1e-4)
    for a, b in zip(state, end, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("kind", HEADS)
def test_a_frame_is_drawn_by_the_protocol(kind):
    """Shapes of what each call gives; the output is finite; rows draw from their own noise."""
    head, rows = built_head(kind), 3
    history, condition = inputs_of(head, rows, 1)
    history = history[:, -max(head.context, F) :]
    history = np.pad(history, ((0, 0), (max(head.context, F) - history.shape[1], 0)))
    uniform = np.random.default_rng(2).random((rows, F, head.noise_per_sample), "float32")
    noise = head.prepare_noise(uniform, np.ones((rows, 1, 1), "float32"))
    state = state_of(head, rows)
    frame_inputs, subframe_inputs = head.begin_frame(
        history[:, -head.context :], condition, noise, state
    )
    assert all(x.shape[0] == rows for x in frame_inputs)
    assert all(x.shape[:2] == (head.subframes, rows) for x in subframe_inputs)
    output, moved, after = head.draw_frame(history, condition, noise, state)
    assert output.shape == (rows, F)
    assert moved.shape == history.shape
    np.testing.assert_array_equal(moved[:, :-F], history[:, F:])
    assert np.isfinite(output).all()
    assert [x.shape for x in after] == [x.shape for x in state]
    one, _, _ = head.draw_frame(history[1:2], condition[1:2], noise[1:2], [s[1:2] for s in state])
    np.testing.assert_allclose(one, output[1:2], atol=1e-4)


def test_every_head_has_a_small_model():
    """So that it is held to the contract and to parity: a new head needs a row in the table."""
    rows = (MODELS | LATENT_MODELS | PACED_MODELS).values()
    assert {head["kind"] for _, head, _ in rows} == HEADS.keys()


@pytest.fixture(params=[*MODELS, *SPECTRAL_MODELS], scope="module")
def model(request):
    return make(request.param)


def test_rows_of_a_model_do_not_mix(model):
    """Pitfall 8: permuting rows permutes predictions and states."""
    x = inputs(model, 5, 2 * model.frame)
    start = {
        name: np.random.default_rng(3).normal(size=(5, *shape)).astype("float32")
        for name, shape in model.state_spec().items()
    }
    order = np.array([3, 0, 4, 1, 2])
    prediction, state = predict(model, x, start)
    permuted, permuted_state = predict(model, x[order], {n: s[order] for n, s in start.items()})
    np.testing.assert_allclose(permuted, prediction[order], atol=4e-6)
    for name, value in state.items():
        after = ops.convert_to_numpy(permuted_state[name])
        expected = ops.convert_to_numpy(value)[order]
        np.testing.assert_allclose(after, expected, rtol=1e-5, atol=2e-6, err_msg=name)


def test_two_windows_with_carried_state_are_one_long_window(model):
    """Pitfall 21: the state goes in and comes out by name; the model itself keeps nothing."""
    N = 2 * model.frame
    x = inputs(model, 2, 2 * N)
    whole, end = predict(model, x)
    first, state = predict(model, x[:, : model.context + N])
    second, state = predict(model, x[:, N:], state)
    both = np.concatenate([first, second], axis=1)
    np.testing.assert_allclose(both, whole, rtol=1e-4, atol=1e-4)
    for name, value in end.items():
        np.testing.assert_allclose(value, state[name], rtol=1e-5, atol=1e-5, err_msg=name)
    # And it matters: from a fresh state the second window is predicted otherwise.
    fresh, _ = predict(model, x[:, N:])
    assert np.abs(fresh - second).max() > 1e-4
    # Nothing stays behind between calls.
    np.testing.assert_array_equal(predict(model, x)[0], whole)


def test_workers_can_exchange_every_weight(model):
    """TensorFlow's collectives carry these types alone: a byte ends `train --workers 2`."""
    assert {w.dtype for w in model.weights} <= {"float16", "float32", "int32", "int64"}


def test_a_saved_model_predicts_the_same(model, tmp_path):
    """Pitfall 14: loaded predictions equal the saved model's and differ from a fresh one's."""
    x = inputs(model, 2, 2 * model.frame)
    expected, _ = predict(model, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.get_config() == model.get_config()
    assert loaded.codec == model.codec
    np.testing.assert_array_equal(predict(loaded, x)[0], expected)
    fresh = type(model).from_config(model.get_config())
    assert np.abs(predict(fresh, x)[0] - expected).max() > 1e-2
    # Weights alone, as a resumed training reads them.
    model.save_weights(tmp_path / "model.weights.h5")
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(predict(fresh, x)[0], expected)
