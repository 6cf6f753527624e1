"""Baselines without a network: the figures that every loss is printed beside.

For discrete codecs, bits per sample: code frequencies, previous code only, linear prediction.
For regression, the fraction of variance unexplained by three predictors that know nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from keras_rawaudio.dsp.linear_prediction import (
    fit_linear_prediction,
    padded_chunks,
    predictions,
)
from keras_rawaudio.errors import UserError

WINDOW = 16  # residuals that set the Laplace scale
# The scale is SCALE_FACTOR times their mean size, and never under a minimum: 2 code steps where
# codes are predicted, 2e-4 of full scale where amplitudes are. The three numbers were fitted to the
# published table of the benchmark piece (agreement 0.013 bits). A factor of 1 with a negligible
# minimum codes better, by 0.15 (order 128, linear) to 0.3 bits.
SCALE_FACTOR = 1.45
MINIMUM_SCALE_STEPS = 2.0
MINIMUM_SCALE_AMPLITUDE = 2e-4
UNIFORM_SHARE = 1e-3  # share of a uniform distribution, so that no code is impossible
ORDERS = (32, 128)


class DiscreteCodec(Protocol):
    """What the baselines ask of a codec."""

    @property
    def levels(self) -> int | None: ...
    @property
    def peak(self) -> float: ...
    def decode(self, values: np.ndarray) -> np.ndarray: ...
    def companded(self, values: np.ndarray) -> np.ndarray: ...
    def cell_edges(self) -> np.ndarray: ...


def discrete_baselines(
    train: Sequence[np.ndarray],
    test: Sequence[np.ndarray],
    codec: DiscreteCodec,
    orders: Sequence[int] = ORDERS,
) -> dict[str, float]:
    """Bits per sample of the trivial models, fitted on `train`, averaged over all of `test`.

    Args:
        train: segments of integer codes, each `(n,)`; read in chunks (a memmap stays on disk).
        test: the part to score, likewise. Each segment is one stream; nothing crosses borders.
        codec: the discrete codec that made the codes.
        orders: orders of linear prediction; those that no train segment is long enough for are
            left out.

    Returns:
        `order_0`, `order_1`, and for each order `linear_prediction_<order>_companded` and
        `linear_prediction_<order>_linear`.

    Raises:
        UserError: a part without samples, or a codec without levels.
    """
    if codec.levels is None:
        raise UserError("bits per sample need a discrete codec; this one has no levels")
    if not any(len(s) for s in train) or not any(len(s) for s in test):
        raise UserError("baselines need samples in the train part and in the part to score")
    frequencies = CodeFrequencies(train, codec.levels)
    figures = {"order_0": frequencies.order_0(test), "order_1": frequencies.order_1(test)}
    for order in orders:
        if max(len(s) for s in train) <= order:
            continue
        for domain in ("companded", "linear"):
            predictor = LaplacePredictor(train, codec, order, domain)
            figures[f"linear_prediction_{order}_{domain}"] = predictor.bits_per_sample(test)
    return figures


class CodeFrequencies:
    """Counts of codes and of pairs of codes, sparse, so that 65536 levels fit too."""

    def __init__(self, train: Iterable[np.ndarray], levels: int) -> None:
        self.levels = levels
        counts = np.zeros(levels)
        previous = np.zeros(levels)
        pairs: np.ndarray = np.zeros(0, np.int64)
        pair_counts: np.ndarray = np.zeros(0)
        for segment in train:
            for chunk, fresh in padded_chunks(segment, 1):
                codes = np.asarray(chunk, dtype=np.int64)
                counts += np.bincount(codes[fresh:], minlength=levels)
                previous += np.bincount(codes[:-1], minlength=levels)
                keys, how_often = np.unique(self._keys(codes), return_counts=True)
                pairs, where = np.unique(np.concatenate([pairs, keys]), return_inverse=True)
                pair_counts = np.bincount(where, np.concatenate([pair_counts, how_often]))
        self.probabilities = (counts + 1) / (counts + 1).sum()  # add-one smoothing
        self._previous, self._pairs, self._pair_counts = previous, pairs, pair_counts

    def _keys(self, codes: np.ndarray) -> np.ndarray:
        keys: np.ndarray = codes[:-1] * self.levels + codes[1:]
        return keys

    def order_0(self, test: Iterable[np.ndarray]) -> float:
        """Bits per sample when each code is drawn from the train part's frequencies."""
        mean = _Mean()
        for segment in test:
            for chunk, _ in padded_chunks(segment, 0):
                mean.add(-np.log2(self.probabilities[np.asarray(chunk, dtype=np.int64)]))
        return mean.value

    def order_1(self, test: Iterable[np.ndarray]) -> float:
        """Bits per sample given the previous code; backs off to order 0 with one pseudo-count.

        The first code of a segment has no previous one and is scored by order 0.
        """
        mean = _Mean()
        for segment in test:
            for chunk, fresh in padded_chunks(segment, 1):
                codes = np.asarray(chunk, dtype=np.int64)
                if fresh == 0:
                    mean.add(-np.log2(self.probabilities[codes[:1]]))
                keys = self._keys(codes)
                at = np.minimum(np.searchsorted(self._pairs, keys), max(0, len(self._pairs) - 1))
                seen = np.zeros(len(keys))
                if len(self._pairs):
                    seen = np.where(self._pairs[at] == keys, self._pair_counts[at], 0.0)
                backed = seen + self.probabilities[codes[1:]]
                mean.add(-np.log2(backed / (self._previous[codes[:-1]] + 1)))
        return mean.value


