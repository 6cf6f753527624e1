"""Overlapping frames: windows that sum to one, and the signal back from its frames."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from keras_rawaudio.layers.overlap import SHAPES, cut, overlap_add, sum_to_one


@given(st.integers(1, 40), st.integers(1, 9), st.sampled_from(SHAPES))
def test_copies_of_a_window_sum_to_one(hop, parts, shape):
    window = sum_to_one(hop * parts, hop, shape)
    assert (window > 0).all()
    np.testing.assert_allclose(window.reshape(parts, hop).sum(axis=0), 1, atol=1e-6)
    np.testing.assert_allclose(window, window[::-1], atol=1e-6)


def test_hann_at_half_its_span_is_the_textbooks():
    place = (np.arange(16) + 0.5) / 16
    np.testing.assert_allclose(sum_to_one(16, 8), 0.5 - 0.5 * np.cos(2 * np.pi * place), atol=1e-6)


@pytest.mark.parametrize(
    ("span", "hop", "shape", "words"),
    [(10, 4, "hann", "whole hops"), (2, 4, "hann", "whole hops"), (8, 4, "hahn", "no window")],
)
def test_impossible_windows_are_refused(span, hop, shape, words):
    with pytest.raises(ValueError, match=words):
        sum_to_one(span, hop, shape)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("span", "hop"), [(12, 4), (8, 8), (8, 2)])
def test_frames_cut_and_added_up_are_the_signal(span, hop, shape):
    signal = np.random.default_rng(0).normal(size=(2, 10 * hop + span)).astype("float32")
    frames = cut(signal, span, hop)
    for t in (0, 3, frames.shape[1] - 1):
        np.testing.assert_array_equal(frames[:, t], signal[:, t * hop : t * hop + span])
    pending = np.zeros((2, span - hop), "float32")
    out, left = overlap_add(frames * sum_to_one(span, hop, shape), pending)
    assert out.shape == (2, 11 * hop)
    assert left.shape == pending.shape
    # From where all frames that reach a sample are there.
    whole = slice(span - hop, 11 * hop)
    np.testing.assert_allclose(out[:, whole], signal[:, whole], atol=1e-6)


def test_frame_by_frame_is_all_at_once():
    frames = np.random.default_rng(1).normal(size=(3, 7, 12)).astype("float32")
    pending = np.random.default_rng(2).normal(size=(3, 8)).astype("float32")
    whole, left = overlap_add(frames, pending)
    parts = []
    for t in range(7):
        part, pending = overlap_add(frames[:, t : t + 1], pending)
        parts.append(ops.convert_to_numpy(part))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-6)
    np.testing.assert_allclose(pending, left, atol=1e-6)
