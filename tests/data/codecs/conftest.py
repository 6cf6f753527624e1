"""Noise to encode."""

import numpy as np


def noise(size=500, scale=0.1, seed=0):
    return np.random.default_rng(seed).normal(0, scale, size).clip(-1, 1).astype(np.float32)
