"""Small models of every kind: the one table that tests of models, generation and exports share."""

import functools

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.generation import ReferenceSampler
from keras_rawaudio.models import AudioModel, SpectralModel
from keras_rawaudio.models.beats import NO_BEAT

MULAW = {"name": "mulaw", "peak": 0.9, "levels": 16}
LINEAR = {"name": "linear", "peak": 0.9, "levels": 32}
PEAK = {"name": "peak", "peak": 0.9}
STANDARDIZE = {"name": "standardize", "mean": 0.1, "std": 0.4}
MINMAX = {"name": "minmax", "low": -0.5, "high": 0.7}
CATEGORICAL = {"kind": "categorical", "hidden_units": 8, "embedded": 2, "linear": 5}
PREDICTIVE = {
    "kind": "predictive",
    "codebook_size": 8,
    "filters": 3,
    "lpc_order": 16,
    "hidden_units": 8,
    "num_mixtures": 2,
}

# Tiers, head, codec. Between them: each cell, one and more tiers, several layers, windows wider
# than a frame, skips or not, each head and codec, each noise.
MODELS = {
    "gru": ([{"frame_size": 4, "units": 6, "layers": 2}], CATEGORICAL, MULAW),
    "lstm over lstm, windows": (
        [
            {"frame_size": 8, "window": 11, "cell": "lstm", "units": [6, 5], "layers": 2},
            {"frame_size": 2, "window": 5, "cell": "lstm", "units": 7, "preactivation_noise": 0.3},
        ],
        {**CATEGORICAL, "embedded": 3, "linear": 2, "layers": 1},
        LINEAR,
    ),
    "gru, three tiers, no skips": (
        [
            {"frame_size": 12, "units": 5, "layers": 2, "skips": False},
            {"frame_size": 6, "activation_noise": "half-normal"},
            {"frame_size": 1, "window": 3, "units": 4},
        ],
        {**CATEGORICAL, "embedded": 0, "linear": 13},
        MULAW,
    ),
    "regression, lstm": (
        [{"frame_size": 5, "cell": "lstm", "units": 6, "layers": 3, "activation_noise": "binary"}],
        {"kind": "regression", "hidden_units": 4},
        STANDARDIZE,
    ),
    "regression, gru over lstm": (
        [
            {"frame_size": 12, "units": 6, "layers": 2, "skips": False},
            {"frame_size": 4, "window": 9, "cell": "lstm"},
        ],
        {"kind": "regression"},
        MINMAX,
    ),
    "regression, memories to an MLP": (
        [{"frame_size": 5, "cell": "deep-gate-lstm", "units": [6, 4, 5], "skips": "memories"}],
        {"kind": "regression", "hidden_units": 7},
        STANDARDIZE,
    ),
    "regression, the top state is the frame": (
        [{"frame_size": 6, "units": [5, 7, 6], "skips": False}],
        {"kind": "regression", "end_layer": False},
        MINMAX,
    ),
    "regression, gates of two layers": (
        [{"frame_size": 5, "cell": "deep-gate-lstm", "layers": 2, "preactivation_noise": 0.1}],
        {"kind": "regression", "reconstruct": True},
        STANDARDIZE,
    ),
    "regression, overlaps": (
        [{"frame_size": 8}, {"frame_size": 4, "window": 10, "units": 5}],
        {"kind": "regression", "span": 12, "window": "triangle", "cost": {"huber": 0.5}},
        MINMAX,
    ),
    "regression, states that take turns": (
        [{"frame_size": 4, "window": 12, "cell": "lstm", "layers": 2, "dilation": 3}],
        {"kind": "regression", "span": 12},
        STANDARDIZE,
    ),
    "regression, pictures of spectra": (
        [
            {
                "frame_size": 4,
                "window": 12,
                "spectrum": {"size": 8, "hop": 4, "form": "picture", "filters": 3},
            }
        ],
        {"kind": "regression"},
        STANDARDIZE,
    ),
    "mixture": (
        [{"frame_size": 8}, {"frame_size": 4, "units": 5}],
        {"kind": "mixture", "num_mixtures": 3, "hidden_units": 5},
        PEAK,
    ),
    "spectrum, parts": (
        [{"frame_size": 4, "window": 16, "spectrum": {"size": 8, "hop": 4, "form": "parts"}}],
        {"kind": "spectrum", "span": 8},
        MINMAX,
    ),
    "spectrum, phases as turns, an image": (
        [
            {"frame_size": 8},
            {
                "frame_size": 4,
                "window": 20,
                "spectrum": {"size": 8, "hop": 4, "relative": True, "filters": 3},
            },
        ],
        {"kind": "spectrum", "form": "polar", "relative": True, "span": 8},
        STANDARDIZE,
    ),
    "spectrum, amplitude": (
        [{"frame_size": 4, "window": 16, "spectrum": {"size": 8, "hop": 2}}],
        {"kind": "spectrum", "form": "amplitude", "span": 8, "hidden_units": 5, "iterations": 2},
        STANDARDIZE,
    ),
    "predictive, two tiers": (
        [{"frame_size": 64}, {"frame_size": 32, "input": "codes"}],
        PREDICTIVE,
        PEAK,
    ),
    "predictive, a clock, reads samples": (
        [{"frame_size": 32, "cell": "lstm", "clock_harmonics": 3, "dropout": 0.5}],
        PREDICTIVE,
        PEAK,
    ),
}
# Codes of frames that are read too, so that their tempo may be turned.
PACED_MODELS = {
    "predictive, a clock, reads codes": (
        [{"frame_size": 32, "clock_harmonics": 3, "input": "codes"}],
        PREDICTIVE,
        PEAK,
    ),
}
# Frames drawn from noise of their own: no window of training predicts them.
LATENT_MODELS = {
    "draw": (
        [{"frame_size": 8}, {"frame_size": 4}],
        {"kind": "draw", "steps": 3, "latent": 2, "hidden_units": 5, "filters": 3},
        PEAK,
    ),
    "flow": (
        [{"frame_size": 8}],
        {"kind": "flow", "couplings": 3, "filters": 3, "kernel_size": 3},
        PEAK,
    ),
    "gan": (
        [{"frame_size": 6}],
        {"kind": "gan", "latent": 3, "hidden_units": 5},
        STANDARDIZE,
    ),
}
# For what one of a kind shows as well as all: codes of samples, frames, mixtures, codes of frames.
REPRESENTATIVES = [
    "lstm over lstm, windows",
    "regression, gru over lstm",
    "mixture",
    "predictive, two tiers",
]


