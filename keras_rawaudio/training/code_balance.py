"""Biases by which free-running draws have the code frequencies of the train part."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.models.spectral_model import SpectralModel
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.code_draws import CodeDraws

ROWS = 16  # streams drawn at a time
BLOCKS = 1400  # of each at most, about a minute; no more than the piece has
PRIOR_COUNT = 2.0  # added to each count of draws
RATE = 0.5  # of the first update
LARGEST_STEP, LARGEST_BIAS = 2.0, 4.0  # nats


class CodeBalance:
    """Moves `model.code_bias` until free-running draws have the train part's code frequencies.

    A model that reads its own draws meets states that training never showed it. Some codes become
    too frequent there, and some of these lead nowhere else: a stream falls quiet and stays so. Each
    update draws a minute of codes, without audio, in several streams from nothing, and adds the
    logarithm of wanted over drawn frequency to each code's bias (stochastic approximation).

    Args:
        model: its biases move.
        data: the codes of the train part.

    Reference:
        Robbins and Monro 1951, "A stochastic approximation method".
    """

    def __init__(self, model: SpectralModel, data: CodeCorpus) -> None:
        self.model = model
        codes = np.concatenate(data.segments("train")).reshape(-1, model.frame) - 1
        levels = model.spectral_codec.codebook_size
        counts = np.stack([np.bincount(band, minlength=levels) for band in codes.T])
        self.frequencies = counts / len(codes)
        self.draws = CodeDraws(model, ROWS, min(BLOCKS, len(codes)))

    def fit(self, updates: int, seed: int) -> list[float]:
        """Set the biases, from zero: draw and move them some times, by less each time.

        Args:
            updates: how many times.
            seed: of the draws.

        Returns:
            For each update the Kullback-Leibler divergence of drawn from wanted frequencies before
            it, in bits per code.
        """
        self.model.code_bias.assign(np.zeros_like(self.frequencies))
        rng = np.random.default_rng(seed)
        return [self._update(RATE / (1 + update) ** 0.5, rng) for update in range(updates)]

    def _update(self, rate: float, rng: np.random.Generator) -> float:
        bands, levels = self.frequencies.shape
        codes = self.draws(rng).reshape(-1, bands)
        counts = np.stack([np.bincount(band, minlength=levels) for band in codes.T]) + PRIOR_COUNT
        drawn = counts / counts.sum(axis=1, keepdims=True)
        wanted = self.frequencies + PRIOR_COUNT / len(codes)
        wanted = wanted / wanted.sum(axis=1, keepdims=True)
        difference = np.log(wanted / drawn)
        bias = np.asarray(self.model.code_bias)
        bias = bias + rate * np.clip(difference, -LARGEST_STEP, LARGEST_STEP)
        self.model.code_bias.assign(np.clip(bias, -LARGEST_BIAS, LARGEST_BIAS))
        return float((wanted * difference).sum(axis=1).mean() / np.log(2))
