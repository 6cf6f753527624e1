"""musicnn, rebuilt: the network of its checkpoint, on music whose kind is known."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.musicnn import FRAMES, STRIDE, MusicNN, log_mel

RATE = 16_000
RNG = np.random.default_rng(0)
SHAPES = {
    "conv2d": (7, 38, 1, 204),
    "conv2d_1": (7, 67, 1, 204),
    "conv2d_2": (128, 1, 1, 51),
    "conv2d_3": (64, 1, 1, 51),
    "conv2d_4": (32, 1, 1, 51),
    "conv2d_5": (7, 561, 1, 64),
    "conv2d_6": (7, 64, 1, 64),
    "conv2d_7": (7, 64, 1, 64),
    "dense": (1506, 200),
    "dense_1": (200, 50),
}
NORMS = (1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200)


@pytest.fixture(scope="module")
def network():
    """The architecture with random weights, scales of either sign."""
    weights = {}
    for name, shape in SHAPES.items():
        deviation = np.prod(shape[:-1]) ** -0.5
        weights[f"{name}/kernel"] = RNG.normal(size=shape) * deviation
        weights[f"{name}/bias"] = RNG.normal(size=shape[-1]) / 4
    for index, size in enumerate(NORMS):
        name = f"batch_normalization_{index}" if index else "batch_normalization"
        weights[f"{name}/moving_mean"] = RNG.normal(size=size) / 4
        weights[f"{name}/moving_variance"] = RNG.uniform(0.5, 2, size)
        weights[f"{name}/gamma"] = RNG.uniform(0.5, 1, size) * RNG.choice([-1, 1], size)
        weights[f"{name}/beta"] = RNG.normal(size=size) / 4
    return MusicNN({name: value.astype(np.float32) for name, value in weights.items()})


def by_tensorflow(weights, windows):
    """The published graph, one operation after the other: `(b, 187, 96)` to `(b, 200)`."""
    import tensorflow as tf

    def norm(x, index):
        name = f"batch_normalization_{index}" if index else "batch_normalization"
        parts = ("moving_mean", "moving_variance", "beta", "gamma")
        return tf.nn.batch_normalization(x, *(weights[f"{name}/{p}"] for p in parts), 1e-3)

    def convolution(x, index, padding):
        name = f"conv2d_{index}" if index else "conv2d"
        y = tf.nn.conv2d(x, weights[f"{name}/kernel"], 1, padding) + weights[f"{name}/bias"]
        return norm(tf.nn.relu(y), index + 1)

    def padded(x):
        return tf.pad(x, [[0, 0], [3, 3], [0, 0], [0, 0]])

    x = norm(windows[..., None], 0)
    inputs = [(padded(x), "VALID")] * 2 + [(x, "SAME")] * 3
    maps = [convolution(*pair[:1], i, pair[1]) for i, pair in enumerate(inputs)]
    front = tf.concat([tf.reduce_max(y, 2) for y in maps], 2)
    first = tf.squeeze(convolution(padded(front[..., None]), 5, "VALID"), 2)
    second = tf.squeeze(convolution(padded(first[..., None]), 6, "VALID"), 2) + first
    third = tf.squeeze(convolution(padded(second[..., None]), 7, "VALID"), 2) + second
    every = tf.concat([front, first, second, third], 2)
    pooled = tf.stack([tf.reduce_max(every, 1), tf.reduce_mean(every, 1)], 2)
    pooled = norm(tf.reshape(pooled, [len(windows), -1]), 9)
    dense = pooled @ weights["dense/kernel"] + weights["dense/bias"]
    return norm(tf.nn.relu(dense), 10).numpy()


def test_features_are_those_of_the_published_graph(network):
    audio = (RNG.normal(size=6 * RATE) / 10).astype(np.float32)
    found = network.features(audio, RATE)
    mel = log_mel(audio, RATE)
    windows = np.stack([mel[s : s + FRAMES] for s in range(0, len(mel) - FRAMES + 1, STRIDE)])
    assert found.values.shape == (7, 200)
    np.testing.assert_allclose(found.values, by_tensorflow(network.weights, windows), atol=1e-4)


def test_a_row_depends_on_its_three_seconds_alone(network):
    audio = (RNG.normal(size=8 * RATE) / 10).astype(np.float32)
    changed = audio.copy()
    changed[5 * RATE :] = 0
    whole, other = (network.features(a, RATE) for a in (audio, changed))
    before = whole.start + whole.span < 5
    assert 0 < before.sum() < len(before)
    np.testing.assert_allclose(whole.values[before], other.values[before], atol=1e-5)
    assert np.abs(whole.values[~before] - other.values[~before]).max(axis=1).min() > 1e-3


def test_rates_channels_and_lengths(network):
    t = np.arange(4 * 44_100) / 44_100
    high = np.sin(2 * np.pi * 440 * t).astype(np.float32) / 10
    stereo = network.features(np.stack([high, high], axis=1), 44_100)
    plain = network.features(np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE) / 10, RATE)
    assert stereo.values.shape == plain.values.shape
    np.testing.assert_allclose(stereo.values, plain.values, atol=0.05)
    assert network.features(high[: 2 * 44_100], 44_100).values.shape == (0, 200)


def test_one_line_says_what_to_install(monkeypatch):
    MusicNN.load.__func__.cache_clear()
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(UserError, match="pip install --no-deps musicnn") as caught:
        MusicNN.load()
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_tags_of_synthesised_sounds():
    """Published weights: square waves with drums are electronic dance music, a chord ambient."""
    pytest.importorskip("musicnn", reason="pip install --no-deps musicnn")
    published = MusicNN.load()
    names = published.tag_names()
    t = np.arange(12 * RATE) / RATE
    pad = sum(np.sin(2 * np.pi * f * t + np.sin(0.3 * t)) for f in (110, 165, 220, 277)) / 40
    notes = np.mod(t, 0.125) < 0.11
    riff = sum(np.sign(np.sin(2 * np.pi * f * t)) for f in (82.4, 123.5, 164.8)) * notes / 8
    drums = RNG.normal(size=len(t)) * np.exp(-20 * np.mod(t, 0.25)) / 4
    ranked = {
        kind: published.tags(published.features(audio.astype(np.float32), RATE).values).mean(0)
        for kind, audio in (("pad", pad), ("riff", riff + drums))
    }
    best = {kind: [names[i] for i in tags.argsort()[::-1][:3]] for kind, tags in ranked.items()}
    assert best["pad"][0] == "ambient", best
    assert {"electronic", "dance"} <= set(best["riff"]), best


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tags"), [("cold_day.flac", {"electronic", "ambient"})])
def test_tags_of_real_music(name, tags):
    """`KERAS_RAWAUDIO_MUSIC` names a folder of real recordings; none is in the repository."""
    pytest.importorskip("musicnn", reason="pip install --no-deps musicnn")
    path = Path(os.environ.get("KERAS_RAWAUDIO_MUSIC", ""), name)
    if not path.is_file():
        pytest.skip("KERAS_RAWAUDIO_MUSIC names no folder with this recording")
    import soundfile

    network = MusicNN.load()
    audio, rate = soundfile.read(path, dtype="float32", frames=60 * 8000)
    mean = network.tags(network.features(audio, rate).values).mean(axis=0)
    best = [network.tag_names()[i] for i in mean.argsort()[::-1][:3]]
    assert tags <= set(best), best
