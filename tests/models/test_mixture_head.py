"""The mixture head: its bits against SciPy's normal distribution, its draws against its bits."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy import special, stats

from keras_rawaudio.data.codecs import MuLaw
from keras_rawaudio.models.heads.mixture import MixtureHead

F, LEVELS = 5, 64
CELLS = MuLaw(1.0, LEVELS)


def prediction_of(means, widths, logits):
    """`(B, N, 3K)` from `(B, N, K)` means and deviations and `(B, T, K)` logits."""
    repeated = np.repeat(logits, F, axis=1)
    return np.concatenate([means, np.log(widths), repeated], axis=-1).astype("float32")


def random_parts(K, frames=3, seed=0):
    rng = np.random.default_rng(seed)
    shape = (2, frames * F, K)
    means, widths = rng.uniform(-0.8, 0.8, shape), rng.uniform(0.05, 0.5, shape)
    return means, widths, rng.normal(size=(2, frames, K))


def head_of(K):
    head = MixtureHead(F, num_mixtures=K, levels=LEVELS)
    head.build((None, None), (None, None, 4))
    return head


def loss(K, means, widths, logits, target):
    value = head_of(K).loss(prediction_of(means, widths, logits), ops.array(target, "float32"))
    return ops.convert_to_numpy(value)


def log_masses(target, means, widths):
    """In double precision: the normal distribution's mass on each sample's cell."""
    codes, edges = CELLS.encode(target), CELLS.cell_edges()
    low, high = (edges[codes + d][..., None] for d in (0, 1))
    mass = stats.norm.cdf(high, means, widths) - stats.norm.cdf(low, means, widths)
    return np.log(np.maximum(mass, 1e-300))


def test_one_gaussian_is_scipys():
    """The bits of a frame are the mean of those of its samples, where there is nothing to mix."""
    means, widths, logits = random_parts(1)
    target = np.clip(means[..., 0] + 1.5 * widths[..., 0] * np.sin(np.arange(15)), -0.99, 0.99)
    by_frame = -log_masses(target, means, widths).reshape(2, 3, F).mean(axis=-1)
    found = loss(1, means, widths, logits, target)
    assert found.shape == (2, 15)
    np.testing.assert_allclose(found, np.repeat(by_frame, F, axis=1), rtol=1e-3)


def test_frames_are_mixed_whole():
    K = 3
    means, widths, logits = random_parts(K)
    target = np.random.default_rng(5).uniform(-0.6, 0.6, (2, 15))
    masses = log_masses(target, means, widths)
    usable = masses > np.log(2e-4)
    widths = np.where(usable, widths, 1.0)
    frames = log_masses(target, means, widths).reshape(2, 3, F, K).sum(axis=2)
    frames = special.logsumexp(special.log_softmax(logits, axis=-1) + frames, axis=-1)
    np.testing.assert_allclose(
        loss(K, means, widths, logits, target)[:, ::F], -frames / F, rtol=1e-3
    )


def test_far_from_a_gaussian_the_loss_is_its_density():
    """Where 32 bits have no mass left there is still a slope that leads back."""
    target, width = np.full((1, F), 0.5, "float32"), 0.01
    means = np.zeros((1, F, 1))
    found = loss(1, means, np.full((1, F, 1), width), np.zeros((1, 1, 1)), target)
    code = CELLS.encode(0.5)
    low, high = CELLS.cell_edges()[code : code + 2]
    expected = -stats.norm.logpdf(0.5, 0, width) - np.log(high - low)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_bits_of_all_cells_are_a_distribution():
    """Summed over every code of one sample, the masses are one."""
    head = MixtureHead(1, num_mixtures=1, levels=LEVELS)
    head.build((None, None), (None, None, 4))
    codes = np.arange(LEVELS)
    target = CELLS.decode(codes)[None].astype("float32")
    prediction = np.tile(np.array([0.1, np.log(0.2), 0.0], "float32"), (1, LEVELS, 1))
    nats = ops.convert_to_numpy(head.loss(prediction, target))
    assert np.exp(-nats).sum() == pytest.approx(1, abs=5e-3)


def drawn(head, rows, temperature=1.0, seed=0):
    noise = np.random.default_rng(seed).random((rows, F, 3), "float32")
    chance = head.prepare_noise(noise, np.full((rows, 1, 1), temperature, "float32"))
    frames, state = head.sample_frame(None, ops.zeros((rows, 1, 4)), chance, [])
    assert state == []
    return ops.convert_to_numpy(frames)


def constant_head(K, means, widths, logits):
    """A head that predicts this mixture for every frame, whatever its condition."""
    head = head_of(K)
    head.output_layer.kernel.assign(ops.zeros_like(head.output_layer.kernel))
    flat = [np.reshape(x, -1) for x in (means, np.log(widths), logits)]
    head.output_layer.bias.assign(np.concatenate(flat))
    return head


def test_draws_of_one_gaussian_are_normal():
    means, widths = np.linspace(-0.2, 0.2, F)[:, None], np.linspace(0.05, 0.15, F)[:, None]
    frames = drawn(constant_head(1, means, widths, [0.0]), 4000)
    for n in range(F):
        z = (frames[:, n] - means[n, 0]) / widths[n, 0]
        assert stats.kstest(z, "norm").pvalue > 1e-3
    assert np.abs(np.corrcoef(frames.T) - np.eye(F)).max() < 0.06


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_one_gaussian_is_chosen_for_a_whole_frame(temperature):
    """Loud and quiet frames, by their weights; a lower temperature takes the likelier more."""
    means = np.tile([-0.5, 0.5], (F, 1))
    weights = np.array([0.25, 0.75])
    head = constant_head(2, means, np.full((F, 2), 0.02), np.log(weights))
    above = drawn(head, 4000, temperature) > 0
    assert (above.all(axis=1) | ~above.any(axis=1)).all()
    sharp = weights ** (1 / temperature)
    assert above[:, 0].mean() == pytest.approx((sharp / sharp.sum())[1], abs=0.03)


def test_no_noise_is_too_near_the_edge():
    head = head_of(2)
    for number in (0.0, 1 - 2.0**-24):
        chance = head.prepare_noise(np.full((1, F, 3), number, "float32"), 1.0)
        assert np.isfinite(ops.convert_to_numpy(chance)).all()


def test_impossible_heads_are_refused():
    with pytest.raises(ValueError, match="mixtures >= 1"):
        MixtureHead(F, num_mixtures=0)
    with pytest.raises(ValueError, match="frames of 6 samples or more"):
        MixtureHead(F, num_mixtures=6)


def test_config_round_trip():
    head = MixtureHead(F, num_mixtures=2, hidden_units=3, levels=32)
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(head))
    assert again.get_config() == head.get_config()
