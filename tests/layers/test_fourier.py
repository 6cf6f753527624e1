"""The real Fourier transform in the graph, phases, and the distance between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_rawaudio.layers.fourier import (
    Fourier,
    amplitude,
    direction,
    phase_distance,
    turn_between,
    turned,
)
from keras_rawaudio.layers.overlap import cut, overlap_add, sum_to_one

ANGLES = st.floats(-20, 20)


@pytest.mark.parametrize("size", [2, 8, 30, 256])
def test_bins_are_numpys_scaled_to_keep_sums_of_squares(size):
    frames = np.random.default_rng(0).normal(size=(3, 5, size)).astype("float32")
    fourier = Fourier(size)
    re, im = (ops.convert_to_numpy(part) for part in fourier.forward(frames))
    scale = np.full(fourier.bins, np.sqrt(2 / size))
    scale[[0, -1]] = np.sqrt(1 / size)
    np.testing.assert_allclose(re + 1j * im, np.fft.rfft(frames) * scale, atol=1e-5)
    np.testing.assert_allclose(
        (re**2 + im**2).sum(axis=-1), np.square(frames).sum(axis=-1), rtol=1e-5
    )
    np.testing.assert_allclose(fourier.backward(re, im), frames, atol=1e-5)


@pytest.mark.parametrize(("span", "hop"), [(16, 8), (64, 16), (12, 2)])
def test_windowed_spectra_give_the_signal_back_exactly(span, hop):
    """The window's square root before and after: what is between has full weight once."""
    signal = np.random.default_rng(1).normal(size=(2, 20 * hop + span)).astype("float32")
    window, fourier = np.sqrt(sum_to_one(span, hop)), Fourier(span)
    frames = fourier.backward(*fourier.forward(cut(signal, span, hop) * window)) * window
    out, _ = overlap_add(frames, np.zeros((2, span - hop), "float32"))
    whole = slice(span - hop, 21 * hop)
    np.testing.assert_allclose(out[:, whole], signal[:, whole], atol=1e-5)


@pytest.mark.parametrize("size", [0, 7])
def test_odd_frames_are_refused(size):
    with pytest.raises(ValueError, match="even size"):
        Fourier(size)


def distance(a, b):
    return float(phase_distance(ops.array(a, "float32"), ops.array(b, "float32")))


@given(ANGLES, ANGLES)
def test_phase_distance_is_between_0_and_1_and_the_same_both_ways(a, b):
    d = distance(a, b)
    assert 0 <= d <= 1
    assert d == distance(b, a)
    assert d == pytest.approx(abs(np.sin((a - b) / 2)), abs=1e-5)


@given(ANGLES, ANGLES, ANGLES)
def test_phase_distance_keeps_the_triangle_inequality(a, b, c):
    assert distance(a, c) <= distance(a, b) + distance(b, c) + 1e-5


def test_the_square_of_the_phase_distance_is_no_metric():
    direct = distance(0, np.pi / 2) ** 2
    assert direct > 1.5 * (distance(0, np.pi / 4) ** 2 + distance(np.pi / 4, np.pi / 2) ** 2)


@given(ANGLES, st.integers(-3, 3))
def test_phase_distance_is_0_for_equal_phases_whole_turns_apart(a, turns):
    assert distance(a, a + 2 * np.pi * turns) == pytest.approx(0, abs=1e-5)


@given(st.floats(0.01, 2 * np.pi - 0.01), ANGLES)
def test_phase_distance_is_0_for_nothing_else(difference, a):
    assert distance(a, a + difference) > 1e-5


@given(ANGLES, ANGLES, st.integers(-3, 3))
def test_phase_distance_counts_no_whole_turns(a, b, turns):
    assert distance(a + 2 * np.pi * turns, b) == pytest.approx(distance(a, b), abs=1e-5)


@given(ANGLES, st.floats(-3, 3))
def test_phase_distance_is_greatest_for_opposite_phases(a, off):
    opposite = distance(a, a + np.pi)
    assert opposite == pytest.approx(1, abs=1e-9)
    assert distance(a, a + np.pi + off) <= opposite + 1e-9


def test_the_square_of_the_phase_distance_is_smooth_where_angles_jump():
    """Its slope is sin(a - b) / 2, through half a turn and through whole ones, too."""
    import tensorflow as tf

    difference = tf.constant(np.linspace(-8, 8, 101).astype("float32"))
    with tf.GradientTape() as tape:
        tape.watch(difference)
        total = tf.reduce_sum(phase_distance(difference, tf.zeros(101)) ** 2)
    np.testing.assert_allclose(tape.gradient(total, difference), np.sin(difference) / 2, atol=1e-6)


@given(ANGLES, ANGLES)
def test_relative_phase_is_the_difference_and_adds_up_again(a, b):
    points = [(np.float32(np.cos(x)), np.float32(np.sin(x))) for x in (a, b)]
    turn = turn_between(*points)
    np.testing.assert_allclose(turn, (np.cos(b - a), np.sin(b - a)), atol=1e-5)
    np.testing.assert_allclose(turned(turn, points[0]), points[1], atol=1e-5)


def test_direction_and_amplitude_are_the_number_again():
    rng = np.random.default_rng(0)
    re, im = rng.normal(size=(2, 50)).astype("float32")
    cos, sin = direction(re, im)
    size = amplitude(re, im)
    np.testing.assert_allclose(size * cos, re, atol=1e-5)
    np.testing.assert_allclose(size * sin, im, atol=1e-5)
    # Silence has a phase, too: one number of every model would be no number otherwise.
    assert [float(v) for v in direction(ops.zeros(()), ops.zeros(()))] == [1.0, 0.0]
