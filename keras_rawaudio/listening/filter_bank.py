"""Linear predictions for the several sounds of a piece: one filter for all of it, one for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.listening.clusters import clusters
from keras_rawaudio.listening.weighted_prediction import (
    RADIUS,
    damped,
    error_weights,
    fit_weighted_prediction,
)

BLOCK = 512  # samples that share a filter while filters are fitted
MEMORY = 4e8  # bytes for the products of all blocks
ROUNDS = 8
COMMON = 0.05  # share of the whole piece in each sound's filter: it steadies those heard rarely


def fit_filter_bank(
    segments: Sequence[np.ndarray], order: int, filters: int, seed: int = 0
) -> np.ndarray:
    """Filters of which one predicts the piece as a whole, and each other some of its sounds best.

    Blocks of audio are sorted by which filter predicts them best, and each filter is fitted anew to
    its blocks, in turns: k-means with predictions for means. Errors count as in
    `fit_weighted_prediction`.

    Args:
        segments: floats in [-1, 1], each `(n,)`, contiguous.
        order: past values that each filter sees.
        filters: how many, 1 or more; 1: only that of the whole piece.
        seed: of the choice of blocks and of the start.

    Returns:
        `(filters, order)` float64, newest value first as in `fit_weighted_prediction`, every one
        stable; where the audio has fewer blocks than that, some repeat the first.

    Raises:
        UserError: no segment is longer than `order`.

    Example:
        >>> t = np.arange(40_000)
        >>> x = np.where(t < 20_000, np.sin(0.3 * t), np.sin(1.1 * t))
        >>> a = fit_filter_bank([x], order=2, filters=3)
        >>> sorted(round(float(f[0]), 1) for f in a[1:])
        [0.9, 1.9]

    Reference:
        Buzo et al. 1980, "Speech coding based upon vector quantization" (filters as a codebook);
        Edler et al. 2000, "Switched linear prediction".
    """
    common = fit_weighted_prediction(segments, order, seed=seed)
    rng = np.random.default_rng(seed)
    blocks = _blocks(segments, order, rng)
    count = min(filters - 1, len(blocks))
    if count < 2:
        return np.tile(common, (filters, 1))
    matrices, rights, sizes, totals = _products(blocks, order, common)
    flat = matrices.reshape(len(matrices), -1)
    sort = _by_spectrum(blocks, count, rng)
    steady = tuple(COMMON * part.mean(0) for part in (matrices, rights, totals))
    bank = np.tile(common, (count, 1))
    for _ in range(ROUNDS):
        for k in range(count):
            mine = sort == k
            if mine.any():
                parts = zip((matrices, rights, totals), steady, strict=True)
                bank[k] = _solve(*(part[mine].sum(0) + some for part, some in parts))
        pairs = np.einsum("ki,kj->ijk", bank, bank).reshape(order * order, count)
        errors = flat @ pairs.astype("float32") - 2 * rights @ bank.T + sizes[:, None]
        sort = errors.argmin(1)
    bank = np.array([damped(a, RADIUS) for a in bank])
    return np.concatenate([common[None], bank, np.tile(common, (filters - 1 - count, 1))])


def _blocks(
    segments: Sequence[np.ndarray], order: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Blocks with what comes before them, as many as there is memory for."""
    before = order + BLOCK // 8
    places = [
        (s, start)
        for s, segment in enumerate(segments)
        for start in range(before, len(segment) - BLOCK + 1, BLOCK)
    ]
    most = max(2, int(MEMORY / (4 * order * order)))
    if len(places) > most:
        places = [places[i] for i in sorted(rng.choice(len(places), most, replace=False))]
    return [np.asarray(segments[s][p - before : p + BLOCK], np.float64) for s, p in places]


def _products(
    blocks: list[np.ndarray], order: int, common: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What the weighted squared error of any filter on each block can be told from."""
    matrices = np.empty((len(blocks), order, order), np.float32)
    rights = np.empty((len(blocks), order))
    sizes, totals = np.empty(len(blocks)), np.empty(len(blocks))
    for i, x in enumerate(blocks):
        past = np.lib.stride_tricks.sliding_window_view(x[:-1], order)[:, ::-1]
        now = x[order:]
        counts = error_weights(now - past @ common)[-BLOCK:]
        past, now = past[-BLOCK:].astype(np.float32), now[-BLOCK:]
        weighted = past * counts[:, None].astype(np.float32)
        matrices[i], rights[i] = weighted.T @ past, weighted.T @ now
        sizes[i], totals[i] = (counts * now * now).sum(), counts.sum()
    return matrices, rights, sizes, totals


def _by_spectrum(blocks: list[np.ndarray], count: int, rng: np.random.Generator) -> np.ndarray:
    """A first sorting: blocks of like spectra."""
    window = np.hanning(BLOCK)
    spectra = np.abs(np.fft.rfft([x[-BLOCK:] * window for x in blocks]))[:, : BLOCK // 4]
    levels = np.log(spectra + 1e-3)
    levels -= levels.mean(1, keepdims=True)
    return clusters(levels, count, rng)[1]


def _solve(matrix: np.ndarray, right: np.ndarray, total: float, noise: float = 3e-4) -> np.ndarray:
    ridge = noise**2 * total * np.eye(len(right))
    return np.asarray(np.linalg.solve(matrix.astype(np.float64) + ridge, right))