def each(names):
    """A parameter for each model; those that are no representatives in `make test-all` alone."""
    return [
        pytest.param(name, marks=[] if name in REPRESENTATIVES else pytest.mark.slow)
        for name in names
    ]


SPECTRAL_RATE = 2000
SPECTRAL_MODELS = {"spectral, mono": 1, "spectral, stereo": 2}  # channels
INTERRUPTED = "spectral, interrupted"  # one whose copies are, and whose memory has no end


def make(name, spread=0.3):
    """The model of that name, all of whose weights are far from their initial values."""
    keras.utils.set_random_seed(0)
    if name in [*SPECTRAL_MODELS, INTERRUPTED]:
        labels = ["night", "day"] if name == "spectral, stereo" else []
        options = {"clock_harmonics": 2, "labels": labels, "sections": 3, "train_places": 60}
        options |= {"repetition_penalty": True}
        model = make_spectral(SPECTRAL_MODELS.get(name, 1), **options)
        rng = np.random.default_rng(3)
        means = model.sections.means
        means.assign(rng.normal(size=means.shape))
        chain = rng.dirichlet(np.ones(3), model.sections.transitions.shape[:2])
        model.sections.transitions.assign(np.cumsum(chain, axis=2))
        model.sections.log_ratios.assign(rng.normal(size=model.sections.log_ratios.shape))
        model.memory.assign(3)
        model.min_p.assign(np.linspace(0.3, 0.0, model.frame))
        if name == INTERRUPTED:
            model.keep_train_part([rng.integers(0, 16, (60, model.frame))])
            model.copies.threshold.assign(0.1)  # what is drawn at random reaches that often
            model.memory.assign(0)
        if labels:
            model.nearness.assign(16)
            model.memory.assign(8)  # it ends after six blocks on a beat, else after seven
            model.prior.set_period([40.0, 0.0])
            model.prior.set_beat([0.3, NO_BEAT])
            model.penalty.strengths.assign(np.linspace(3.0, 0.0, model.frame))
        return model
    tiers, head, codec = (MODELS | LATENT_MODELS | PACED_MODELS)[name]
    return far_from_fresh(AudioModel([{"units": 6, **t} for t in tiers], head, codec), spread)


