"""DRAW: its bound against a likelihood that was integrated, and against importance sampling."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import logsumexp

from keras_rawaudio.models.distributions import FIRST_LOG_SCALE
from keras_rawaudio.models.gaussian_grid import GaussianGrid
from keras_rawaudio.models.heads.draw import DRAWHead

F, W = 16, 3


def made(**options):
    keras.utils.set_random_seed(0)
    head = DRAWHead(F, **{"steps": 1, "latent": 1, "hidden_units": 8, "filters": 4, **options})
    head.build((None, None), (None, None, W))
    rng = np.random.default_rng(0)
    for weight in head.trainable_weights:
        weight.assign(ops.convert_to_numpy(weight) + 0.2 * rng.normal(size=weight.shape))
    return head


def frames(rows, T, seed=1):
    """A prediction's condition, and frames that are loud or soft by chance."""
    rng = np.random.default_rng(seed)
    wave = np.sin(0.7 * np.arange(T * F)) * np.repeat(rng.normal(size=(rows, T)), F, axis=1)
    noisy = 0.3 * wave + 0.05 * rng.normal(size=(rows, T * F))
    condition = rng.normal(size=(rows, T, W)).astype("float32")
    return {"condition": condition}, noisy.clip(-0.9, 0.9).astype("float32")


