"""The model as a function: shapes, causality, carried state, noise, saving."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.data.codecs import codec_from_json
from keras_rawaudio.models import AudioModel

from ..small_models import far_from_fresh

MULAW = {"name": "mulaw", "peak": 0.9, "levels": 16}
PEAK = {"name": "peak", "peak": 0.9}
STANDARDIZE = {"name": "standardize", "mean": 0.01, "std": 0.2}
CATEGORICAL = {"kind": "categorical", "hidden_units": 12, "embedded": 2, "linear": 5}
PREDICTIVE = {
    "kind": "predictive",
    "codebook_size": 8,
    "filters": 3,
    "lpc_order": 64,
    "hidden_units": 8,
    "num_mixtures": 2,
}

MODELS = {
    "gru": ([{"frame_size": 4, "units": 6}], CATEGORICAL, MULAW),
    "lstm, two tiers, windows": (
        [
            {"frame_size": 8, "window": 11, "cell": "lstm", "units": [5, 6], "layers": 2},
            {"frame_size": 2, "window": 6, "cell": "lstm", "units": 7, "forget_bias": 2.0},
        ],
        {**CATEGORICAL, "embedded": 3, "linear": 2, "layers": 1},
        MULAW,
    ),
    "gru, three tiers, no skips": (
        [
            {"frame_size": 12, "units": 5, "layers": 2, "skips": False},
            {"frame_size": 6, "units": 6},
            {"frame_size": 1, "window": 3, "units": 4},
        ],
        {**CATEGORICAL, "embedded": 0, "linear": 30},
        MULAW,
    ),
    "regression, lstm": (
        [{"frame_size": 5, "cell": "lstm", "units": 6, "layers": 3}],
        {"kind": "regression"},
        STANDARDIZE,
    ),
    "regression, two tiers": (
        [{"frame_size": 12, "units": 6}, {"frame_size": 4, "window": 9, "units": 5}],
        {"kind": "regression", "hidden_units": 7},
        STANDARDIZE,
    ),
    "regression, memories to an MLP": (
        [{"frame_size": 5, "cell": "deep-gate-lstm", "units": [6, 4, 5], "skips": "memories"}],
        {"kind": "regression", "hidden_units": 7},
        STANDARDIZE,
    ),
    "regression, the top state is the frame": (
        [{"frame_size": 6, "units": [5, 7, 6], "skips": False}],
        {"kind": "regression", "end_layer": False, "reconstruct": True},
        STANDARDIZE,
    ),
    "predictive, two tiers": (
        [
            {"frame_size": 64, "units": 6},
            {"frame_size": 32, "cell": "lstm", "units": 5, "input": "codes"},
        ],
        PREDICTIVE,
        PEAK,
    ),
    "regression, overlaps": (
        [{"frame_size": 8, "units": 6}, {"frame_size": 4, "window": 9, "units": 5}],
        {"kind": "regression", "span": 12, "window": "triangle"},
        STANDARDIZE,
    ),
    "mixture": (
        [{"frame_size": 8, "units": 6}, {"frame_size": 4, "units": 5}],
        {"kind": "mixture", "num_mixtures": 3},
        PEAK,
    ),
    "spectrum, parts": (
        [{"frame_size": 4, "window": 12, "units": 6, "spectrum": {"size": 8, "hop": 4}}],
        {"kind": "spectrum", "span": 8},
        STANDARDIZE,
    ),
    "spectrum, phases as turns, an image": (
        [
            {
                "frame_size": 4,
                "window": 20,
                "units": 6,
                "spectrum": {"size": 8, "hop": 4, "relative": True, "filters": 3},
            }
        ],
        {"kind": "spectrum", "form": "polar", "relative": True, "span": 8},
        STANDARDIZE,
    ),
    "samples from pictures of spectra": (
        [
            {
                "frame_size": 4,
                "window": 12,
                "units": 6,
                "spectrum": {"size": 8, "hop": 4, "form": "picture", "filters": 3},
            }
        ],
        {"kind": "regression"},
        STANDARDIZE,
    ),
    "spectrum, amplitude": (
        [{"frame_size": 4, "units": 6}],
        {"kind": "spectrum", "form": "amplitude", "span": 8, "hidden_units": 5, "iterations": 2},
        STANDARDIZE,
    ),
    "predictive, a clock, reads samples": (
        [{"frame_size": 32, "units": 6, "clock_harmonics": 3}],
        PREDICTIVE,
        PEAK,
    ),
}
NOISY = {
    "half-normal": {"cell": "lstm", "activation_noise": "half-normal"},
    "binary": {"cell": "gru", "activation_noise": "binary"},
    "gaussian": {"cell": "lstm", "preactivation_noise": 0.3},
    "gates": {"cell": "deep-gate-lstm", "preactivation_noise": 0.3},
    "input": {"cell": "gru", "input_noise": 0.3},
}


def inputs(model, rows, samples, seed=0):
    rng = np.random.default_rng(seed)
    shape = (rows, model.context + samples)
    if model.codec.discrete:
        return rng.integers(0, model.codec.levels, shape).astype("int32")
    return rng.uniform(-0.8, 0.8, shape).astype("float32")


def predict(model, x, state=None, **options):
    prediction, state = model(x, state or model.zero_state(len(x)), **options)
    if model.head.kind == "spectrum":
        prediction = prediction["signal"]
    return ops.convert_to_numpy(prediction), state


@pytest.fixture(params=list(MODELS), scope="module")
def model(request):
    keras.utils.set_random_seed(0)
    return far_from_fresh(AudioModel(*MODELS[request.param]), spread=0.3)


def test_shapes_and_dtypes(model):
    x = inputs(model, 3, 2 * model.frame)
    prediction, state = predict(model, x)
    widths = {"categorical": (16,), "predictive": (3 + 3 * 2,), "mixture": (3 * 3,)}
    assert prediction.shape == (3, 2 * model.frame, *widths.get(model.head.kind, ()))
    assert {n: tuple(s.shape[1:]) for n, s in state.items()} == model.state_spec()
    assert prediction.dtype == np.float32
    assert {str(weight.dtype) for weight in model.trainable_weights} == {"float32"}
    assert {keras.backend.standardize_dtype(s.dtype) for s in state.values()} == {"float32"}
    assert model.context == max([model.head.context, *(t.window for t in model.tiers)]) - 1
    # Codes may come as integers (the data pipeline) or as floats (the exported graph).
    again, _ = predict(model, x.astype("float32"))
    np.testing.assert_array_equal(prediction, again)


def test_a_sample_reaches_what_comes_after_it_and_nothing_else(model):
    """Pitfall 8: changing sample t changes predictions from t on, in its own row only."""
    N, C, F = 2 * model.frame, model.context, model.tiers[-1].frame_size
    base = inputs(model, 1, N)
    x = np.tile(base, (C + N, 1))
    # Row i differs from the base in place i alone; the base itself goes last.
    places = np.arange(C + N)
    if model.codec.discrete:
        x[places, places] = (x[places, places] + model.codec.levels // 2) % model.codec.levels
    else:
        x[places, places] += np.where(x[places, places] > 0, -0.9, 0.9)
    prediction, _ = predict(model, np.concatenate([x, base]))
    distance = np.abs(prediction[:-1] - prediction[-1:]).reshape(C + N, N, -1).max(axis=2)
    changed = distance > 2e-6
    for place in places:
        # Prediction t may see x[:C + t + 1]; a whole frame is predicted from before its start, or
        # from all of it but its last sample, as that is what its word says.
        first = max(0, place - C)
        if model.head.kind == "predictive":
            first = first // F * F
        elif not model.head.condition_width:
            first = -(-first // F) * F
        assert not changed[place, :first].any(), (place, np.flatnonzero(changed[place]))
        # What lies too far back for the filters counts by its codes alone.
        far = model.head.kind == "predictive" and place <= C - model.head.lpc_order
        if first < N and not far:
            assert changed[place, first : first + F].any(), f"sample {place} is not used"


def test_rows_do_not_meet(model):
    """Pitfall 8: permuting rows permutes predictions and states."""
    x = inputs(model, 5, 2 * model.frame)
    start = {
        name: np.random.default_rng(3).normal(size=(5, *shape)).astype("float32")
        for name, shape in model.state_spec().items()
    }
    order = np.array([3, 0, 4, 1, 2])
    prediction, state = predict(model, x, start)
    permuted, permuted_state = predict(model, x[order], {n: s[order] for n, s in start.items()})
    np.testing.assert_allclose(permuted, prediction[order], atol=2e-6)
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


def test_a_saved_model_predicts_the_same(model, tmp_path):
    """Pitfall 14: loaded predictions equal the saved model's and differ from a fresh one's."""
    x = inputs(model, 2, 2 * model.frame)
    expected, _ = predict(model, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert loaded.get_config() == model.get_config()
    assert loaded.codec == model.codec
    np.testing.assert_array_equal(predict(loaded, x)[0], expected)
    fresh = AudioModel.from_config(model.get_config())
    assert np.abs(predict(fresh, x)[0] - expected).max() > 1e-2
    # Weights alone, as a resumed training reads them.
    model.save_weights(tmp_path / "model.weights.h5")
    fresh.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_array_equal(predict(fresh, x)[0], expected)


def test_all_weights_learn(model):
    import tensorflow as tf

    N = 3 * model.frame
    x = inputs(model, 2, N)
    # Not from silence: after it, one filter of a bank is trusted so much that no other learns.
    state = {name: value + 0.5 for name, value in model.zero_state(2).items()}
    with tf.GradientTape() as tape:
        prediction, _ = model(x, state, training=True)
        loss = ops.mean(model.head.loss(prediction, inputs(model, 2, N)[:, :N]))
    gradients = tape.gradient(loss, model.trainable_variables)
    for weight, gradient in zip(model.trainable_variables, gradients, strict=True):
        if 0 in weight.shape:  # a head without tables
            continue
        assert gradient is not None, weight.path
        assert np.abs(np.asarray(tf.convert_to_tensor(gradient))).max() > 0, weight.path


@pytest.mark.parametrize("head", ["categorical", "regression"])
@pytest.mark.parametrize("noise", list(NOISY))
def test_noise_is_on_in_training_alone(noise, head):
    """Pitfall 11: off in evaluation (the default of a call), on in training."""
    tier = {"frame_size": 4, "units": 6, **NOISY[noise]}
    codec = MULAW if head == "categorical" else STANDARDIZE
    keras.utils.set_random_seed(0)
    # Wide, since the activations' noise is nothing outside of saturation.
    model = far_from_fresh(AudioModel([tier], {"kind": head}, codec), spread=2.0)
    x = inputs(model, 2, 40)
    calm, _ = predict(model, x)
    np.testing.assert_array_equal(predict(model, x)[0], calm)
    np.testing.assert_array_equal(predict(model, x, training=False)[0], calm)
    noisy, again = (predict(model, x, training=True)[0] for _ in range(2))
    assert np.abs(noisy - calm).max() > 1e-4
    assert np.abs(noisy - again).max() > 1e-4


def test_forget_bias_stands_in_the_built_weights():
    """Pitfall 9: in the forget gate's block, of every layer of its tier, and nowhere else."""
    tiers = [
        {"frame_size": 8, "cell": "lstm", "units": [3, 4], "layers": 2, "forget_bias": 2.5},
        {"frame_size": 2, "cell": "lstm", "units": 5},
    ]
    model = AudioModel(tiers, CATEGORICAL, MULAW)
    for tier, forget in zip(model.tiers, [2.5, 1.0], strict=True):
        for cell in tier.stack.cells:
            U = cell.units
            bias = ops.convert_to_numpy(cell.bias)
            np.testing.assert_array_equal(bias[U : 2 * U], np.full(U, forget))
            assert not bias[:U].any()
            assert not bias[2 * U :].any()


