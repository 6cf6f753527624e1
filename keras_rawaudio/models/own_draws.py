"""Scheduled sampling: in training a model of codes reads some of its own draws."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.models.distributions import EPS, gumbel


def with_own_draws(
    codes: Any, logits: list[Any], most: float, seed_generator: keras.random.SeedGenerator
) -> Any:
    """Blocks of codes, each with some chance replaced by a draw from its logits.

    The chance is `most` times one minus the mean entropy of the logits, as a share of the entropy
    of equal ones: a model that knows little reads few of its draws. The first block stays.

    Args:
        codes: `(B, T, bands)` integers, the blocks that are read.
        logits: for each band, `(B, T, codebook_size)`: of the block after each.
        most: the largest chance.
        seed_generator: of the draws.

    Returns:
        `(B, T, bands)` of the type of `codes`.

    Example:
        >>> certain = 1e4 * ops.one_hot(ops.full((1, 3), 7), 16)
        >>> codes, seeds = ops.zeros((1, 3, 1), "int32"), keras.random.SeedGenerator(0)
        >>> with_own_draws(codes, [certain], 1.0, seeds).numpy().ravel().tolist()
        [0, 7, 7]

    Reference:
        Duckworth et al. 2019, "Parallel scheduled sampling".
    """
    draws, entropies = [], []
    for each in logits:
        uniform = keras.random.uniform(
            ops.shape(each), minval=EPS, maxval=1 - EPS, seed=seed_generator
        )
        draws.append(ops.argmax(each + gumbel(uniform), axis=-1))
        p = ops.softmax(each)
        entropy = -ops.mean(ops.sum(p * ops.log(p + 1e-9), axis=-1))
        entropies.append(entropy / np.log(each.shape[-1]))
    drawn = ops.cast(ops.stack(draws, axis=-1), codes.dtype)
    drawn = ops.concatenate([codes[:, :1], drawn[:, :-1]], axis=1)
    chance = most * (1.0 - ops.mean(ops.stack(entropies)))
    uniform = keras.random.uniform(ops.shape(codes)[:2], seed=seed_generator)
    return ops.where((uniform < chance)[..., None], drawn, codes)
