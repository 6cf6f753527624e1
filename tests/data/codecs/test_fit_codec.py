"""Codecs fitted to the train part, and to nothing else."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_rawaudio.data.codecs import (
    CODECS,
    Linear,
    MuLaw,
    Peak,
    fit_codec,
)
from keras_rawaudio.errors import UserError

from .conftest import noise

samples = st.floats(-1, 1, width=32)


def in_chunks(**parts):
    """What `Corpus.parts()` gives, each part in three chunks, one of them empty."""

    def starter(values):
        values = np.asarray(values, np.float32)
        return lambda: iter([values[:2], values[:0], values[2:]])

    return {part: starter(values) for part, values in parts.items()}


def test_scale_and_mean_are_put_back():
    """Pitfall 18: decoding undoes the codec's own scale and offset."""
    parts = in_chunks(train=0.5 + noise(scale=0.02))
    for name in CODECS:
        codec = fit_codec(name, parts)
        audio = np.concatenate(list(parts["train"]()))
        np.testing.assert_allclose(codec.decode(codec.encode(audio)), audio, atol=0.02)


def test_only_the_train_part_is_fitted():
    """Pitfall 1: louder validation and test parts change nothing in a codec."""
    train = noise(scale=0.05)
    alone = in_chunks(train=train)
    with_louder = in_chunks(train=train, validation=10 * train + 0.1, test=-5 * train)
    for name in CODECS:
        assert fit_codec(name, alone) == fit_codec(name, with_louder)


def test_one_codec_serves_files_of_unequal_level():
    """Pitfall 6: a quiet file next to a loud one keeps its level and its offset."""
    loud, quiet = noise(scale=0.2), 0.05 + noise(scale=0.002, seed=1)
    codec = fit_codec("linear", {"train": lambda: iter([loud, quiet])}, levels=65536)
    assert codec.peak == pytest.approx(np.abs(loud).max())
    np.testing.assert_allclose(codec.decode(codec.encode(quiet)), quiet, atol=1e-4)


def test_fitted_numbers_are_the_train_parts():
    train = noise()
    parts = in_chunks(train=train)
    assert fit_codec("mulaw", parts, levels=64) == MuLaw(float(np.abs(train).max()), 64)
    assert fit_codec("linear", parts) == Linear(float(np.abs(train).max()))
    assert fit_codec("peak", parts) == Peak(float(np.abs(train).max()))
    standardize = fit_codec("standardize", parts)
    assert standardize.mean == pytest.approx(train.mean(dtype=np.float64))
    assert standardize.std == pytest.approx(train.std(dtype=np.float64))


@given(*[st.lists(samples, min_size=2, max_size=8, unique=True) for _ in range(2)])
def test_minmax_is_the_range_of_the_train_part(train, test):
    """Pitfall 25: the range of another part, wider or narrower, never changes a train value."""
    assume(np.ptp(np.float32(train)) > 1e-30)
    codec = fit_codec("minmax", in_chunks(train=train, validation=test, test=test))
    values = codec.encode(np.float32(train))
    assert (codec.low, codec.high) == (np.float32(train).min(), np.float32(train).max())
    np.testing.assert_allclose([values.min(), values.max()], [-1, 1], atol=1e-5)


def test_a_range_that_float32_cannot_scale_is_refused():
    with pytest.raises(UserError, match="must be under high"):
        fit_codec("minmax", in_chunks(train=[0.0, 1e-45], validation=[0.0], test=[0.0]))


def test_a_louder_test_part_goes_beyond_minmax_and_comes_back():
    """Pitfall 25: train in [-0.1, 0.1], test in [-0.8, 0.8]: nothing is clipped or rescaled."""
    train, test = np.float32([-0.1, 0.0, 0.1]), np.float32([-0.8, 0.4, 0.8])
    codec = fit_codec("minmax", in_chunks(train=train, test=test))
    np.testing.assert_allclose(codec.encode(train), [-1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(codec.encode(test), [-8, 4, 8], atol=1e-5)
    np.testing.assert_allclose(codec.decode(codec.encode(test)), test, atol=1e-6)


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "train part is empty"),
        ([0, 0, 0, 0], "train part is silent"),
        ([0.3, 0.3, 0.3, 0.3], "train part is constant"),
        ([0.1, 0.2, np.nan, 0.3], "not finite"),
        ([0.1, 0.2, np.inf, 0.3], "not finite"),
    ],
)
def test_hopeless_train_parts_are_refused(name, train, message):
    with pytest.raises(UserError, match=message):
        fit_codec(name, in_chunks(train=train, validation=[0.5], test=[0.5]))


def test_unknown_names_and_options_are_refused_with_a_hint():
    parts = in_chunks(train=noise())
    with pytest.raises(UserError, match="did you mean 'mulaw'"):
        fit_codec("mu-law", parts)
    with pytest.raises(UserError, match="no setting 'level'; did you mean 'levels'"):
        fit_codec("mulaw", parts, level=16)
    with pytest.raises(UserError, match="no setting 'levels'; choose from name"):
        fit_codec("standardize", parts, levels=16)
