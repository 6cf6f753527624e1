"""Costs of a predicted signal, and weighted sums of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops

from keras_rawaudio.layers.fourier import SILENCE

Cost = Callable[[Any, Any], Any]

SIZES = (64, 256, 1024)  # of the spectra, in samples


def squared(prediction: Any, target: Any) -> Any:
    """Squared error `(p - y)^2`.

    Args:
        prediction: `(B, N)`.
        target: `(B, N)`.

    Returns:
        `(B, N)`.

    Example:
        >>> squared(ops.convert_to_tensor([[3.0]]), ops.convert_to_tensor([[1.0]])).numpy().tolist()
        [[4.0]]
    """
    return ops.square(prediction - target)


def huber(prediction: Any, target: Any) -> Any:
    """Half the square of a small error, and of one over 1 as much as its size grows.

    1 is a standard deviation of the train part under the codec `standardize`.

    Args:
        prediction: `(B, N)`.
        target: `(B, N)`.

    Returns:
        `(B, N)`.

    Example:
        >>> huber(ops.convert_to_tensor([[0.5, 3.0]]), ops.zeros((1, 2))).numpy().tolist()
        [[0.125, 2.5]]

    Reference:
        Huber 1964, "Robust estimation of a location parameter".
    """
    size = ops.abs(prediction - target)
    return ops.where(size <= 1.0, 0.5 * ops.square(size), size - 0.5)


def spectral(prediction: Any, target: Any) -> Any:
    """How far amplitude spectra lie apart, at several resolutions; phases do not count.

    At each size that fits in, under a Hann window every quarter of it: the mean difference of
    amplitudes over the target's mean, and the mean difference of log amplitudes.

    Args:
        prediction: `(B, N)`.
        target: `(B, N)`.

    Returns:
        `(B, N)`, the same for all samples of a row.

    Raises:
        ValueError: rows that are shorter than the shortest spectrum.

    Reference:
        Engel et al. 2020, "DDSP", section 4.2.1; Yamamoto et al. 2020, "Parallel WaveGAN",
        section 2.2.
    """
    N = prediction.shape[1]
    sizes = [size for size in SIZES if size <= N]
    if not sizes:
        raise ValueError(f"the spectral cost needs windows of {SIZES[0]} samples or more, not {N}")
    total = ops.zeros_like(prediction[:, 0])
    for size in sizes:
        p, y = (_amplitudes(signal, size) for signal in (prediction, target))
        linear = ops.sum(ops.abs(p - y), axis=(1, 2)) / (ops.sum(y, axis=(1, 2)) + SILENCE)
        logarithmic = ops.mean(ops.abs(ops.log(p + SILENCE) - ops.log(y + SILENCE)), axis=(1, 2))
        total = total + (linear + logarithmic) * (1.0 / len(sizes))
    return ops.repeat(total[:, None], N, axis=1)


def _amplitudes(signal: Any, size: int) -> Any:
    re, im = ops.stft(signal, size, size // 4, size, window="hann", center=False)
    return ops.sqrt(ops.square(re) + ops.square(im) + SILENCE**4) * (2.0 / size)


COSTS: dict[str, Cost] = {"squared": squared, "huber": huber, "spectral": spectral}


def weighted(cost: str | Mapping[str, float]) -> Cost:
    """The cost of that name, or the sum of several with their weights.

    Args:
        cost: a name of `COSTS`, or names to weights.

    Returns:
        A function of prediction and target `(B, N)`, with `(B, N)` as its result.

    Raises:
        ValueError: no such cost, no cost at all, or a weight that is not above 0.

    Example:
        >>> p, y = ops.array([[1.0, 4.0]]), ops.array([[0.0, 0.0]])
        >>> weighted({"squared": 0.5, "huber": 2.0})(p, y).numpy().tolist()
        [[1.5, 15.0]]
    """
    weights = {cost: 1.0} if isinstance(cost, str) else dict(cost)
    if not weights:
        raise ValueError(f"no cost; choose from {', '.join(COSTS)}")
    for name, weight in weights.items():
        if name not in COSTS:
            raise ValueError(f"no cost {name!r}; choose from {', '.join(COSTS)}")
        if not isinstance(weight, int | float) or not weight > 0:
            raise ValueError(f"the weight of the cost {name!r} must be above 0, not {weight!r}")

    def total(prediction: Any, target: Any) -> Any:
        return sum(w * COSTS[name](prediction, target) for name, w in weights.items())

    return total