class LaplacePredictor:
    """Linear prediction with a Laplace residual whose scale follows the last 16 residuals.

    The probability of a code is the mass of the Laplace distribution, centred on the prediction,
    between the edges of the code's cell in the domain of the prediction, mixed with 0.1 % uniform.

    Args:
        train: segments of codes to fit the coefficients on.
        codec: the discrete codec that made them.
        order: how many past samples.
        domain: "companded" predicts the code itself (scaled to [-1, 1]), "linear" the amplitude
            that it decodes to (relative to the peak).
        scale_factor: the scale over the mean size of the last 16 residuals.
        minimum_scale: the smallest residual scale, in units of the domain; None: the default.
    """

    def __init__(
        self,
        train: Iterable[np.ndarray],
        codec: DiscreteCodec,
        order: int,
        domain: str,
        *,
        scale_factor: float = SCALE_FACTOR,
        minimum_scale: float | None = None,
    ) -> None:
        assert codec.levels is not None
        self.levels, self.order = codec.levels, order
        codes = np.arange(self.levels)
        if domain == "companded":
            self.centres = np.asarray(codec.companded(codes), dtype=np.float64)
            self.edges = np.full(self.levels + 1, np.inf)
            self.edges[1:-1] = (self.centres[1:] + self.centres[:-1]) / 2
            self.edges[0] = -np.inf
            default_minimum = MINIMUM_SCALE_STEPS * 2 / (self.levels - 1)
        elif domain == "linear":
            self.centres = np.asarray(codec.decode(codes), dtype=np.float64) / codec.peak
            self.edges = np.asarray(codec.cell_edges(), dtype=np.float64)
            default_minimum = MINIMUM_SCALE_AMPLITUDE / codec.peak
        else:
            raise ValueError(f"domain {domain!r}: companded or linear")
        self.scale_factor = scale_factor
        self.minimum_scale = default_minimum if minimum_scale is None else minimum_scale
        self.coefficients = fit_linear_prediction(train, order, values_of=self._values)

    def _values(self, codes: np.ndarray) -> np.ndarray:
        return self.centres[np.asarray(codes, dtype=np.int64)]

    def bits(self, codes: np.ndarray, fresh: int = 0) -> np.ndarray:
        """Bits of `codes[fresh:]`, of which the earlier ones are the past (zeros before them)."""
        padding = np.zeros(self.order + WINDOW)
        values = np.concatenate([padding, self._values(codes)])
        predicted = predictions(values, self.coefficients)
        sizes = np.cumsum(np.concatenate([[0.0], np.abs(values - predicted)]))
        first = len(padding) + fresh
        last = np.arange(first, len(values))
        mean_size = (sizes[last] - sizes[last - WINDOW]) / WINDOW
        scale = np.maximum(self.scale_factor * mean_size, self.minimum_scale)
        codes = np.asarray(codes[fresh:], dtype=np.int64)
        mass = laplace_mass(
            (self.edges[codes] - predicted[first:]) / scale,
            (self.edges[codes + 1] - predicted[first:]) / scale,
        )
        return -np.log2((1 - UNIFORM_SHARE) * mass + UNIFORM_SHARE / self.levels)

    def bits_per_sample(self, test: Iterable[np.ndarray]) -> float:
        """Mean bits over every sample of every segment."""
        mean = _Mean()
        for segment in test:
            for chunk, fresh in padded_chunks(segment, self.order + WINDOW):
                mean.add(self.bits(chunk, fresh))
        return mean.value


