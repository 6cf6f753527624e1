"""Envelope codebook: one code per frame for its spectral envelope and level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.dsp.clustering import kmeans
from keras_rawaudio.models.distributions import one_hot_argmax
from keras_rawaudio.models.envelope_features import EnvelopeFeatures

MAX_FRAMES = 20_000  # frames that the codebook is fitted on
BAND_WEIGHT = 2.0  # weight of all bands together; each of the two levels weighs 1


@keras.saving.register_keras_serializable("keras_rawaudio")
class EnvelopeCodebook(keras.layers.Layer):
    """Vector quantization of a frame's `EnvelopeFeatures`, with a prior over the codes.

    Features span two frames. The codebook holds the k-means centres of the train part (`fit`). In
    training the code is encoded from the frame, and its negative log-likelihood is part of the
    loss. In generation it is sampled first, and the frame is then drawn to fit it: level and timbre
    follow the code instead of small errors of the audio, so they do not drift.

    Args:
        codebook_size: number of codes, 2 or more, at most `frame`: each sample of a frame brings
            the noise for one code.
        frame: samples per frame.

    Example:
        >>> codebook = EnvelopeCodebook(codebook_size=8, frame=64)
        >>> codebook.build((None, 16))
        >>> features = codebook.features(keras.ops.zeros((2, 4 * 64)))
        >>> codebook.encode(features).shape
        TensorShape([2, 3, 8])

    Reference:
        van den Oord, Vinyals and Kavukcuoglu 2017, "Neural discrete representation learning"
        (a prior over discrete codes); Linde, Buzo and Gray 1980, "An algorithm for vector quantizer
        design".
    """

    def __init__(self, codebook_size: int, frame: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 1 < codebook_size <= frame:
            raise ValueError(
                "an envelope codebook needs 2 codes or more, not more than a frame has samples; "
                f"there are {codebook_size} codes and {frame} samples"
            )
        self.codebook_size = codebook_size
        self.frame = frame
        self.extract = EnvelopeFeatures(2 * frame)
        self.num_features = self.extract.num_features
        self.logits = keras.layers.Dense(codebook_size, name="logits")

    def build(self, input_shape: Any) -> None:
        self.codebook = self.add_weight(
            shape=(self.codebook_size, self.num_features),
            initializer="random_normal",
            trainable=False,
            name="codebook",
        )
        self.logits.build((None, input_shape[-1]))

    def fit(self, segments: Sequence[np.ndarray]) -> None:
        """Fit the codebook to `segments` of the train part, each `(n,)`."""
        size = 2 * self.frame
        places = [
            (s, start)
            for s, segment in enumerate(segments)
            for start in range(0, len(segment) - size + 1, self.frame)
        ]
        rng = np.random.default_rng(0)
        if len(places) > MAX_FRAMES:
            places = [places[i] for i in sorted(rng.choice(len(places), MAX_FRAMES, replace=False))]
        features = np.concatenate(
            [
                self._extract([segments[s][p : p + size] for s, p in places[i : i + 500]])
                for i in range(0, len(places), 500)
            ]
        )
        weights = self._weights()
        count = min(self.codebook_size, len(features))
        centres = kmeans(features * weights, count, rng)
        repeated = np.resize(centres / weights, self.codebook.shape)
        self.codebook.assign(repeated.astype("float32"))

    def _extract(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(ops.convert_to_numpy(self.extract(np.array(windows, "float32"))))

    def _weights(self) -> np.ndarray:
        """Weights of the features in the distance, `(num_features,)`."""
        bands = self.num_features - 2
        return np.array([BAND_WEIGHT / np.sqrt(bands)] * bands + [1.0, 1.0], "float32")

    def features(self, x: Any) -> Any:
        """Features `(B, T, num_features)`, each of two frames of `x (B, (T + 1) * frame)`.

        By convention `x` ends one sample before the frames do: the last sample of a window is not
        known when it is read.
        """
        T = x.shape[1] // self.frame - 1
        pieces = ops.reshape(x, (-1, T + 1, self.frame))
        return self.extract(ops.concatenate([pieces[:, :-1], pieces[:, 1:]], axis=-1))

    def encode(self, features: Any) -> Any:
        """The nearest code of features `(..., num_features)`, one-hot `(..., codebook_size)`."""
        weights = self._weights()
        centres = ops.transpose(self.codebook * weights)
        # argmin |f - c|^2 = argmax f c - |c|^2 / 2
        closeness = ops.matmul(features * weights, centres)
        closeness = closeness - 0.5 * ops.sum(ops.square(centres), axis=0)
        nearest = one_hot_argmax(closeness)
        return ops.stop_gradient(nearest / ops.sum(nearest, axis=-1, keepdims=True))

    def nll(self, logits_input: Any, code: Any, offset: Any) -> Any:
        """Negative log-likelihood of a code, in nats `(...)`.

        Args:
            logits_input: the tier's output `(..., width)`.
            code: one-hot `(..., codebook_size)`.
            offset: added to the logits, `(..., codebook_size)`.
        """
        logits = ops.log_softmax(self.logits(logits_input) + offset)
        return -ops.sum(logits * code, axis=-1)

    def sample(self, logits_input: Any, noise: Any, offset: Any) -> Any:
        """A code `(B, codebook_size)`, one-hot, by Gumbel-max; `noise` are Gumbel variables and
        all arguments are as for `nll`."""
        return one_hot_argmax(self.logits(logits_input) + offset + noise)

    def rises(self) -> Any:
        """`(codebook_size, codebook_size)`: how far a code's level rises from another's, in dB.

        In the mean over bands, from the code of the row to that of the column; 0 where it falls.
        """
        bands = self.codebook[:, :-2] * (40.0 / np.log(10.0))
        return ops.mean(ops.maximum(bands[None] - bands[:, None], 0.0), axis=-1)

    def decode(self, code: Any) -> Any:
        """The centres `(..., num_features)` of codes `(..., codebook_size)`."""
        return ops.matmul(code, self.codebook)

    def get_config(self) -> dict[str, Any]:
        own = {"codebook_size": self.codebook_size, "frame": self.frame}
        return {**super().get_config(), **own}
