import json

import librosa
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from keras_rawaudio.data.codecs import (
    CODECS,
    Linear,
    MinMax,
    MuLaw,
    Peak,
    Quantizer,
    Standardize,
    codec_from_json,
    fit_codec,
)
from keras_rawaudio.errors import UserError

EXAMPLES = [
    MuLaw(peak=0.41),
    MuLaw(peak=1.0, levels=1024),
    Linear(peak=0.3),
    Linear(peak=1.0, levels=65536),
    Standardize(mean=0.01, std=0.2),
    MinMax(low=-0.3, high=0.7),
    Peak(peak=0.41),
]
QUANTIZERS = [codec for codec in EXAMPLES if isinstance(codec, Quantizer)]

samples = st.floats(-1, 1, width=32)
peaks = st.floats(1 / 32768, 1)
levels = st.integers(2, 65536)
quantizers = st.builds(MuLaw, peaks, levels) | st.builds(Linear, peaks, levels)


def in_chunks(**parts):
    """What `Corpus.parts()` gives, each part in three chunks, one of them empty."""

    def starter(values):
        values = np.asarray(values, np.float32)
        return lambda: iter([values[:2], values[:0], values[2:]])

    return {part: starter(values) for part, values in parts.items()}


def noise(size=500, scale=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, scale, size).clip(-1, 1).astype(np.float32)


# The formulas


@pytest.mark.slow
def test_mulaw_is_librosas():
    audio = np.linspace(-1, 1, 4001)
    codec = MuLaw(peak=1.0)
    theirs = librosa.mu_compress(audio, mu=255, quantize=False)
    np.testing.assert_allclose(codec.compress(audio), theirs, atol=1e-12)
    np.testing.assert_allclose(
        codec.expand(theirs), librosa.mu_expand(theirs, mu=255, quantize=False), atol=1e-12
    )
    np.testing.assert_allclose(
        codec.decode(np.arange(256)),
        librosa.mu_expand(np.linspace(-1, 1, 256), mu=255, quantize=False),
        atol=1e-6,
    )


def test_mulaw_is_the_benchmarks_formula():
    audio = noise(5000, 0.2)
    peak = float(np.abs(audio).max())
    x = np.clip(audio.astype(np.float64) / peak, -1, 1)
    scaled = (np.sign(x) * np.log(1 + 255 * np.abs(x)) / np.log(256) + 1) / 2 * 255 + 0.5
    sure = np.abs(scaled - np.round(scaled)) > 1e-4  # float32 may fall on either side of an edge
    codes = MuLaw(peak).encode(audio)
    assert codes.dtype == np.int32
    np.testing.assert_array_equal(codes[sure], scaled.astype(int)[sure])
    assert sure.mean() > 0.99


@given(quantizers)
def test_codes_survive_the_way_to_audio_and_back(codec):
    codes = np.arange(codec.levels)
    np.testing.assert_array_equal(codec.encode(codec.decode(codes)), codes)


@given(quantizers, st.lists(samples, min_size=1, max_size=20))
def test_quantised_audio_stays_in_its_cell(codec, audio):
    """Decoding lands in the cell that held the sample: within the codec's own resolution."""
    audio = np.float32(audio)
    codes = codec.encode(audio)
    assert codes.min() >= 0
    assert codes.max() < codec.levels
    clipped = np.clip(audio / codec.peak, -1, 1)
    edges = codec.cell_edges()
    slack = 1e-6 + 1e-5 * np.abs(clipped)
    assert np.all(edges[codes] <= clipped + slack)
    assert np.all(clipped - slack <= edges[codes + 1])


@pytest.mark.parametrize("codec", QUANTIZERS)
def test_cell_edges_agree_with_encode(codec):
    edges = codec.cell_edges()
    assert edges.shape == (codec.levels + 1,)
    assert edges.dtype == np.float64
    assert edges[0] == -np.inf
    assert edges[-1] == np.inf
    assert np.all(np.diff(edges) > 0)
    inner = edges[1:-1]
    centres = codec.decode(np.arange(codec.levels)) / codec.peak
    below = inner + 0.05 * (centres[:-1] - inner)
    above = inner + 0.05 * (centres[1:] - inner)
    np.testing.assert_array_equal(codec.encode(below * codec.peak), np.arange(codec.levels - 1))
    np.testing.assert_array_equal(codec.encode(above * codec.peak), np.arange(1, codec.levels))


