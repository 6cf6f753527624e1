"""Hard-saturating units whose noise grows with the distance into saturation."""

import math
from typing import Any

import keras
from keras import ops

from keras_rawaudio.errors import UserError

# Slope and offset of the line that each function follows before it saturates, its two limits, and
# the authors' own alpha and c.
FUNCTIONS = {
    "hard_sigmoid": ((0.25, 0.5), (0.0, 1.0), 1.1, 0.15),
    "hard_tanh": ((1.0, 0.0), (-1.0, 1.0), 1.15, 0.5),
}


@keras.saving.register_keras_serializable("keras_rawaudio")
class NoisyActivation(keras.Layer):
    """Noisy hard sigmoid or hard tanh.

    With `h` the hard function, `u` its line `u(x)` without the limits, and `delta = h(x) - u(x)`
    (zero where the unit is not saturated):

        phi(x, xi) = alpha h(x) + (1 - alpha) u(x) + d(x) sigma(x) xi
        sigma(x)   = c (sigmoid(p delta) - 1/2)^2
        d(x)       = -sgn(x) sgn(1 - alpha)   for half-normal noise, 1 for normal

    So the gradient flows through saturated units, and the harder they saturate the more they
    explore. `xi` is drawn in training; evaluation puts its expectation in its place: 0 for normal
    noise, `sqrt(2 / pi)` for half-normal. The slope `p` is learned. Without
    noise the unit is `h`: the control that tells the effect of noise from that of hard limits.

    Args:
        function: `"hard_sigmoid"` (`u = 0.25 x + 0.5`) or `"hard_tanh"` (`u = x`).
        noise: `"half-normal"` (xi = |normal|, biased), `"normal"` (unbiased) or None: `h` alone,
            without `p`.
        alpha: Share of the hard function. Over 1, units lean back into the line from saturation and
            half-normal noise points out of it; under 1, the other way round; at 1, as under 1.
            Default: the authors' 1.1 (sigmoid) or 1.15 (tanh).
        c: Scale of the noise. Default: the authors' 0.15 (sigmoid) or 0.5 (tanh).
        per_unit: Whether each unit of the last axis has its own `p`, instead of one for all.
        seed: Of the noise.
        kwargs: Keras' own, such as `name` and `dtype`.

    Call arguments:
        inputs: Pre-activations `(..., units)`.
        training: Noise is drawn only where this is True.
        noise: Standard normal numbers of the inputs' shape; drawn here where not given.

    Raises:
        UserError: For an unknown function or noise.

    Example:
        >>> import numpy as np
        >>> layer = NoisyActivation("hard_tanh", noise="normal", alpha=1.0)
        >>> ops.convert_to_numpy(layer(np.array([[-3.0, 0.5, 3.0]], "float32"))).tolist()
        [[-1.0, 0.5, 1.0]]

    Reference:
        Gulcehre, Moczulski, Denil and Bengio 2016, "Noisy activation functions", ICML, section 4
        and algorithm 1.
    """

    def __init__(
        self,
        function: str = "hard_tanh",
        noise: str | None = "half-normal",
        alpha: float | None = None,
        c: float | None = None,
        per_unit: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if function not in FUNCTIONS:
            raise UserError(f"unknown function {function!r}; take one of {', '.join(FUNCTIONS)}")
        if noise not in (None, "half-normal", "normal"):
            raise UserError(f"unknown noise {noise!r}; take one of None, half-normal, normal")
        (self.slope, self.offset), self.limits, authors_alpha, authors_c = FUNCTIONS[function]
        self.function = function
        self.noise = noise
        self.alpha = authors_alpha if alpha is None else float(alpha)
        self.c = authors_c if c is None else float(c)
        self.per_unit = per_unit
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape: Any) -> None:
        if self.noise is None:
            return
        shape = (input_shape[-1],) if self.per_unit else ()
        self.p = self.add_weight(shape=shape, initializer="ones", name="p")

    def call(self, inputs: Any, training: bool = False, noise: Any = None) -> Any:
        hard = self.hard(inputs)
        if self.noise is None:
            return hard
        line = self.slope * inputs + self.offset
        mean = self.alpha * hard + (1 - self.alpha) * line
        half_normal = self.noise == "half-normal"
        if training:
            if noise is None:
                noise = keras.random.normal(
                    ops.shape(inputs), dtype=inputs.dtype, seed=self.seed_generator
                )
            xi = ops.abs(noise) if half_normal else noise
        elif half_normal:
            xi = math.sqrt(2 / math.pi)
        else:
            return mean
        sigma = self.c * ops.square(ops.sigmoid(self.p * (hard - line)) - 0.5)
        if half_normal:
            outwards = 1.0 if self.alpha > 1 else -1.0
            xi = outwards * ops.sign(inputs) * xi
        return mean + sigma * xi

    def hard(self, inputs: Any) -> Any:
        """`h`, the hard function alone: at its limits where the unit is saturated."""
        return ops.clip(self.slope * inputs + self.offset, *self.limits)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "function": self.function,
            "noise": self.noise,
            "alpha": self.alpha,
            "c": self.c,
            "per_unit": self.per_unit,
            "seed": self.seed,
        }
