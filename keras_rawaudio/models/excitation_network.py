"""What predictions leave open: the network that says how the next samples lie about them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

SLOPE = 6.0  # errors count up to so many times their scale


@keras.saving.register_keras_serializable("keras_rawaudio")
class InnovationNetwork(keras.layers.Layer):
    """A mixture of logistics for each of the next `bunch` samples.

    It is *told*, once a frame, what the frame's word stands for, its voice, what was before, and
    the time; and it *sees*, each time it runs, the last samples and the last errors. What it is
    told enters the first layer as a bias, another one for each run in the frame. It starts near
    zero: an untrained one leaves the prediction alone.

    Args:
        bunch: samples that it speaks of each time it runs.
        steps: times that it runs in a frame.
        width: width of the hidden layers.
        layers: hidden layers, 1 or more.
        mixtures: logistics in a mixture.
        dropout: share of what it sees and says within that is left out in training.

    Example:
        >>> network = InnovationNetwork(bunch=8, steps=4, width=16)
        >>> network.build_for(sounds=22, more=4)
        >>> sound = keras.ops.zeros((2, 3, 22))
        >>> network.tell(sound, sound, keras.ops.zeros((2, 3, 4))).shape
        TensorShape([2, 12, 16])

    Reference:
        Valin and Skoglund 2019, "LPCNet", sections 2.2 and 3 (a network around a linear prediction,
        with one part that runs once a frame); Vipperla et al. 2020, "Bunched LPCNet".
    """

    def __init__(
        self,
        bunch: int,
        steps: int,
        width: int = 256,
        layers: int = 2,
        mixtures: int = 4,
        dropout: float = 0.15,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bunch = bunch
        self.steps = steps
        self.width = width
        self.layers = layers
        self.mixtures = mixtures
        self.dropout = keras.layers.Dropout(dropout, name="dropout")
        self.condition = keras.layers.Dense(width // 2, name="condition")
        self.entry = keras.layers.Dense(width, name="entry")
        self.hidden = [
            keras.layers.Dense(width, activation="relu", name=f"hidden{i}")
            for i in range(1, layers)
        ]
        small = keras.initializers.RandomNormal(stddev=1e-3)
        self.mixture = keras.layers.Dense(
            bunch * 3 * mixtures, kernel_initializer=small, name="mixture"
        )

    def build_for(self, sounds: int, more: int) -> None:
        """Make the weights: `sounds` numbers for what a word stands for, and `more` to be told."""
        self.condition.build((None, 2 * sounds + more))
        # Where in the frame each step stands.
        self.places = self.add_weight(
            shape=(self.steps, self.width // 2), initializer="random_normal", name="places"
        )
        self.upsampling = self.add_weight(
            shape=(self.width // 2, self.steps * self.width),
            initializer="glorot_normal",
            name="upsampling",
        )
        self.entry.build((None, 4 * self.bunch + 5))
        for layer in [*self.hidden, self.mixture]:
            layer.build((None, self.width))
        spread = np.linspace(-1.2, 0.6, self.mixtures)
        bias = np.stack([0 * spread, spread, 0 * spread])
        self.mixture.bias.assign(np.tile(bias.ravel(), self.bunch).astype("float32"))
        self.built = True

    def tell(self, sound: Any, before: Any, more: Any) -> Any:
        """What it is told in each of the steps of frames: `(B, Q * steps, width)`.

        Args:
            sound: `(B, Q, sounds)`: what the words stand for.
            before: `(B, Q, sounds)`: the moments before the frames.
            more: `(B, Q, more)`: the voices and the time.
        """
        told = self.condition(ops.concatenate([sound, before, more], axis=-1))
        told = ops.relu(told[:, :, None] + self.places)
        weight = ops.reshape(self.upsampling, (-1, self.steps, self.width))
        words = ops.einsum("bqsh,hsw->bqsw", told, weight)
        # The part of the first layer that is known before the turn; see `_kernel`.
        kernel = self.entry.kernel
        bias = self.entry.bias + float(np.log(1000.0)) * kernel[-5]
        levels = ops.expand_dims(ops.matmul(sound[..., -2:], kernel[-2:]) + bias, 2)
        return ops.reshape(words + levels, (-1, sound.shape[1] * self.steps, self.width))

    def see(self, heard: dict[str, Any]) -> Any:
        """What it sees `(..., n)`, not to scale: `call` sees to that.

        Args:
            heard: the last `error`s, their `scale`, the last `samples` and their `powers`, each
                `(..., n)`.
        """
        return ops.concatenate(
            [
                ops.clip(heard["error"] / heard["scale"], -SLOPE, SLOPE),
                ops.arcsinh(255.0 * heard["samples"]),
                ops.log(heard["scale"]),
                ops.log(heard["powers"]),
            ],
            axis=-1,
        )

    def call(self, seen: Any, told: Any, training: bool = False) -> Any:
        """What it makes of what it sees and is told: `(..., width)`, for `mixture`."""
        h = ops.relu(ops.matmul(seen, self._kernel()) + told)
        for layer in self.hidden:
            h = layer(self.dropout(h, training=training))
        return h

    def _kernel(self) -> Any:
        """The first layer for what is seen as `see` has it.

        It takes samples at 0.16 of what they are, the logarithm of the scale in thousandths, the
        two levels, and how much louder the word is. Scaled weights cost nothing where scaled inputs
        would cost time, and half of a difference is known before the turn.
        """
        kernel, R = self.entry.kernel, 2 * self.bunch
        levels, louder = kernel[-4:-2], kernel[-2:]
        units = np.ones((kernel.shape[0] - 2, 1), "float32")
        units[-3 - R : -3], units[-2:] = 0.16, 0.25
        return units * ops.concatenate([kernel[:-4], levels - louder], axis=0)

    @staticmethod
    def parts(mixture: Any, axis: int = -1) -> tuple[Any, Any, Any]:
        """Means and scales of logistics, in units of the errors' scale, and logits."""
        delta, scales, logits = ops.split(mixture, 3, axis=axis)
        return delta, ops.exp(ops.clip(scales, -5.0, 4.0)), logits

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "bunch": self.bunch,
            "steps": self.steps,
            "width": self.width,
            "layers": self.layers,
            "mixtures": self.mixtures,
            "dropout": self.dropout.rate,
        }
