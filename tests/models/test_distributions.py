"""Gumbel variables have their distribution; the Gumbel-max draw is one from a softmax."""

import numpy as np
from keras import ops
from scipy import stats

from keras_rawaudio.models.distributions import gumbel, one_hot_argmax


def test_the_distribution_is_gumbels():
    u = np.random.default_rng(0).uniform(1e-5, 1 - 1e-5, 5000).astype("float32")
    assert stats.kstest(ops.convert_to_numpy(gumbel(u)), "gumbel_r").pvalue > 0.01


def test_the_argmax_of_logits_and_gumbels_is_drawn_from_their_softmax():
    logits, n = np.log([0.5, 0.3, 0.15, 0.05]).astype("float32"), 20_000
    u = np.random.default_rng(1).uniform(1e-5, 1 - 1e-5, (n, 4)).astype("float32")
    won = ops.convert_to_numpy(one_hot_argmax(logits + gumbel(u)))
    np.testing.assert_array_equal(won.sum(axis=-1), 1.0)
    np.testing.assert_allclose(won.mean(axis=0), [0.5, 0.3, 0.15, 0.05], atol=0.012)
