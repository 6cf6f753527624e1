"""A discriminator of audio with spectral normalisation, and the losses of adversarial training."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

SLOPE = 0.2  # of the leaky rectifiers
EPS = 1e-12


@keras.saving.register_keras_serializable("keras_rawaudio")
class Discriminator(keras.Layer):
    """A strided convnet over samples that tells real audio from other audio.

    Each kernel is divided by an estimate of its largest singular value. `update` refines the
    estimate by one power iteration. Training calls it once per step.

    Args:
        filters: of each hidden layer.
        layers: hidden layers.
        kernel_size: samples, or outputs of the layer below, that a filter reads.
        stride: by which each hidden layer shortens the signal.

    Call arguments:
        inputs: `(B, N)` values, about one wide.
        frozen: whether its weights are constants to the gradient, which still reaches the inputs.

    Returns:
        Logits `(B, M)`, `M` about `N / stride ** layers`: above 0 for real audio.

    Example:
        >>> Discriminator(filters=4, layers=2)(ops.zeros((3, 64))).shape
        TensorShape([3, 4])

    Reference:
        Miyato et al. 2018, "Spectral normalization for generative adversarial networks",
        section 2.1 and algorithm 1.
    """

    def __init__(
        self,
        filters: int = 32,
        layers: int = 3,
        kernel_size: int = 16,
        stride: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.layers = layers
        self.kernel_size = kernel_size
        self.stride = stride

    def build(self, input_shape: Any) -> None:
        widths = [1, *[self.filters] * self.layers, 1]
        sizes = [*[self.kernel_size] * self.layers, 1]
        self.kernels, self.biases, self.directions = [], [], []
        for i, (size, before, after) in enumerate(zip(sizes, widths[:-1], widths[1:], strict=True)):
            self.kernels.append(
                self.add_weight((size, before, after), "he_normal", name=f"kernel{i}")
            )
            self.biases.append(self.add_weight((after,), "zeros", name=f"bias{i}"))
            self.directions.append(
                self.add_weight((after, 1), "random_normal", name=f"direction{i}", trainable=False)
            )

    def call(self, inputs: Any, frozen: bool = False) -> Any:
        hidden = inputs[..., None]
        for i, (kernel, bias) in enumerate(zip(self.normalized(), self.biases, strict=True)):
            if frozen:
                kernel, bias = ops.stop_gradient(kernel), ops.stop_gradient(bias)
            strides = self.stride if i < self.layers else 1
            hidden = ops.conv(hidden, kernel, strides=strides, padding="same") + bias
            if i < self.layers:
                hidden = ops.leaky_relu(hidden, SLOPE)
        return hidden[..., 0]

    def normalized(self) -> list[Any]:
        """The kernels over their largest singular values, as estimated."""
        made = []
        for kernel, direction in zip(self.kernels, self.directions, strict=True):
            matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
            left, right = _power_iteration(matrix, direction)
            norm = ops.sum(left * ops.matmul(matrix, right))
            made.append(kernel / (norm + EPS))
        return made

    def update(self) -> None:
        """Refine the estimates of the singular values."""
        for kernel, direction in zip(self.kernels, self.directions, strict=True):
            matrix = ops.reshape(kernel, (-1, kernel.shape[-1]))
            direction.assign(_power_iteration(matrix, direction)[1])

    def compute_output_shape(self, input_shape: Any) -> Any:
        rows, samples = input_shape
        for _ in range(self.layers if samples else 0):
            samples = -(-samples // self.stride)
        return rows, samples

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "filters": self.filters,
            "layers": self.layers,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
        }


def generator_loss(fake: Any) -> Any:
    """How far generated audio is from being taken as real: `(B,)` nats, ln 2 at chance.

    Args:
        fake: `(B, M)` logits of generated audio, from a frozen discriminator.

    Reference:
        Goodfellow et al. 2014, "Generative adversarial nets", section 3 (the loss that does not
        saturate).
    """
    return ops.mean(ops.softplus(-fake), axis=-1)


def discriminator_loss(real: Any, fake: Any) -> Any:
    """Cross entropy of the discriminator's decisions: `(B,)` nats, ln 2 at chance.

    Args:
        real: `(B, M)` logits of real audio.
        fake: `(B, M)` logits of other audio, which the gradient must not reach.
    """
    return 0.5 * ops.mean(ops.softplus(-real) + ops.softplus(fake), axis=-1)


def _power_iteration(matrix: Any, right: Any) -> tuple[Any, Any]:
    """Singular vectors `(rows, 1)` and `(columns, 1)`, one iteration on, without gradient."""
    left = _unit(ops.matmul(matrix, right))
    return left, _unit(ops.matmul(ops.transpose(matrix), left))


def _unit(vector: Any) -> Any:
    return ops.stop_gradient(vector / (ops.norm(vector) + EPS))
