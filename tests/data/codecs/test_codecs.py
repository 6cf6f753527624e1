"""Codecs: their formulas, their limits and their JSON."""

import dataclasses
import json

import librosa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_rawaudio.data.codecs import (
    Linear,
    MinMax,
    MuLaw,
    Peak,
    Quantizer,
    Standardize,
    codec_from_json,
)
from keras_rawaudio.data.codecs.indices import Indices
from keras_rawaudio.errors import UserError

from .conftest import noise

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


@pytest.mark.parametrize("codec", [*EXAMPLES, Indices(16)])
def test_codecs_cannot_change(codec):
    """They may be keys, and are compared by their values."""
    assert hash(codec) == hash(type(codec).from_json(codec.to_json()))
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(codec, dataclasses.fields(codec)[0].name, 1)


@pytest.mark.parametrize(
    ("codec", "silence"),
    [
        (MuLaw(peak=0.41), 128),
        (Linear(peak=0.3, levels=16), 8),
        (Standardize(mean=0.01, std=0.2), -0.05),
        (MinMax(low=-0.3, high=0.7), -0.4),
        (Peak(peak=0.41), 0),
        (Indices(16), 0),
    ],
)
def test_silence(codec, silence):
    assert codec.silence == pytest.approx(silence)


def test_indices_are_16_bit_samples():
    codec, codes = Indices(32768), np.arange(32768)
    np.testing.assert_array_equal(codec.encode(np.float32(codes / 32768)), codes)
    np.testing.assert_array_equal(codec.decode(codes), np.float32(codes / 32768))


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
