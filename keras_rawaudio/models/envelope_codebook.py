"""The outline of a piece: a word from a small vocabulary for what each moment sounds like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.dsp.clustering import clusters
from keras_rawaudio.models.distributions import winner
from keras_rawaudio.models.envelope_features import Bands

MOST = 20_000  # moments that the vocabulary is made from
BAND_WEIGHT = 2.0  # all bands together count this much beside each of the two levels


@keras.saving.register_keras_serializable("keras_rawaudio")
class Outline(keras.layers.Layer):
    """Says what the next frame will sound like before a sample of it is drawn.

    A moment is described by `Bands` over two frames; the vocabulary is the centres of k-means over
    the moments of the train part (`fit`). The word of a frame is drawn from a softmax of the
    tier's output, then the frame is drawn to fit it: level and timbre follow the outline and not
    the small errors of the audio, so they do not drift. In training the word is read off the
    frame itself, and what it cost to say it is part of the likelihood.

    Args:
        words: size of the vocabulary.
        frame: samples of a moment; not fewer than words, as each sample of a frame brings one
            number of chance for one word.

    Example:
        >>> outline = Outline(words=8, frame=64)
        >>> outline.build_for(width=16)
        >>> moments = outline.describe(keras.ops.zeros((2, 4 * 64)))
        >>> outline.word(moments).shape
        TensorShape([2, 3, 8])

    Reference:
        van den Oord, Vinyals and Kavukcuoglu 2017, "Neural discrete representation learning"
        (a prior over discrete codes, then audio that fits them); Linde, Buzo and Gray 1980, "An
        algorithm for vector quantizer design".
    """

    def __init__(self, words: int, frame: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 1 < words <= frame:
            raise ValueError(
                f"an outline needs 2 words or more, not more than a frame has samples; there are "
                f"{words} words and {frame} samples"
            )
        self.words = words
        self.frame = frame
        self.bands = Bands(2 * frame)
        self.prediction = keras.layers.Dense(words, name="prediction")

    def build_for(self, width: int) -> None:
        """Make the weights, for a tier whose output is `width` wide."""
        self.vocabulary = self.add_weight(
            shape=(self.words, self.bands.features),
            initializer="random_normal",
            trainable=False,
            name="vocabulary",
        )
        self.prediction.build((None, width))
        self.built = True

    def fit(self, segments: Sequence[np.ndarray]) -> None:
        """Make the vocabulary from `segments` of the train part."""
        size = 2 * self.frame
        places = [
            (s, start)
            for s, segment in enumerate(segments)
            for start in range(0, len(segment) - size + 1, self.frame)
        ]
        rng = np.random.default_rng(0)
        if len(places) > MOST:
            places = [places[i] for i in sorted(rng.choice(len(places), MOST, replace=False))]
        moments = np.concatenate(
            [
                self._described([segments[s][p : p + size] for s, p in places[i : i + 500]])
                for i in range(0, len(places), 500)
            ]
        )
        importance = self._importance()
        count = min(self.words, len(moments))
        centres, _ = clusters(moments * importance, count, rng)
        repeated = np.resize(centres / importance, self.vocabulary.shape)
        self.vocabulary.assign(repeated.astype("float32"))

    def _described(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(ops.convert_to_numpy(self.bands(np.array(windows, "float32"))))

    def _importance(self) -> np.ndarray:
        bands = self.bands.features - 2
        return np.array([BAND_WEIGHT / np.sqrt(bands)] * bands + [1.0, 1.0], "float32")

    def describe(self, x: Any) -> Any:
        """Moments `(B, T, features)`, each of two frames of `x (B, (T + 1) * frame)`.

        Everywhere `x` ends one sample before the frames that are described: when a window is read,
        its last sample is not known.
        """
        T = x.shape[1] // self.frame - 1
        pieces = ops.reshape(x, (-1, T + 1, self.frame))
        return self.bands(ops.concatenate([pieces[:, :-1], pieces[:, 1:]], axis=-1))

    def word(self, moments: Any) -> Any:
        """The nearest word to each moment `(..., features)`, one-hot: `(..., words)`."""
        importance = self._importance()
        known = ops.transpose(self.vocabulary * importance)
        closeness = ops.matmul(moments * importance, known)
        closeness = closeness - 0.5 * ops.sum(ops.square(known), axis=0)
        nearest = winner(closeness)
        return ops.stop_gradient(nearest / ops.sum(nearest, axis=-1, keepdims=True))

    def cost(self, spoken: Any, word: Any, fitting: Any) -> Any:
        """Nats `(...)` for `word (..., words)` where the tier said `spoken (..., width)` and
        something else speaks for words by `fitting (..., words)`."""
        logits = ops.log_softmax(self.prediction(spoken) + fitting)
        return -ops.sum(logits * word, axis=-1)

    def draw(self, spoken: Any, gumbel: Any, fitting: Any) -> Any:
        """A word `(B, words)`, one-hot, for `spoken (B, width)`; `gumbel` and `fitting` are
        `(B, words)`."""
        return winner(self.prediction(spoken) + fitting + gumbel)

    def sound(self, word: Any) -> Any:
        """What words `(..., words)` stand for: `(..., features)`."""
        return ops.matmul(word, self.vocabulary)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "words": self.words, "frame": self.frame}