@pytest.mark.parametrize("codec", QUANTIZERS)
def test_companded_is_the_even_scale(codec):
    codes = np.array([0, codec.levels - 1])
    np.testing.assert_allclose(codec.companded(codes), [-1, 1], atol=1e-6)
    np.testing.assert_allclose(codec.decode(codes), [-codec.peak, codec.peak], rtol=1e-6)


@given(st.floats(-1, 1), st.floats(1e-3, 1), st.lists(samples, min_size=1, max_size=20))
def test_continuous_codecs_invert(centre, scale, audio):
    audio = np.float32(audio)
    for codec in (
        Standardize(centre, scale),
        MinMax(centre - scale, centre + scale),
        Peak(max(scale, float(np.abs(audio).max()))),
    ):
        values = codec.encode(audio)
        assert values.dtype == codec.decode(values).dtype == np.float32
        np.testing.assert_allclose(codec.decode(values), audio, atol=1e-6)


@pytest.mark.parametrize("codec", EXAMPLES)
def test_keras_ops_give_what_numpy_gives(codec):
    ops = pytest.importorskip("keras").ops
    audio = noise().reshape(5, 100)
    values = codec.encode(audio)
    graph_values = ops.convert_to_numpy(codec.encode(ops.convert_to_tensor(audio), xp=ops))
    assert graph_values.dtype == np.float32
    # The last bit of a logarithm differs between libraries, so a sample on an edge may too.
    step = 1 if codec.discrete else 1e-5
    assert np.abs(graph_values - values).max() <= step
    assert np.mean(np.abs(graph_values - values) > 1e-5) < 0.01
    graph_audio = codec.decode(ops.convert_to_tensor(values), xp=ops)
    np.testing.assert_allclose(ops.convert_to_numpy(graph_audio), codec.decode(values), atol=1e-6)


def test_loud_samples_clip_and_never_wrap():
    """Pitfall 18: beyond the peak codes stay the outermost ones; no integer overflows."""
    loud = np.float32([-1e9, -1.0, -0.5, 0.5, 1.0, 1e9])
    for kind in (MuLaw, Linear):
        for count in (256, 65536):
            codes = kind(peak=0.5, levels=count).encode(loud)
            np.testing.assert_array_equal(codes, [0, 0, 0] + [count - 1] * 3)
    np.testing.assert_array_equal(Peak(peak=0.5).encode(loud), [-1, -1, -1, 1, 1, 1])
    assert Peak(peak=0.5).encode(np.float32([0.0])).tolist() == [0.0]


def test_scale_and_mean_are_put_back():
    """Pitfall 18: decoding undoes the codec's own scale and offset."""
    parts = in_chunks(train=0.5 + noise(scale=0.02))
    for name in CODECS:
        codec = fit_codec(name, parts)
        audio = np.concatenate(list(parts["train"]()))
        np.testing.assert_allclose(codec.decode(codec.encode(audio)), audio, atol=0.02)


# Fitting


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


@pytest.mark.parametrize("wrong", [0, 1, 65537, 2.5, True, "256"])
def test_impossible_numbers_of_levels_are_refused(wrong):
    with pytest.raises(UserError, match="levels"):
        MuLaw(peak=1.0, levels=wrong)


@pytest.mark.parametrize("wrong", [0.0, -1.0, np.nan, np.inf, None])
def test_impossible_scales_are_refused(wrong):
    for build in (
        lambda: MuLaw(wrong),
        lambda: Standardize(0.0, wrong),
        lambda: MinMax(low=0.0, high=wrong),
        lambda: Peak(wrong),
    ):
        with pytest.raises(UserError):
            build()


# JSON


@pytest.mark.parametrize("codec", EXAMPLES)
def test_json_round_trip(codec):
    again = codec_from_json(json.loads(json.dumps(codec.to_json())))
    assert again == codec
    assert type(again) is type(codec)
    assert codec.discrete == (codec.levels is not None)


@given(peaks, levels)
def test_json_keeps_every_digit(peak, count):
    codec = MuLaw(peak, count)
    assert codec_from_json(json.loads(json.dumps(codec.to_json()))) == codec


@pytest.mark.parametrize(
    "description",
    [
        {},
        {"name": "nothing"},
        {"name": "mulaw"},
        {"name": "mulaw", "peak": 1.0, "levels": 256, "mu": 255},
        {"name": "mulaw", "peak": 0.0, "levels": 256},
    ],
)
def test_wrong_descriptions_are_refused(description):
    with pytest.raises(UserError):
        codec_from_json(description)
    with pytest.raises(UserError):
        MuLaw.from_json(description)