def inputs(model, rows, samples, seed=0):
    """A window that predicts so many samples, or codes of a spectral model."""
    rng = np.random.default_rng(seed)
    shape = (rows, model.context + samples)
    if model.head.kind == "codes":
        return rng.integers(1, model.codec.levels, shape).astype("int32")
    if model.codec.discrete:
        return rng.integers(0, model.codec.levels, shape).astype("int32")
    return rng.uniform(-0.8, 0.8, shape).astype("float32")


def predict(model, x, state=None, **options):
    """The prediction as numbers `(rows, samples or blocks, ...)`, and the state after it."""
    prediction, state = model(x, state or model.zero_state(len(x)), **options)
    if model.head.kind == "spectrum":
        prediction = prediction["signal"]
    if model.head.kind == "codes":
        prediction = ops.stack(prediction, axis=2)
    return ops.convert_to_numpy(prediction), state


@functools.cache
def reference_sampler(model):
    """The model's sampler, traced once for all tests that share the model."""
    return ReferenceSampler(model)


def compiled(model):
    """The model's `advance`, `(forced, noise, temperature, state) -> (audio, state)`, as one graph
    for all lengths: many times as fast as op by op."""
    return reference_sampler(model)._advance


def make_spectral(channels=1, **options):
    """A spectral model fitted to `spectral_piece`."""
    keras.utils.set_random_seed(0)
    options = {"codebook_size": 16, "components": 8, "units": 12, **options}
    model = SpectralModel(SPECTRAL_RATE, channels, **options)
    labels = range(max(1, len(model.labels)))
    model.prepare([spectral_piece(channels)] * len(labels), labels)
    if model.labels:
        rng = np.random.default_rng(2)
        rows = [rng.integers(1, 16, 40 * model.frame) for _ in labels]
        model.count_codes(rows, labels)
    return model


def spectral_piece(channels=1, seconds=30.0):
    """Tones of four pitches in turn, `(n,)` or `(n, channels)`."""
    rng = np.random.default_rng(0)
    n = int(seconds * SPECTRAL_RATE)
    pitch = np.repeat(rng.choice([110.0, 220.0, 330.0, 550.0], n // 250 + 1), 250)[:n]
    phase = 2 * np.pi * np.cumsum(pitch) / SPECTRAL_RATE
    mono = 0.3 * np.sin(phase) + 0.01 * rng.normal(size=n)
    audio = np.stack([mono, 0.5 * np.roll(mono, 3)], axis=1)[:, :channels].astype(np.float32)
    return audio if channels > 1 else audio[:, 0]


def far_from_fresh(model, spread):
    """The model, with weights, all biases included, far from their initial values: by normal
    deviates of that `spread`."""
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + spread * rng.normal(size=weight.shape))
    for tier in model.tiers:
        if tier.clock_harmonics:
            tier.set_period(37.5)  # several turns in a test's audio
    head = model.head
    if head.kind == "predictive":
        # Its samples feed back with a factor: little of it, or they run into the rails.
        head.network.mixture.kernel.assign(0.1 * head.network.mixture.kernel)
        head.network.mixture.bias.assign(0.3 * head.network.mixture.bias - 0.3)
        filters = rng.normal(size=(head.filters, head.lpc_order))
        head.filter_bank.set_filters(filters / head.lpc_order)
        head.codes.envelope.fit([rng.uniform(-0.8, 0.8, 4000).astype("float32")])
        taps = head.postfilter.taps
        taps.assign(taps + 0.05 * rng.normal(size=taps.shape))
    return model