def repeated(head, prediction, target, count, noise):
    """What `infer` gives for each frame with `count` noises: `(count, B, T)` each."""
    many = {"condition": np.repeat(prediction["condition"], count, axis=0)}
    values = head.infer(many, np.repeat(target, count, axis=0), noise.astype("float32"))
    shape = (len(target), count, target.shape[1] // F)
    return [ops.convert_to_numpy(v).reshape(shape).swapaxes(0, 1) for v in values]


def inferred(head, prediction, target, draws):
    """What `infer` gives for each frame with some draws: `(draws, B, T)` each."""
    shape = (draws * len(target), target.shape[1] // F, head.steps, head.latent)
    noise = np.random.default_rng(5).normal(size=shape)
    return repeated(head, prediction, target, draws, noise)


def bound(head, prediction, target, draws):
    """The evidence lower bound of each frame, the mean of some draws."""
    likelihood, kl, _ = inferred(head, prediction, target, draws)
    return (likelihood - kl).mean(axis=0)


def importance_sampled(head, prediction, target, draws):
    """The log-likelihood of each frame, by importance sampling (Burda et al. 2016, section 3).

    Its expectation lies between the bound and the truth, nearer to the truth with more draws.
    """
    likelihood, _, ratio = inferred(head, prediction, target, draws)
    return logsumexp(likelihood + ratio, axis=0) - np.log(draws)


def integrated(head, prediction, target):
    """The log-likelihood of each frame, by the trapezoidal rule over its one latent number.

    The posterior's mean and deviation are 0 and 1, so that the noise is the latent number.
    """
    places = np.linspace(-6, 6, 241)
    rows, T = len(target), target.shape[1] // F
    noise = np.tile(places, rows)[:, None, None, None] * np.ones((1, T, 1, 1))
    likelihood, _, _ = repeated(head, prediction, target, len(places), noise)
    prior = -0.5 * places**2 - 0.5 * np.log(2 * np.pi) + np.log(places[1] - places[0])
    return logsumexp(likelihood + prior[:, None, None], axis=0)


def test_bound_and_importance_sampling_against_the_integral():
    head = made()
    head.log_scale.bias.assign([-FIRST_LOG_SCALE])  # so wide that few find the mass
    prediction, target = frames(2, 3)
    kernel, bias = (ops.convert_to_numpy(w) for w in head.posterior.weights)
    for weight in head.posterior.weights:
        weight.assign(ops.zeros_like(weight))
    exact = integrated(head, prediction, target)
    # A posterior that is off: the bound is below, many samples find the truth all the same.
    head.posterior.kernel.assign(0.5 * kernel)
    head.posterior.bias.assign(np.array([0.3, -0.2], "float32") + 0 * bias)
    below = bound(head, prediction, target, 200)
    sampled = importance_sampled(head, prediction, target, 2000)
    assert (below < exact - 1e-3).all()
    np.testing.assert_allclose(sampled, exact, atol=0.05)


def test_without_a_use_for_latent_numbers_the_bound_is_the_likelihood():
    head = made(steps=3, latent=2)
    prediction, target = frames(2, 3)
    for weight in [*head.posterior.weights, *head.patch.weights, *head.log_scale.weights]:
        weight.assign(ops.zeros_like(weight))
    likelihood, kl, ratio = head.infer(prediction, target, np.ones((2, 3, 3, 2), "float32"))
    np.testing.assert_array_equal(kl, np.zeros((2, 3)))
    np.testing.assert_allclose(ratio, np.zeros((2, 3)), atol=1e-6)
    nats = ops.convert_to_numpy(head.loss(prediction, target)).reshape(2, 3, F).sum(axis=2)
    np.testing.assert_allclose(nats, -likelihood, rtol=1e-5)


def trained(level):
    """A head trained on synthetic frames, as loud as `level` says, under a condition of nothing."""
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    head = DRAWHead(F, steps=2, latent=2, hidden_units=16, filters=4)
    head.build((None, None), (None, None, W))
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(head.trainable_weights)
    values = [w.value for w in head.trainable_weights]

    @tf.function(autograph=False)
    def step(target):
        condition = tf.zeros((64, 1, W))
        with tf.GradientTape() as tape:
            prediction, _ = head(target, condition, [], training=True)
            loss = tf.reduce_mean(head.loss(prediction, target))
        optimizer.apply(tape.gradient(loss, values), head.trainable_weights)
        return loss

    losses = []
    for i in range(250):
        _, target = frames(64, 1, seed=i)
        losses.append(float(step(tf.constant(level * target))))
    return head, losses


NOTHING = {"condition": np.zeros((64, 1, W), "float32")}


def test_a_trained_bound_is_just_below_the_importance_sampled_likelihood():
    """On synthetic frames it learns, and the posterior comes near to the true one."""
    head, losses = trained(1.0)
    _, target = frames(64, 1, seed=9999)
    below = bound(head, NOTHING, target, 20).mean() / F
    sampled = importance_sampled(head, NOTHING, target, 200).mean() / F
    assert -below < losses[0] - 0.5
    assert below < sampled < below + 0.1


@pytest.mark.slow
def test_soft_frames_are_drawn_from_latent_numbers_too():
    """How loud a frame is, by chance, is in the latent numbers of frames a tenth as loud, too."""
    head, _ = trained(0.1)
    _, target = frames(64, 1, seed=9999)
    kl = ops.convert_to_numpy(head.terms(NOTHING, 0.1 * target)["kl"]).mean() * F
    assert kl > 0.5


def test_the_divergence_is_reported_and_part_of_the_loss():
    head = made(steps=2, latent=3)
    prediction, target = frames(2, 3)
    kl = ops.convert_to_numpy(head.terms(prediction, target)["kl"])
    assert kl.shape == target.shape
    assert (kl > 0).all()
    noise = head._drawn(prediction)
    likelihood, plain, _ = head.infer(prediction, target, noise)
    np.testing.assert_allclose(kl[:, ::F] * F, plain, rtol=1e-5)
    loss = ops.convert_to_numpy(head.loss(prediction, target))[:, ::F] * F
    np.testing.assert_allclose(loss, plain - likelihood, rtol=1e-5)


@pytest.mark.parametrize("filters", [2, 5])
def test_filters_cover_the_frame_evenly_at_the_start(filters):
    grid = GaussianGrid(40, filters)
    bank, intensity = grid(np.zeros((2, 3), "float32"))
    bank = ops.convert_to_numpy(bank)
    np.testing.assert_allclose(bank.sum(axis=2), 1.0, rtol=1e-5)
    np.testing.assert_array_equal(intensity, np.ones((2, 1)))
    peaks = bank[0].argmax(axis=1)
    np.testing.assert_allclose(peaks, np.linspace(0, 39, filters), atol=0.51)


def test_a_grid_moves_narrows_and_brightens():
    grid = GaussianGrid(40, 3)
    grid.build((None, 1))
    grid.parameters.kernel.assign(np.zeros((1, 4), "float32"))
    # Centre at three quarters, filters 4 samples apart, narrow; twice as bright.
    grid.parameters.bias.assign([0.5, np.log(4 / 19.5), -4.0, np.log(2.0)])
    bank, intensity = grid(np.zeros((1, 1), "float32"))
    peaks = ops.convert_to_numpy(bank)[0].argmax(axis=1)
    np.testing.assert_allclose(peaks, np.array([-4, 0, 4]) + 0.5 * 39 * 1.5, atol=0.51)
    np.testing.assert_allclose(intensity, [[2.0]], rtol=1e-5)


def test_the_temperature_scales_all_that_is_drawn():
    head = made(steps=4, latent=9)  # more latent numbers than samples
    uniform = np.random.default_rng(0).random((2, F, head.noise_per_sample), "float32")
    cold = head.prepare_noise(uniform, np.zeros((2, 1, 1), "float32"))
    still, _ = head.sample_frame(None, np.ones((2, 1, W), "float32"), cold, [])
    np.testing.assert_allclose(still[0], still[1], atol=1e-6)
    warm = head.prepare_noise(uniform, np.ones((2, 1, 1), "float32"))
    assert warm.shape == (2, F, 1 + 3)
    drawn, _ = head.sample_frame(None, np.ones((2, 1, W), "float32"), warm, [])
    assert np.abs(ops.convert_to_numpy(drawn[0] - drawn[1])).max() > 1e-3


@pytest.mark.parametrize(("frame", "filters"), [(16, 4), (4000, 12), (400, 2)])
def test_at_the_start_filters_are_half_as_wide_as_far_apart_and_can_change(frame, filters):
    grid = GaussianGrid(frame, filters)
    grid.build((None, 3))
    bias = grid.parameters.bias

    def widths():
        bank, _ = grid(np.zeros((1, 3), "float32"))
        weights = ops.convert_to_numpy(bank)[0, filters // 2 - 1 : filters // 2 + 1]
        place = np.arange(frame)
        mean = (weights * place).sum(-1, keepdims=True)
        return np.sqrt((weights * (place - mean) ** 2).sum(-1))

    before = widths()
    if filters > 2:
        np.testing.assert_allclose(before, 0.5 * (frame - 1) / (filters - 1), rtol=0.05)
    bias.assign(ops.convert_to_numpy(bias) + np.eye(4)[2] * 0.5)
    assert (widths() > 1.02 * before).all()
