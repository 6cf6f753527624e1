"""Normal numbers, draws from a softmax, and the mu-law cells that bits are counted on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from keras import ops

from keras_rawaudio.data.codecs import MuLaw

FAR = 1e4  # the outermost cells have no outer edge
MIN_MASS = 1e-4  # in 32 bits a difference of two error functions is good down to this
EPS = 1e-6  # uniform noise keeps this far from 0 and 1
LOG_SCALE_RANGE = (-7.0, 2.0)  # of the logarithm of a predicted standard deviation
FIRST_LOG_SCALE = -2.0  # of an untrained head


def standard_normal(uniform: Any) -> Any:
    """A standard normal number from each pair of numbers in [0, 1].

    Args:
        uniform: `(..., 2)`.

    Returns:
        `(..., 1)`.

    Example:
        >>> round(float(standard_normal(ops.convert_to_tensor([0.5, 0.0]))[0]), 4)
        1.1774

    Reference:
        Box and Muller 1958, "A note on the generation of random normal deviates".
    """
    u = ops.clip(uniform, EPS, 1.0 - EPS)
    return ops.sqrt(-2.0 * ops.log(u[..., :1])) * ops.cos((2.0 * math.pi) * u[..., 1:])


def gumbel(uniform: Any) -> Any:
    """Gumbel variables, of any shape, from numbers inside (0, 1).

    Example:
        >>> round(float(gumbel(ops.convert_to_tensor(0.5))), 4)
        0.3665

    Reference:
        Gumbel 1954, "Statistical theory of extreme values and some practical applications".
    """
    return -ops.log(-ops.log(uniform))


def one_hot_argmax(perturbed_logits: Any) -> Any:
    """The largest along the last axis, one-hot.

    Of logits plus Gumbel variables, it is a sample of their softmax (the Gumbel-max trick).

    Example:
        >>> one_hot_argmax(ops.convert_to_tensor([[0.1, 2.0, -1.0]])).numpy().tolist()
        [[0.0, 1.0, 0.0]]
    """
    return ops.cast(
        perturbed_logits >= ops.max(perturbed_logits, axis=-1, keepdims=True), "float32"
    )


def first_argmax(values: Any) -> Any:
    """Index of the largest along the last axis, the first if several are.

    Unlike `ops.argmax`, it is made of operations that ONNX has.

    Args:
        values: `(..., n)`.

    Returns:
        `(...)` int32.

    Example:
        >>> first_argmax(ops.convert_to_tensor([[0.1, 2.0, 2.0]])).numpy().tolist()
        [1]
    """
    count = values.shape[-1]
    largest = values >= ops.max(values, axis=-1, keepdims=True)
    return ops.min(ops.where(largest, np.arange(count, dtype="int32"), count), axis=-1)


def cell_edges(samples: Any, levels: int) -> tuple[Any, Any]:
    """The edges of the cells that samples fall into.

    Args:
        samples: floats, of any shape, relative to the peak.
        levels: how many cells there are.

    Returns:
        Lower and upper edges, of the same shape.

    Example:
        >>> low, high = cell_edges(ops.convert_to_tensor([0.5, 1.0]), 256)
        >>> bool(low[0] < 0.5 < high[0]), float(high[1])
        (True, 10000.0)
    """
    cells = MuLaw(1.0, levels)
    code = cells.encode(samples, xp=ops)
    low, high = (cells.expand(cells.companded(code + d, ops), ops) for d in (-0.5, 0.5))
    return ops.where(code <= 0, -FAR, low), ops.where(code >= levels - 1, FAR, high)


def logistic_mixture_mass(low: Any, high: Any, centre: Any, width: Any, logits: Any) -> Any:
    """Mass of a mixture of logistics between two edges.

    With the logistic CDF `s(z) = 1 / (1 + exp(-z))`:

        mass = sum_k w_k (s((high - c_k) / s_k) - s((low - c_k) / s_k))

    Args:
        low: lower edge, `(..., 1)`.
        high: upper edge, `(..., 1)`.
        centre: `c`, of each logistic, `(..., K)`.
        width: `s`, of each logistic, `(..., K)`.
        logits: of the weights `w`, `(..., K)`.

    Returns:
        `(...)`.

    Example:
        >>> one, two = ops.ones((1,)), ops.ones((2,))
        >>> round(float(logistic_mixture_mass(-one, one, 0 * two, two, two)), 4)
        0.4621

    Reference:
        Salimans et al. 2017, "PixelCNN++", section 2.1.
    """
    below, above = (low - centre) / width, (high - centre) / width
    # On the side where both are small, so that their difference keeps its digits.
    side = ops.where(below + above > 0.0, -1.0, 1.0)
    mass = side * (ops.sigmoid(side * above) - ops.sigmoid(side * below))
    return ops.sum(ops.softmax(logits) * mass, axis=-1)


def gaussian_log_mass(samples: Any, mean: Any, log_deviation: Any, levels: int) -> Any:
    """Logarithm of a Gaussian's mass on the mu-law cells that samples fall into.

    Where that mass is too small for 32 bits, it is the density times the cell's width.

    Args:
        samples: floats relative to the peak; the other arguments broadcast against them.
        mean: of the Gaussian.
        log_deviation: logarithm of its standard deviation.
        levels: how many cells there are.

    Example:
        >>> wide = gaussian_log_mass(ops.zeros((1,)), 0.0, 0.0, 2)
        >>> round(float(ops.exp(wide)[0]), 3)
        0.5
    """
    low, high = cell_edges(samples, levels)
    deviation = ops.exp(log_deviation)
    z = (samples - mean) / deviation
    density = -0.5 * ops.square(z) - log_deviation - 0.5 * math.log(2 * math.pi)
    root = 1.0 / (math.sqrt(2.0) * deviation)
    mass = 0.5 * (ops.erf((high - mean) * root) - ops.erf((low - mean) * root))
    exact = ops.log(ops.maximum(mass, MIN_MASS))
    return ops.where(mass > MIN_MASS, exact, density + ops.log(ops.minimum(high - low, 1.0)))
