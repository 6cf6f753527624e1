"""LPC codebook design: one filter for the whole piece, and one for each of its sounds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.dsp.weighted_linear_prediction import (
    NOISE,
    RADIUS,
    expand_bandwidth,
    fit_weighted_prediction,
    residual_weights,
)

BLOCK = 1024  # samples that share a filter while filters are fitted
BLOCKS = 1500  # more hardly change the result
MEMORY = 4e8  # bytes for the products of all blocks
ROUNDS = 4
SHARED = 0.5  # weight in a filter of all blocks that it predicts best; the rest: of its own block


def fit_filter_bank(
    segments: Sequence[np.ndarray], order: int, filters: int, seed: int = 0
) -> np.ndarray:
    """Filters of which one predicts the piece as a whole, and each other some of its sounds best.

    Each block of audio has a filter of its own. Those are chosen that together predict all blocks
    best (k-medoids, by the logarithm of the error), and each is then fitted anew, half to its own
    block and half to all those that it predicts best. The mean of many blocks would have lines at
    all their notes, and play them all at once. Residuals are weighted as in
    `fit_weighted_prediction`.

    Args:
        segments: floats in [-1, 1], each `(n,)`, contiguous.
        order: past values that each filter sees.
        filters: how many, 1 or more; 1: only that of the whole piece.
        seed: of the choice of blocks.

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
        Kaufman and Rousseeuw 1990, "Finding groups in data", chapter 2 (medoids).
    """
    common = fit_weighted_prediction(segments, order, seed=seed)
    rng = np.random.default_rng(seed)
    blocks = _blocks(segments, order, rng)
    count = min(filters - 1, len(blocks))
    if count < 2:
        return np.tile(common, (filters, 1))
    matrices, rights, sizes, totals = _products(blocks, order, common)
    own = np.array([_solve(*parts) for parts in zip(matrices, rights, totals, strict=True)])
    every = np.concatenate([common[None], own])
    costs = _costs(every, matrices, rights, sizes, totals)
    chosen = _medoids(costs[:, 0], costs[:, 1:], count)
    sort = costs[:, 1 + chosen].argmin(1)
    bank = []
    for k, middle in enumerate(chosen):
        mine = sort == k
        mine[middle] = True
        bank.append(
            _solve(
                *(
                    SHARED * p[mine].mean(0) + (1 - SHARED) * p[middle]
                    for p in (matrices, rights, totals)
                )
            )
        )
    bank = [expand_bandwidth(a, RADIUS) for a in bank]
    return np.concatenate([common[None], bank, np.tile(common, (filters - 1 - count, 1))])


def _costs(
    filters: np.ndarray,
    matrices: np.ndarray,
    rights: np.ndarray,
    sizes: np.ndarray,
    totals: np.ndarray,
) -> np.ndarray:
    """Nats per sample that each filter costs each block: `(blocks, filters)`."""
    order = filters.shape[1]
    flat = matrices.reshape(len(matrices), -1)
    residual_power = np.empty((len(flat), len(filters)), np.float32)
    for i in range(0, len(filters), 200):
        some = filters[i : i + 200]
        pairs = np.einsum("ki,kj->ijk", some, some).reshape(order * order, -1)
        residual_power[:, i : i + 200] = flat @ pairs.astype(np.float32) - 2 * rights @ some.T
    # Never below the assumed noise: what is smaller is rounding error.
    return 0.5 * np.log(np.maximum((residual_power + sizes[:, None]) / totals[:, None], NOISE**2))


def _medoids(common: np.ndarray, costs: np.ndarray, count: int) -> np.ndarray:
    """Which of the blocks' filters predict all blocks best.

    Not by k-means: costs are no distances between points, and have no centres. The first choice is
    greedy: each filter is the one that saves most over the common one and those before it. Rounds
    of k-medoids follow.

    Args:
        common: nats per sample that the common filter costs each block, `(blocks,)`.
        costs: those that each block's filter costs each block, `(blocks, blocks)`.
        count: how many.

    Returns:
        Their indices, `(count,)`.
    """
    least, chosen = common, list[int]()
    for _ in range(count):
        total = np.minimum(least[:, None], costs).sum(0)
        total[chosen] = np.inf
        chosen.append(int(total.argmin()))
        least = np.minimum(least, costs[:, chosen[-1]])
    for _ in range(ROUNDS):
        sort = costs[:, chosen].argmin(1)
        for k in range(count):
            mine = np.flatnonzero(sort == k)
            if len(mine):
                chosen[k] = int(mine[costs[np.ix_(mine, mine)].sum(0).argmin()])
    return np.array(chosen)


def _blocks(
    segments: Sequence[np.ndarray], order: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Blocks with what comes before them, as many as there is memory for."""
    before = order + BLOCK // 16
    places = [
        (s, start)
        for s, segment in enumerate(segments)
        for start in range(before, len(segment) - BLOCK + 1, BLOCK)
    ]
    most = max(2, min(BLOCKS, int(MEMORY / (4 * order * order))))
    if len(places) > most:
        places = [places[i] for i in sorted(rng.choice(len(places), most, replace=False))]
    return [np.asarray(segments[s][p - before : p + BLOCK], np.float64) for s, p in places]


def _products(
    blocks: list[np.ndarray], order: int, common: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Weighted moments of each block, from which the squared residual of any filter follows."""
    matrices = np.empty((len(blocks), order, order), np.float32)
    rights = np.empty((len(blocks), order))
    sizes, totals = np.empty(len(blocks)), np.empty(len(blocks))
    for i, x in enumerate(blocks):
        past = np.lib.stride_tricks.sliding_window_view(x[:-1], order)[:, ::-1]
        now = x[order:]
        counts = residual_weights(now - past @ common)[-BLOCK:]
        past, now = past[-BLOCK:].astype(np.float32), now[-BLOCK:]
        weighted = past * counts[:, None].astype(np.float32)
        matrices[i], rights[i] = weighted.T @ past, weighted.T @ now
        sizes[i], totals[i] = (counts * now * now).sum(), counts.sum()
    return matrices, rights, sizes, totals


def _solve(matrix: np.ndarray, right: np.ndarray, total: float) -> np.ndarray:
    ridge = NOISE**2 * total * np.eye(len(right))
    return np.asarray(np.linalg.solve(matrix.astype(np.float64) + ridge, right))
