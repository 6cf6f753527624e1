"""The model as a function: shapes, causality, noise, what it is built from."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.data.codecs import codec_from_json
from keras_rawaudio.models import AudioModel

from ..small_models import (
    CATEGORICAL,
    MODELS,
    MULAW,
    PEAK,
    STANDARDIZE,
    far_from_fresh,
    inputs,
    make,
    predict,
)

NOISY = {
    "half-normal": {"cell": "lstm", "activation_noise": "half-normal"},
    "binary": {"cell": "gru", "activation_noise": "binary"},
    "gaussian": {"cell": "lstm", "preactivation_noise": 0.3},
    "gates": {"cell": "deep-gate-lstm", "preactivation_noise": 0.3},
    "input": {"cell": "gru", "input_noise": 0.3},
}


@pytest.fixture(params=list(MODELS), scope="module")
def model(request):
    return make(request.param)


def test_shapes_and_dtypes(model):
    x = inputs(model, 3, 2 * model.frame)
    prediction, state = predict(model, x)
    widths = {"categorical": (model.codec.levels,), "predictive": (3 + 3 * 2,), "mixture": (3 * 3,)}
    known = widths | {"regression": (), "spectrum": ()}
    width = known.get(model.head.kind, prediction.shape[2:])  # a head of your own: any
    assert prediction.shape == (3, 2 * model.frame, *width)
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
        # from all of it but its last sample, as that is what its code says.
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
    model = make("gru")
    codes = np.arange(16, dtype="int32")
    expected = codec_from_json(MULAW).companded(codes)
    np.testing.assert_allclose(model.tier_input(codes), expected, atol=1e-6)


def test_peak_serves_a_head_without_bits():
    model = AudioModel([{"frame_size": 4, "units": 3}], {"kind": "regression"}, PEAK)
    assert model.cells is None
    assert predict(model, inputs(model, 2, 8))[0].shape == (2, 8)
    assert make("predictive, two tiers").cells == codec_from_json(
        {"name": "mulaw", "peak": 0.9, "levels": 256}
    )
