"""A distribution around a linear prediction: it starts from what is known for nothing."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.models.heads.base import Head

BLOCK = 64  # predictions that one product of matrices makes
UNIFORM = 1e-3  # share of a uniform distribution, so that no cell is impossible
SLOPE = 6.0  # residuals count up to so many times their scale
# Quantiles of the train part that free running stays within: of the scale, and of one residual.
CEILING = 0.999
REACH = 0.9975
TAIL = 1e-5  # draws keep this far from 0 and 1


@keras.saving.register_keras_serializable("keras_rawaudio")
class PredictiveHead(Head):
    """Logistics around a linear prediction, scaled by the last residuals.

    `p` is the linear prediction from the last `order` samples, fitted on the train part (`fit`)
    and then left alone; `g` is the mean size of the last `residuals` residuals. A small network
    sees these residuals over `g`, the last samples companded, `log g`, the companded `p` and the
    tier's conditioning, and says how a mixture of `mixtures` logistics lies about the prediction:
    means `p + g * delta`, scales `g * exp(s)`, and weights. It starts near zero, so that an
    untrained model is an adaptive linear predictor already.

    Samples are floats relative to the train part's peak; nothing is quantised. Bits are counted on
    mu-law cells: the mass of the mixture on the cell that the sample falls into.

    Args:
        order: past samples that the linear prediction sees.
        residuals: recent residuals, and samples, that the network sees.
        width: width of the hidden layers.
        layers: hidden layers, 1 or more.
        mixtures: logistics in the mixture.
        levels: mu-law cells that bits are counted on.
        floor: least `g`, relative to the peak.
        jitter: in training, noise on the samples that are seen, as a multiple of their own `g`:
            the model learns to come back from small mistakes of its own.

    Example:
        >>> head = PredictiveHead(order=32, width=16)
        >>> head.build_for(16, frame=8)
        >>> recent = keras.ops.zeros((1, head.context - 1 + 40))
        >>> mixture = head(recent, keras.ops.zeros((1, 40, 16)))
        >>> head.loss(mixture, keras.ops.zeros((1, 40))).shape
        TensorShape([1, 40])

    Reference:
        Salimans et al. 2017, "PixelCNN++", section 2.1 (logistics on cells); Valin and Skoglund
        2019, "LPCNet", section 2.2 (a network around a linear prediction).
    """

    kind = "predictive"
    per_sample = True
    measure = "bits_per_sample"

    def __init__(
        self,
        order: int = 128,
        residuals: int = 16,
        width: int = 128,
        layers: int = 2,
        mixtures: int = 4,
        levels: int = 256,
        floor: float = 1e-4,
        jitter: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if order < 1 or residuals < 1 or layers < 1 or mixtures < 1:
            raise ValueError("a predictive head needs order, residuals, layers, mixtures >= 1")
        self.order = order
        self.residuals = residuals
        self.width = width
        self.layers = layers
        self.mixtures = mixtures
        self.levels = levels
        self.floor = floor
        self.jitter = jitter
        self.seed_generator = keras.random.SeedGenerator() if jitter else None
        self.context = order + residuals
        self.noise_per_sample = mixtures + 1
        self.hidden = [
            keras.layers.Dense(width, activation="relu", name=f"hidden{i}")
            for i in range(1, layers)
        ]
        small = keras.initializers.RandomNormal(stddev=1e-3)
        self.mixture = keras.layers.Dense(3 * mixtures, kernel_initializer=small, name="mixture")

    def conditioning_width(self) -> int:
        return self.width

    def build_for(self, width: int, frame: int) -> None:
        # Oldest sample first, as everywhere; before `fit`, the last sample again.
        self.coefficients = self.add_weight(
            shape=(self.order,), initializer=_last_sample, trainable=False, name="coefficients"
        )
        # The greatest `g`: nothing louder than the train part ever starts to feed itself.
        self.ceiling = self.add_weight(
            shape=(1,), initializer="ones", trainable=False, name="ceiling"
        )
        # How far a draw may lie from the prediction, for the same reason.
        self.reach = self.add_weight(shape=(1,), initializer="ones", trainable=False, name="reach")
        self.entry = self.add_weight(
            shape=(2 * self.residuals + 2, self.width), initializer="he_normal", name="entry"
        )
        for layer in [*self.hidden, self.mixture]:
            layer.build((None, self.width))
        spread = np.linspace(-1.2, 0.6, self.mixtures)
        self.mixture.bias.assign(np.concatenate([0 * spread, spread, 0 * spread]))
        self.built = True

    def fit(self, segments: Any) -> None:
        """Fit the linear prediction: `segments` of the train part, floats relative to the peak."""
        from keras_rawaudio.listening.weighted_prediction import (
            fit_weighted_prediction,
            residual_sizes,
        )

        if max(map(len, segments)) < 2 * self.context:
            raise UserError(
                f"the audio is too short for a linear prediction of order {self.order}; "
                "use longer audio or a lower head.order"
            )
        a = fit_weighted_prediction(segments, self.order)
        self.coefficients.assign(a[::-1].copy())
        for limit, window, quantile in (
            (self.ceiling, self.residuals, CEILING),
            (self.reach, 1, REACH),
        ):
            sizes = residual_sizes(segments, a, window)
            limit.assign([max(float(np.quantile(sizes, quantile)), self.floor)])

    def call(self, recent: Any, conditioning: Any, training: bool = False) -> Any:
        """`(B, N, 2 + 3 * mixtures)`: prediction, scale, and the mixture about them."""
        N, R = conditioning.shape[1], self.residuals
        # One prediction for each of the R samples before the first target, and for every target.
        p = self._predictions(recent, N + R)
        residual = recent[:, self.order :] - p[:, : N + R - 1]
        if training and self.jitter:
            recent = recent + self._draw_jitter(residual, N)
            p = self._predictions(recent, N + R)
            residual = recent[:, self.order :] - p[:, : N + R - 1]
        last = ops.stack([residual[:, k : k + N] for k in range(R)], axis=-1)
        squashed = self._squash(recent[:, self.order :])
        past = [squashed[:, k : k + N] for k in range(R)]
        p = p[:, R:]
        h, g = self._enter(last, ops.stack([*past, self._squash(p)], axis=-1), conditioning)
        p = p[:, :, None]
        return ops.concatenate([p, g, self._mix(h)], axis=-1)

    def _draw_jitter(self, residual: Any, N: int) -> Any:
        """Noise for all of `recent`, as strong as the residuals around."""
        R = self.residuals
        scale = sum(ops.abs(residual[:, k : k + N]) for k in range(R)) * (self.jitter / R)
        # Before the first full window, the first scale that there is.
        first = ops.repeat(scale[:, :1], self.context - 1, axis=1)
        scale = ops.concatenate([first, scale], axis=1)
        return scale * keras.random.normal(ops.shape(scale), seed=self.seed_generator)

    def _predictions(self, x: Any, count: int) -> Any:
        """`count` predictions, the first from `x[:, :order]`: a banded product block by block."""
        blocks = -(-count // BLOCK)
        views = -(-(self.order + BLOCK) // BLOCK)
        x = ops.pad(x, ((0, 0), (0, (blocks + views) * BLOCK - x.shape[1])))
        rows = ops.reshape(x, (-1, blocks + views, BLOCK))
        seen = ops.concatenate([rows[:, k : k + blocks] for k in range(views)], axis=-1)
        band = self._band(self.order + BLOCK, BLOCK)
        p = ops.matmul(seen[:, :, : self.order + BLOCK], band)
        return ops.stop_gradient(ops.reshape(p, (-1, blocks * BLOCK))[:, :count])

    def _band(self, rows: int, columns: int) -> Any:
        """`(rows, columns)`: column `k` predicts what follows `x[k : k + order]`."""
        # A vector one longer than the rows, repeated, wraps round one place further a column.
        padded = ops.pad(self.coefficients, (0, rows + 1 - self.order))
        return ops.transpose(
            ops.reshape(ops.tile(padded, columns)[: columns * rows], (columns, rows))
        )

    def _compand(self, x: Any) -> Any:
        mu = float(self.levels - 1)
        return ops.sign(x) * ops.log(1.0 + mu * ops.abs(x)) * (1.0 / math.log1p(mu))

    @staticmethod
    def _squash(x: Any) -> Any:
        """Much like mu-law, by a function that is one node of a graph: what the network sees."""
        return ops.arcsinh(x * 255.0) * 0.16

    def _enter(self, last: Any, squashed: Any, conditioning: Any) -> tuple[Any, Any]:
        """The first hidden layer, from residuals and from squashed samples with `p` behind them."""
        g = ops.maximum(ops.mean(ops.abs(last), axis=-1, keepdims=True), self.floor)
        g = ops.minimum(g, self.ceiling)
        relative = ops.clip(last / g, -SLOPE, SLOPE)
        seen = ops.concatenate([relative, squashed, ops.log(g * 1000.0)], axis=-1)
        return ops.relu(ops.matmul(seen, self.entry) + conditioning), g

    def _mix(self, h: Any) -> Any:
        for layer in self.hidden:
            h = layer(h)
        return self.mixture(h)

    def _parts(self, mixture: Any) -> tuple[Any, Any, Any]:
        K = self.mixtures
        delta, scales, logits = ops.split(mixture, [K, 2 * K], axis=-1)
        return delta, ops.exp(ops.clip(scales, -5.0, 4.0)), logits

    def loss(self, prediction: Any, target: Any) -> Any:
        p, g = prediction[..., :1], prediction[..., 1:2]
        delta, scales, logits = self._parts(prediction[..., 2:])
        low, high = (edge[..., None] for edge in self._cell(target))
        centre = p + g * delta
        width = g * scales
        mass = ops.sigmoid((high - centre) / width) - ops.sigmoid((low - centre) / width)
        mass = ops.sum(ops.softmax(logits) * mass, axis=-1)
        return -ops.log((1.0 - UNIFORM) * mass + UNIFORM / self.levels)

    def _cell(self, target: Any) -> tuple[Any, Any]:
        """Edges of the mu-law cell that a sample falls into; the outermost reach on."""
        top = float(self.levels - 1)
        code = ops.floor((self._compand(target) + 1.0) * (0.5 * top) + 0.5)
        low, high = ((code + d) * (2.0 / top) - 1.0 for d in (-0.5, 0.5))
        low, high = self._expand(low), self._expand(high)
        return ops.where(code <= 0, -1e4, low), ops.where(code >= top, 1e4, high)

    def _expand(self, companded: Any) -> Any:
        mu = float(self.levels - 1)
        size = ops.exp(ops.abs(companded) * math.log1p(mu)) - 1.0
        return ops.sign(companded) * size * (1.0 / mu)

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        """`mixtures` Gumbel variables, of which the largest chooses, and one logistic."""
        u = ops.clip(noise, TAIL, 1.0 - TAIL)
        gumbel = -ops.log(-ops.log(u[..., : self.mixtures]))
        last = u[..., self.mixtures :]
        logistic = ops.log(last) - ops.log(1.0 - last)
        return ops.concatenate([gumbel, logistic], axis=-1) * temperature

    def step(self, recent: Any, conditioning: Any, chance: Any, temperature: Any) -> Any:
        """Draw one sample.

        Args:
            recent: `(B, context)` samples before it, oldest first.
            conditioning: `(B, width)`.
            chance: `(B, mixtures + 1)` from `prepare_noise`, which has the temperature in it.
            temperature: not needed any more.

        Returns:
            `(B, 1)`: the sample, relative to the peak.

        Reference:
            Gumbel 1954 (the largest of logits and noise is a draw from their softmax).
        """
        R, K = self.residuals, self.mixtures
        # One product gives the last residuals and the next prediction: unknown samples count as 0.
        seen = ops.matmul(recent, self._residual_bank())
        last, p = ops.split(seen, [R], axis=-1)
        squashed = self._squash(ops.concatenate([recent[:, self.order :], p], axis=-1))
        h, g = self._enter(last, squashed, conditioning)
        delta, scales, logits = self._parts(self._mix(h))
        gumbel, logistic = ops.split(chance, [K], axis=-1)
        race = logits + gumbel
        chosen = ops.cast(race >= ops.max(race, axis=-1, keepdims=True), "float32")
        offset = ops.sum(chosen * (delta + scales * logistic), axis=-1, keepdims=True)
        reach = ops.convert_to_tensor(self.reach)
        offset = ops.maximum(ops.minimum(g * offset, reach), -reach)
        return ops.clip(p + offset, -1.0, 1.0)

    def _residual_bank(self) -> Any:
        """`(context, residuals + 1)`: the last residuals, then the prediction."""
        band = self._band(self.context, self.residuals + 1)
        newest = np.zeros((self.context, self.residuals + 1), "float32")
        newest[self.order :, : self.residuals] = np.eye(self.residuals)
        sign = np.array([-1.0] * self.residuals + [1.0], "float32")
        return band * sign + newest

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "order": self.order,
            "residuals": self.residuals,
            "width": self.width,
            "layers": self.layers,
            "mixtures": self.mixtures,
            "levels": self.levels,
            "floor": self.floor,
            "jitter": self.jitter,
        }


def _last_sample(shape: Any, dtype: Any = None) -> Any:
    return ops.convert_to_tensor(np.eye(shape[0], dtype="float32")[-1])
