"""Whether streams follow the train part: a running correlation of spectra at each place of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.models.carried_state import State
from keras_rawaudio.models.code_mel import POWER_FLOOR, log_mel_of_codes, mel_powers
from keras_rawaudio.models.spectral_codec import CODES, SpectralCodec

PRODUCTS = "copy_products"  # the state that holds, for each place, the products with its spectra
MOMENTS = "copy_moments"  # the state that holds the sum of what was drawn, and of its squares
BANDS = 20
TIME_CONSTANT = 1.0  # seconds
# Of the train part, half a block from each other: what is drawn may be read anywhere in a block.
READINGS = 2
# A variance under this share of the train part's counts as this: the same silence is no copy.
LEAST_VARIANCE = 0.05


@keras.saving.register_keras_serializable("keras_rawaudio")
class CopyDetector(keras.layers.Layer):
    """Correlates the last seconds of a stream with those before each place of the train part.

    Formula: `S_t(p) = a S_{t-1}(p-1) + <x_t, X_p>`. `x_t` is the standardised log mel spectrum of
    what was drawn, `X_p` that of place `p`, and `<x, X>` the mean of the products of their bands.
    `a = exp(-h / tau)` for blocks of `h` seconds; `tau` is one second. Values and squares are
    summed likewise, and give the means and the variances.

    Nothing of it learns by gradients: `fit` takes all of it from the train part.

    Args:
        codec: has the entries; they are set before `fit`.
        places: blocks of the train part, over all readings of it.

    Attributes:
        threshold: `()`, the correlation from which on a stream copies; 0: it is not sought.
            `training.memory_limit` sets it.

    Example:
        >>> codec = SpectralCodec(8000, codebook_size=16)
        >>> detector = CopyDetector(codec, places=300)
        >>> detector.build()
        >>> detector.fit([np.zeros((300, 3), int)])
        >>> _ = detector.threshold.assign(0.8)
        >>> state = {CODES: ops.zeros((2, 3)), PRODUCTS: ops.zeros((2, 300)),
        ...          MOMENTS: ops.zeros((2, 2))}
        >>> copies, state = detector.step(state, 1.0)
        >>> copies.numpy().tolist()
        [[False], [False]]

    Reference:
        Lewis 1995, "Fast normalized cross-correlation"; Ippolito et al. 2023, "Preventing
        generation of verbatim memorization in language models gives a false sense of privacy",
        which checks each draw against the training data, too.
    """

    def __init__(self, codec: SpectralCodec, places: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.codec, self.places = codec, places

    def build(self, input_shape: Any = None) -> None:
        bands, levels = self.codec.bands, self.codec.codebook_size
        self.powers, self.mean, self.deviation, self.spectra, self.sums, self.root_variances = (
            self.add_weight(shape, initializer=first, trainable=False, name=name)
            for name, shape, first in (
                ("powers", (bands, levels, BANDS), "zeros"),
                ("mean", (BANDS,), "zeros"),
                ("deviation", (BANDS,), "ones"),
                ("spectra", (BANDS, self.places), "zeros"),
                ("sums", (self.places,), "zeros"),
                ("root_variances", (self.places,), "ones"),
            )
        )
        self.threshold = self.add_weight((), initializer="zeros", trainable=False, name="threshold")
        self.built = True

    @property
    def seeks(self) -> bool:
        """Whether it has a threshold."""
        return float(np.asarray(self.threshold)) > 0

    @property
    def decay(self) -> float:
        """Of what a block counts, from block to block."""
        return self.codec.decay(TIME_CONSTANT)

    @property
    def second(self) -> float:
        """Blocks per second."""
        return self.codec.rate / self.codec.spectra.block

    def state_spec(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """Shape without the batch and first value of each tensor of its state."""
        return {PRODUCTS: ((self.places,), 0.0), MOMENTS: ((2,), 0.0)}

    def fit(self, rows: Sequence[np.ndarray]) -> None:
        """Take the spectra from codes.

        Args:
            rows: stretches of the train part, `(blocks, bands)` from 0, each read `READINGS` times;
                no more than `places` blocks in all.
        """
        powers = mel_powers(self.codec, BANDS)
        self.powers.assign(powers)
        codes = np.concatenate([np.zeros((0, self.codec.bands), int), *rows])
        spectra = log_mel_of_codes(codes, powers)
        mean, deviation = spectra.mean(axis=0), np.maximum(spectra.std(axis=0), 1e-2)
        self.mean.assign(mean)
        self.deviation.assign(deviation)
        missing = ((0, self.places - len(spectra)), (0, 0))
        spectra = np.pad((spectra - mean) / deviation, missing)
        self.spectra.assign(spectra.T)
        each = np.stack([spectra.mean(axis=1), np.square(spectra).mean(axis=1)])
        sums = np.zeros_like(each)
        last = np.zeros(2)
        for place in range(self.places):
            last = sums[:, place] = self.decay * last + each[:, place]
        self.sums.assign(sums[0])
        self.root_variances.assign(np.sqrt(_variance(sums[0], sums[1], 1.0 - self.decay)))

    def step(self, state: State, drawn: Any) -> tuple[Any, State]:
        """Count the block before, and say whether the last second follows the train part.

        What is read does not count.

        Args:
            state: `CODES`, `PRODUCTS` and `MOMENTS`.
            drawn: 1 where the next block is drawn, 0 where it is read.

        Returns:
            `(B, 1)` booleans, and what of the state is new.
        """
        spectrum = self._spectrum(ops.cast(state[CODES], "int32"))
        moved = ops.pad(state[PRODUCTS][:, :-1], ((0, 0), (1, 0)))
        products = ops.matmul(spectrum, self.spectra) / BANDS
        products = (self.decay * moved + products) * drawn
        each = [ops.mean(values, axis=1) for values in (spectrum, ops.square(spectrum))]
        moments = (self.decay * state[MOMENTS] + ops.stack(each, axis=1)) * drawn
        share = 1.0 - self.decay
        covariance = products - share * moments[:, :1] * self.sums
        root_variance = ops.sqrt(_variance(moments[:, :1], moments[:, 1:], share))
        follows = covariance >= self.threshold * root_variance * self.root_variances
        return ops.any(follows, axis=1, keepdims=True), {PRODUCTS: products, MOMENTS: moments}

    def _spectrum(self, codes: Any) -> Any:
        """Standardised log mel spectrum `(B, BANDS)` of a block; zeros for none."""
        bands = range(self.codec.bands)
        power = sum(ops.take(self.powers[b], ops.maximum(codes[:, b], 0), axis=0) for b in bands)
        there = ops.cast(codes[:, :1] >= 0, "float32")
        return (ops.log(power + POWER_FLOOR) - self.mean) / self.deviation * there

    def get_config(self) -> dict[str, Any]:
        codec = keras.saving.serialize_keras_object(self.codec)
        return {**super().get_config(), "codec": codec, "places": self.places}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> CopyDetector:
        codec = keras.saving.deserialize_keras_object(config["codec"])
        return cls(**{**config, "codec": codec})


def _variance(sums: Any, squares: Any, share: float) -> Any:
    """Of values whose sums are given, times what all of them count, `1 / share`."""
    return ops.maximum(squares - share * ops.square(sums), LEAST_VARIANCE / share)