@pytest.mark.parametrize("frames", [1, 3])
def test_the_target_is_the_next_frame_or_the_one_just_read(frames):
    """Pitfall 3, both ways: on a ramp, what each prediction is compared with."""
    ramp = np.arange(100, dtype="float32")[None]
    for reconstruct, first in ((False, 50), (True, 44)):
        tiers = [{"frame_size": 6, "window": 9, "units": 4}]
        model = AudioModel(tiers, {"kind": "regression", "reconstruct": reconstruct}, STANDARDIZE)
        x = ramp[:, 50 - model.context - 1 :][:, : model.context + 6 * frames]
        y = ramp[:, 50 : 50 + 6 * frames]
        target = np.asarray(model.target(x, y))
        np.testing.assert_array_equal(target, ramp[:, first : first + 6 * frames])
        seen = np.asarray(model._frames(x, model.tiers[0]))
        assert (seen[0, 0, -6:] == target[0, :6]).all() == reconstruct


def test_a_state_that_is_the_frame_must_be_as_wide():
    with pytest.raises(ValueError, match="12 wide and a frame 6 samples long"):
        AudioModel(
            [{"frame_size": 6, "units": [6, 6]}],
            {"kind": "regression", "end_layer": False},
            STANDARDIZE,
        )
    with pytest.raises(ValueError, match="leave out one of them"):
        AudioModel(
            [{"frame_size": 6}],
            {"kind": "regression", "hidden_units": 3, "end_layer": False},
            STANDARDIZE,
        )


@pytest.mark.parametrize(
    ("skips", "width"), [(True, 3 + 4 + 5), (False, 5), ("memories", 3 + 4 + 5)]
)
def test_skips_show_the_states_of_all_layers(skips, width):
    tiers = [{"frame_size": 4, "units": [3, 4, 5], "layers": 3, "skips": skips}]
    model = AudioModel(tiers, {"kind": "regression"}, STANDARDIZE)
    assert model.head.output_layer.kernel.shape == (width, 4)


def test_tiers_read_codes_as_numbers_around_zero():
    model = AudioModel(*MODELS["gru"])
    codes = np.arange(16, dtype="int32")
    expected = codec_from_json(MULAW).companded(codes)
    np.testing.assert_allclose(model.tier_input(codes), expected, atol=1e-6)


def test_peak_serves_a_head_without_bits():
    model = AudioModel([{"frame_size": 4, "units": 3}], {"kind": "regression"}, PEAK)
    assert model.cells is None
    assert predict(model, inputs(model, 2, 8))[0].shape == (2, 8)
    assert AudioModel(*MODELS["predictive, two tiers"]).cells == codec_from_json(
        {"name": "mulaw", "peak": 0.9, "levels": 256}
    )
