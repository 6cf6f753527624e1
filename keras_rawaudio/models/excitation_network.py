"""Excitation network: the distribution of the residual around the linear prediction."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

MAX_RESIDUAL = 6.0  # residuals are clipped to so many times their scale


@keras.saving.register_keras_serializable("keras_rawaudio")
class ExcitationNetwork(keras.layers.Layer):
    """A mixture of logistics for each of the next `bunch` samples.

    Once per frame `condition` turns the frame's codes into a bias of the first layer, another one
    for each subframe. Once per subframe `call` reads `features` of the last samples and residuals.
    The last layer starts near zero: an untrained network leaves the prediction alone.

    Args:
        bunch: samples per subframe; the network runs once for all of them.
        subframes: subframes per frame.
        hidden_units: width of the hidden layers.
        layers: hidden layers, 1 or more.
        num_mixtures: logistics per sample.
        dropout: dropout rate of the hidden layers.

    Example:
        >>> network = ExcitationNetwork(bunch=8, subframes=4, hidden_units=16)
        >>> network.build((None, None, 2 * 22 + 4))
        >>> envelope = keras.ops.zeros((2, 3, 22))
        >>> network.condition(envelope, envelope, keras.ops.zeros((2, 3, 4))).shape
        TensorShape([2, 12, 16])

    Reference:
        Valin and Skoglund 2019, "LPCNet", sections 2.2 and 3 (a network around a linear prediction,
        with one part that runs once per frame); Vipperla et al. 2020, "Bunched LPCNet".
    """

    def __init__(
        self,
        bunch: int,
        subframes: int,
        hidden_units: int = 256,
        layers: int = 2,
        num_mixtures: int = 4,
        dropout: float = 0.15,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bunch = bunch
        self.subframes = subframes
        self.hidden_units = hidden_units
        self.layers = layers
        self.num_mixtures = num_mixtures
        self.dropout = dropout
        self.dropout_layer = keras.layers.Dropout(dropout, name="dropout")
        self.conditioning = keras.layers.Dense(hidden_units // 2, name="conditioning")
        self.entry = keras.layers.Dense(hidden_units, name="entry")
        self.hidden = [
            keras.layers.Dense(hidden_units, activation="relu", name=f"hidden{i}")
            for i in range(1, layers)
        ]
        small = keras.initializers.RandomNormal(stddev=1e-3)
        self.mixture = keras.layers.Dense(
            bunch * 3 * num_mixtures, kernel_initializer=small, name="mixture"
        )

    def build(self, input_shape: Any) -> None:
        """`input_shape` is that of all arguments of `condition`, side by side."""
        self.conditioning.build((None, input_shape[-1]))
        self.positions = self.add_weight(
            shape=(self.subframes, self.hidden_units // 2),
            initializer="random_normal",
            name="positions",
        )
        self.upsampling = self.add_weight(
            shape=(self.hidden_units // 2, self.subframes * self.hidden_units),
            initializer="glorot_normal",
            name="upsampling",
        )
        self.entry.build((None, 4 * self.bunch + 5))
        for layer in [*self.hidden, self.mixture]:
            layer.build((None, self.hidden_units))
        spread = np.linspace(-1.2, 0.6, self.num_mixtures)
        bias = np.stack([0 * spread, spread, 0 * spread])
        self.mixture.bias.assign(np.tile(bias.ravel(), self.bunch).astype("float32"))

    def condition(self, envelope: Any, previous: Any, more: Any) -> Any:
        """The first layer's bias in each subframe: `(B, T * subframes, hidden_units)`.

        Args:
            envelope: `(B, T, n)`, the decoded envelope codes.
            previous: `(B, T, n)`, the envelope features before the frames.
            more: `(B, T, m)`, the filter indices and the clock.
        """
        S, W = self.subframes, self.hidden_units
        h = self.conditioning(ops.concatenate([envelope, previous, more], axis=-1))
        h = ops.relu(ops.reshape(h, (-1, W // 2)) + ops.expand_dims(self.positions, 1))
        weight = ops.transpose(ops.reshape(self.upsampling, (-1, S, W)), (1, 0, 2))
        # The part of the first layer that depends on the code alone; see `_kernel`.
        kernel = self.entry.kernel
        bias = self.entry.bias + float(np.log(1000.0)) * kernel[-5]
        levels = ops.reshape(ops.matmul(envelope[..., -2:], kernel[-2:]) + bias, (-1, W))
        biases = ops.transpose(ops.matmul(h, weight) + levels, (1, 0, 2))
        return ops.reshape(biases, (-1, envelope.shape[1] * S, W))

    def features(self, residual: Any, scale: Any, samples: Any, powers: Any) -> Any:
        """The network's inputs `(..., 4 * bunch + 3)`; `call` scales them.

        Args:
            residual: of the last two bunches, `(..., 2 * bunch)`.
            scale: of the residual, `(..., 1)`.
            samples: the last two bunches, `(..., 2 * bunch)`.
            powers: of the level window, `(..., 2)`.
        """
        return ops.concatenate(
            [
                ops.clip(residual / scale, -MAX_RESIDUAL, MAX_RESIDUAL),
                ops.arcsinh(255.0 * samples),
                ops.log(scale),
                ops.log(powers),
            ],
            axis=-1,
        )

    def call(self, features: Any, bias: Any, training: bool = False) -> Any:
        """The last hidden layer `(..., hidden_units)`, for `mixture`.

        Args:
            features: from `features`.
            bias: from `condition`, `(..., hidden_units)`.
            training: as in Keras.
        """
        h = ops.relu(ops.matmul(features, self._kernel()) + bias)
        for layer in self.hidden:
            h = layer(self.dropout_layer(h, training=training))
        return h

    def _kernel(self) -> Any:
        """The first layer's kernel for unscaled features.

        The layer reads `0.16 arcsinh(255 x)`, `log(1000 g)`, two levels and two differences of
        levels between code and signal. Scaling the weights instead of the inputs costs nothing,
        and the code's half of the differences is part of `condition`.
        """
        kernel, R = self.entry.kernel, 2 * self.bunch
        levels, differences = kernel[-4:-2], kernel[-2:]
        units = np.ones((kernel.shape[0] - 2, 1), "float32")
        units[-3 - R : -3], units[-2:] = 0.16, 0.25
        return units * ops.concatenate([kernel[:-4], levels - differences], axis=0)

    @staticmethod
    def parameters(mixture: Any, axis: int = -1) -> tuple[Any, Any, Any]:
        """Means and scales, in units of the residual's scale, and logits.

        Args:
            mixture: what the layer `mixture` gave.
            axis: to split.
        """
        delta, scales, logits = ops.split(mixture, 3, axis=axis)
        return delta, ops.exp(ops.clip(scales, -5.0, 4.0)), logits

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bunch": self.bunch,
            "subframes": self.subframes,
            "hidden_units": self.hidden_units,
            "layers": self.layers,
            "num_mixtures": self.num_mixtures,
            "dropout": self.dropout,
        }
