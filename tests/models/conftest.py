"""A small predictive head, what it reads and predicts, and what it draws."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_rawaudio.layers import lpc_filter_bank
from keras_rawaudio.models import level_control
from keras_rawaudio.models.heads.predictive import PredictiveHead

LEVELS, CODES, FRAME, WIDTH = 64, 8, 32, 5
FILTERS = 3
SMALL = {"codebook_size": CODES, "filters": FILTERS, "lpc_order": 16, "bunch": 8}
SMALL |= {"hidden_units": 8, "num_mixtures": 2, "levels": LEVELS}


def make(sure=False, **options):
    """A head whose weights are far from their start; `sure`: one code and one filter for all it
    reads and draws, the code louder than any audio, and gains that all mean the same."""
    keras.utils.set_random_seed(0)
    head = PredictiveHead(FRAME, **{**SMALL, **options})
    head.build((None, None), (None, None, WIDTH))
    rng = np.random.default_rng(0)
    for weight in head.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.1 * rng.normal(size=weight.shape))
    head.filter_bank.set_filters(rng.normal(size=(head.filters, head.lpc_order)) / head.lpc_order)
    head.codes.envelope.fit([rng.uniform(-0.1, 0.1, 4000).astype("float32")])
    if sure:
        head.codes.envelope.codebook.assign([[1.0] * 22] + [[100.0] * 22] * (CODES - 1))
        head.codes.envelope.logits.bias.assign([0.0] + [-1e3] * (CODES - 1))
        head.codes.lpc.index_logits.bias.assign([0.0] + [-1e3] * (head.filters - 1))
        head.codes.lpc.decode = lambda gain: 0.03 * ops.sum(gain, axis=-1, keepdims=True)
        good = rng.normal(size=head.lpc_order) / head.lpc_order
        bad = 30 * rng.normal(size=(head.filters - 1, head.lpc_order))
        head.filter_bank.set_filters(np.concatenate([good[None], bad]))
    return head


@pytest.fixture
def uncorrected(monkeypatch):
    """Draws that are not corrected to the level of their code, nor enlarged or damped."""
    monkeypatch.setattr(level_control, "LEVEL_CORRECTION_RATE", 0.0)
    monkeypatch.setattr(level_control, "MAX_EXCITATION_GAIN", 1.0)
    monkeypatch.setattr(lpc_filter_bank, "BANDWIDTH_EXPANSION", 0.0)


def audio(samples, rows=1, seed=1):
    x = np.random.default_rng(seed).uniform(-0.1, 0.1, (rows, samples))
    return x.astype("float32")


def conditioning_of(frames, rows=1, seed=2):
    return np.random.default_rng(seed).normal(size=(rows, frames, WIDTH)).astype("float32")


def fresh(head, rows=1):
    return [ops.zeros((rows, *shape)) for _, shape in head.state_spec()]


def numbers(x):
    return ops.convert_to_numpy(x)


def called(head, x, conditioning, state=None):
    """The prediction for all that follows the context in `x`, and the state after it."""
    prediction, state = head(x[:, :-1], conditioning, state or fresh(head, len(x)))
    return numbers(prediction), state


def draw(head, past, conditioning, noise, temperature=1.0, state=None):
    """A frame `(B, frame)` after `past (B, context)`, and the state."""
    rows = len(noise)
    noise = head.prepare_noise(noise, np.full((rows, 1, 1), temperature, "float32"))
    state = state or fresh(head, rows)
    _, history, state = head.draw_frame(past, conditioning[:, None], noise, state)
    return numbers(history[:, -FRAME:]), state


def uniform(head, rows, seed=3):
    return np.random.default_rng(seed).random((rows, FRAME, head.noise_per_sample), "float32")


def cells():
    """The middle of every mu-law cell."""
    companded = 2 * np.arange(LEVELS) / (LEVELS - 1) - 1
    middles = np.sign(companded) * np.expm1(np.abs(companded) * np.log(LEVELS)) / (LEVELS - 1)
    return middles.astype("float32")


def softmax(logits):
    p = np.exp(logits.astype("float64"))
    return p / p.sum(axis=-1, keepdims=True)


def mass_of_cells(head, prediction):
    """Of one sample, `(levels,)`, without what the code costs."""
    repeated = np.repeat(prediction[None, None], LEVELS, axis=1)
    nats = numbers(head.loss(repeated, cells()[None]))[0]
    return np.exp(prediction[2] - nats)
