"""Units that fire or do not, at random, and still learn by gradient descent."""

from typing import Any

import keras
from keras import ops

from keras_rawaudio.errors import UserError


@keras.saving.register_keras_serializable("keras_rawaudio")
class BinaryStochastic(keras.Layer):
    """Binary stochastic units with the straight-through gradient.

    In training each unit is 1 with probability `sigmoid(x)`, else 0; its gradient is taken as if it
    were that probability. Evaluation draws nothing.

    Args:
        evaluation: What evaluation gives: `"probability"`, the expected value of the unit, or
            `"threshold"`, 1 where the probability is above one half.
        seed: Of the draws.
        kwargs: Keras' own, such as `name` and `dtype`.

    Call arguments:
        inputs: Logits of any shape.
        training: Units are drawn only where this is True.
        noise: Uniform numbers in [0, 1) of the inputs' shape; drawn here where not given.

    Raises:
        UserError: For an unknown `evaluation`.

    Example:
        >>> import numpy as np
        >>> fired = BinaryStochastic("threshold")(np.array([-2.0, 3.0], "float32"))
        >>> ops.convert_to_numpy(fired).tolist()
        [0.0, 1.0]

    Reference:
        Bengio, Leonard and Courville 2013, "Estimating or propagating gradients through stochastic
        neurons for conditional computation", section 4 (straight-through estimator).
    """

    def __init__(
        self, evaluation: str = "probability", seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if evaluation not in ("probability", "threshold"):
            raise UserError(
                f"unknown evaluation {evaluation!r}; take one of probability, threshold"
            )
        self.evaluation = evaluation
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, inputs: Any, training: bool = False, noise: Any = None) -> Any:
        probability = ops.sigmoid(inputs)
        if training:
            if noise is None:
                noise = keras.random.uniform(
                    ops.shape(inputs), dtype=probability.dtype, seed=self.seed_generator
                )
            hard = ops.cast(noise < probability, probability.dtype)
        elif self.evaluation == "threshold":
            hard = ops.cast(probability > 0.5, probability.dtype)
        else:
            return probability
        return probability + ops.stop_gradient(hard - probability)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"evaluation": self.evaluation, "seed": self.seed}
