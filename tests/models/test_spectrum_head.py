"""The spectrum head: what it makes of true spectra, what it is scored by, what it refuses."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.layers.fourier import amplitude, direction, log_amplitude
from keras_rawaudio.layers.overlap import cut
from keras_rawaudio.models.heads.regression import RegressionHead
from keras_rawaudio.models.heads.spectrum import SpectrumHead

H, W = 4, 16
SIGNAL = np.random.default_rng(0).normal(size=(2, 20 * H + W - H)).astype("float32")


def built(form, **options):
    head = SpectrumHead(H, form, span=W, **options)
    head.build((None, None), (None, None, 6))
    return head


def spectra(head, signal=SIGNAL):
    return head.fourier.forward(cut(signal, W, H) * head.window_in_time)


def truth(head):
    """The prediction of a head that knows what comes, before it is made a signal."""
    re, im = spectra(head)
    if head.form == "parts":
        return ops.concatenate([re, im], axis=-1)
    return ops.concatenate([log_amplitude(re, im), *direction(re, im)], axis=-1)


@pytest.mark.parametrize("form", ["parts", "polar"])
def test_true_spectra_are_the_signal_and_cost_nothing(form):
    head = built(form)
    head.output_layer = lambda conditioning: truth(head)
    head._finish = lambda raw, recent: raw
    pending = np.zeros((2, W - H), "float32")
    prediction, _ = head(SIGNAL[:, : 20 * H], ops.zeros((2, 20, 6)), [pending])
    whole = slice(W - H, 20 * H)
    np.testing.assert_allclose(prediction["signal"][:, whole], SIGNAL[:, whole], atol=2e-3)
    target = SIGNAL[:, : 20 * H]
    np.testing.assert_allclose(head.loss(prediction, target), 0, atol=1e-5)
    score = ops.convert_to_numpy(head.score(prediction, target))
    np.testing.assert_allclose(score[:, whole], 0, atol=1e-5)


def test_the_cost_of_parts_is_that_of_windowed_samples():
    head = built("parts")
    prediction = {"bins": np.zeros((2, 20, 2 * head.fourier.bins), "float32")}
    found = ops.convert_to_numpy(head.loss(prediction, SIGNAL[:, : 20 * H]))
    whole = 20 - W // H + 1
    frames = ops.convert_to_numpy(cut(SIGNAL, W, H))[:, :whole] * head.window_in_time
    expected = np.square(frames).mean(axis=-1) * 20 / whole
    np.testing.assert_allclose(found[:, ::H][:, :whole], expected, rtol=1e-4)
    # Frames that reach beyond the target do not count, and the mean is that of the others.
    assert not found[:, whole * H :].any()
    assert found.mean() == pytest.approx(np.square(frames).mean(), rel=1e-4)


def test_opposite_phases_cost_one_and_amplitudes_their_logarithms_square():
    head = built("polar")
    re, im = spectra(head)
    cos, sin = direction(re, im)
    for level, turn, expected in [(0.0, -1.0, 1.0), (0.5, 1.0, 0.25)]:
        bins = [log_amplitude(re, im) + level, turn * cos, turn * sin]
        prediction = {"bins": ops.concatenate(bins, axis=-1)}
        loss = ops.convert_to_numpy(head.loss(prediction, SIGNAL[:, : 20 * H]))
        assert loss.mean() == pytest.approx(expected, rel=0.01)


def test_a_relative_phase_turns_from_what_was_read():
    """An untrained head hears no turn: a tone that fits the span goes on as it was."""
    head = built("polar", relative=True)
    head.output_layer.kernel.assign(ops.zeros_like(head.output_layer.kernel))
    tone = np.sin(2 * np.pi * np.arange(W + 10 * H) / 8 + 0.7).astype("float32")[None]
    prediction, _ = head(tone[:, :-1], ops.zeros((1, 10, 6)), [np.zeros((1, W - H), "float32")])
    re, im = spectra(head, tone)
    bins = ops.convert_to_numpy(prediction["bins"])
    _, cos, sin = np.split(bins, 3, axis=-1)
    evaluated = [ops.convert_to_numpy(part)[:, :10] for part in direction(re, im)]
    strong = ops.convert_to_numpy(amplitude(re, im))[0, 0] > 0.5
    np.testing.assert_allclose(cos[..., strong], evaluated[0][..., strong], atol=1e-4)
    np.testing.assert_allclose(sin[..., strong], evaluated[1][..., strong], atol=1e-4)


def test_amplitudes_alone_become_a_signal_outside_of_training():
    head = built("amplitude")
    state = [np.zeros((2, W - H), "float32")]
    evaluated, _ = head(SIGNAL[:, : 20 * H], ops.ones((2, 20, 6)), state)
    learned, _ = head(SIGNAL[:, : 20 * H], ops.ones((2, 20, 6)), state, training=True)
    np.testing.assert_array_equal(evaluated["bins"], learned["bins"])
    assert np.std(evaluated["signal"]) > 0.1
    target = SIGNAL[:, : 20 * H]
    np.testing.assert_array_equal(head.loss(evaluated, target), head.loss(learned, target))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"form": "cartesian"}, "no form"),
        ({"form": "parts", "relative": True}, "needs the form 'polar'"),
        ({"momentum": 1.0}, "momentum"),
        ({"iterations": 0}, "iterations"),
        ({"span": 10}, "whole hops"),
    ],
)
def test_impossible_heads_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        SpectrumHead(H, **options)


def test_overlapping_predictions_are_averaged():
    """The mean of what was made of a sample, by the window's weights; the past is part of it."""
    head = RegressionHead(H, span=12, window="flat")
    head.build((None, None), (None, None, 3))
    conditioning = np.random.default_rng(3).normal(size=(2, 6, 3)).astype("float32")
    frames = ops.convert_to_numpy(head.output_layer(conditioning))
    signal, (pending,) = head(None, conditioning, [ops.zeros((2, 8))])
    for n in range(8, 24):
        made = [frames[:, t, n - H * t] for t in range(n // H - 2, n // H + 1)]
        np.testing.assert_allclose(signal[:, n], np.mean(made, axis=0), atol=1e-6)
    assert pending.shape == (2, 8)


@pytest.mark.parametrize("options", [{"reconstruct": True}, {"end_layer": False}])
def test_predictions_overlap_only_where_something_is_predicted(options):
    with pytest.raises(ValueError, match="a span beyond the frame"):
        RegressionHead(H, span=12, **options)


def test_config_round_trip():
    for head in (
        SpectrumHead(H, "polar", 16, 3, True, 5, 0.5),
        RegressionHead(H, span=16, window="flat", cost={"huber": 1.0, "spectral": 0.5}),
    ):
        again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
        assert again.get_config() == head.get_config()