def laplace_mass(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Mass of the unit Laplace distribution between `low` and `high`, precise in both tails."""
    flip = low > 0  # mirror, so that two numbers near one are never subtracted
    low, high = np.where(flip, -high, low), np.where(flip, -low, high)
    below = 0.5 * np.exp(np.minimum(low, 0))
    above = np.where(high < 0, 0.5 * np.exp(np.minimum(high, 0)), 1 - 0.5 * np.exp(-np.abs(high)))
    mass: np.ndarray = above - below
    return mass


def regression_baselines(
    segments: Iterable[np.ndarray], frame: int, reconstruct: bool = False, silence: float = 0.0
) -> dict[str, float]:
    """Fraction of variance that predictors of the next frame leave unexplained.

    Pitfall 12 asks for them beside every loss. Each is the squared error over every frame that has
    one before it in its segment, divided by the variance of the same samples about their mean.

    Args:
        segments: float audio, each `(n,)`; a ragged end shorter than a frame is left out.
        frame: samples per frame, F.
        reconstruct: the target is the last frame read, not the next one.
        silence: the value of a silent sample, which is not 0 under every codec.

    Returns:
        `zero` (silence; 1 for audio without an offset), `persistence` (the last sample, repeated),
        `copy` (the last frame again; 2 for white noise, and 0 with
        `reconstruct`). All are 0 where there is no variance.

    Raises:
        UserError: no segment holds two frames.
    """
    errors = {"zero": 0.0, "persistence": 0.0, "copy": 0.0}
    count, total, squares = 0, 0.0, 0.0
    size = max(1, (1 << 18) // frame) * frame
    for segment in segments:
        for chunk, fresh in padded_chunks(segment[: len(segment) // frame * frame], frame, size):
            frames = np.asarray(chunk, dtype=np.float64).reshape(-1, frame)
            now = frames[1:]  # the chunk brings its previous frame along
            before = now if reconstruct else frames[:-1]
            assert fresh in (0, frame)
            count += now.size
            total += now.sum()
            squares += np.square(now).sum()
            errors["zero"] += np.square(now - silence).sum()
            errors["persistence"] += np.square(now - before[:, -1:]).sum()
            errors["copy"] += np.square(now - before).sum()
    if count == 0:
        raise UserError(f"baselines of frames of {frame} samples need a segment of two frames")
    variance = squares - total**2 / count
    return {
        name: float(error / variance) if variance > 0 else 0.0 for name, error in errors.items()
    }


class _Mean:
    """A running mean over chunks."""

    def __init__(self) -> None:
        self._sum, self._count = 0.0, 0

    def add(self, values: np.ndarray) -> None:
        self._sum += float(values.sum())
        self._count += values.size

    @property
    def value(self) -> float:
        return self._sum / self._count
