"""Damage that a denoiser learns to undo: noise, coarse steps, dropped frames."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

SMALLEST_STEP = 1e-6


@keras.saving.register_keras_serializable("keras_rawaudio")
class Corruption(keras.Layer):
    """Gaussian noise, then quantisation, then silence in place of some frames.

    Each row draws its own deviation and its own step, between none and the largest. In training
    the draws are new at each call. In evaluation they are always the same.

    Args:
        frame_size: samples per frame.
        noise: largest standard deviation of the noise, in the units of the values.
        step: largest step of the quantisation, in the same units; 0: none.
        dropped: share of the frames that become 0.
        seed: of the draws in training.

    Call arguments:
        inputs: `(B, N)` values; `N` is a multiple of `frame_size`.
        training: whether the draws are new.

    Returns:
        `(B, N)`.

    Example:
        >>> import numpy as np
        >>> damaged = Corruption(4, noise=0.0, dropped=1.0)(np.ones((1, 8), "float32"))
        >>> float(ops.max(damaged))
        0.0

    Reference:
        Vincent et al. 2010, "Stacked denoising autoencoders", section 3.
    """

    def __init__(
        self,
        frame_size: int,
        noise: float = 0.5,
        step: float = 0.0,
        dropped: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.frame_size = frame_size
        self.noise = noise
        self.step = step
        self.dropped = dropped
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        rows, samples = ops.shape(inputs)

        def uniform(number: int, *shape: Any) -> Any:
            return keras.random.uniform(
                shape, dtype=inputs.dtype, seed=self._seed(number, training)
            )

        normal = keras.random.normal(
            (rows, samples), dtype=inputs.dtype, seed=self._seed(0, training)
        )
        values = inputs + self.noise * uniform(1, rows, 1) * normal
        if self.step:
            step = ops.maximum(self.step * uniform(2, rows, 1), SMALLEST_STEP)
            values = ops.round(values / step) * step
        kept = ops.cast(uniform(3, rows, samples // self.frame_size) >= self.dropped, values.dtype)
        return values * ops.repeat(kept, self.frame_size, axis=1)

    def _seed(self, number: int, training: bool) -> Any:
        return self.seed_generator if training else number

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "frame_size": self.frame_size,
            "noise": self.noise,
            "step": self.step,
            "dropped": self.dropped,
            "seed": self.seed,
        }
