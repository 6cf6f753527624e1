"""Score a model on a part of the corpus, without touching anything that trains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.data.windows import StreamPlan, window_dataset
from keras_rawaudio.models import Model
from keras_rawaudio.models.carried_state import reset_state

# Samples in a batch, with 256 numbers predicted for each: 16 MB. The state is carried, so that the
# length of a window changes no score; more rows or longer ones are no faster on two cores.
SAMPLES, LEVELS = 1 << 14, 256


class Evaluator:
    """Reads a part as streams, each sample predicted once, and averages the loss.

    Each segment is one stream whose state runs from its first sample to its last.

    Args:
        model: the model; read, never changed.
        segments: int16 arrays, each a contiguous stretch of one file.
        starts: where in its own file each segment begins; `None`: at 0.
        labels: of each segment, for a model with labels.
    """

    def __init__(
        self,
        model: Model,
        segments: Sequence[np.ndarray],
        starts: Sequence[int] | None = None,
        labels: Sequence[int] | None = None,
    ) -> None:
        import tensorflow as tf

        self.model = model
        batch = min(8, len(segments))
        limit = max(1, SAMPLES * LEVELS // max(LEVELS, model.codec.levels or 0) // batch)
        window = math.ceil(min(limit, max(map(len, segments))) / model.frame) * model.frame
        plan = StreamPlan([len(s) for s in segments], window, batch)
        self._terms: tuple[str, ...] = ()
        self._batch = batch
        self._data = window_dataset(
            segments,
            model.codec.encode,
            plan,
            model.context,
            repeat=False,
            starts=starts,
            labels=labels,
        )
        self._function = tf.function(self._score, autograph=False)

    def __call__(self) -> dict[str, float]:
        """The measures of the model as it stands.

        Returns:
            `loss` (the mean of what training minimises), the head's own measure
            (`bits_per_sample`, `bits_per_code` or `variance_unexplained`), the means of the head's
            terms by name, and `samples`, how many were scored.
        """
        state = self.model.zero_state(self._batch)
        sums: Any = 0.0
        for batch in self._data:
            inputs = (batch[k] for k in ("x", "y", "reset", "position", "valid"))
            values, state = self._function(*inputs, state, batch.get("label"))
            sums += np.asarray(values, np.float64)
        loss, score, count, total, squares, *terms = sums
        result = {"loss": loss / count, "samples": int(count)}
        if self.model.head.measure.startswith("bits"):
            result[self.model.head.measure] = score / count / math.log(2)
        else:
            result["variance_unexplained"] = score / (squares - total**2 / count)
        return result | {name: term / count for name, term in zip(self._terms, terms, strict=True)}

    def _score(
        self, x: Any, y: Any, reset: Any, position: Any, valid: Any, state: Any, label: Any
    ) -> tuple[Any, Any]:
        import tensorflow as tf

        state = reset_state(self.model, state, reset, position, label)
        prediction, state = self.model(x, state, training=False)
        y = self.model.target(x, y)
        mask = tf.cast(tf.sequence_mask(valid, tf.shape(y)[1]), tf.float64)
        y_float = tf.cast(y, tf.float64)
        head = self.model.head
        scored = [tf.cast(f(prediction, y), tf.float64) for f in (head.loss, head.score)]
        terms = head.terms(prediction, y)
        self._terms = tuple(terms)
        sums = [
            tf.reduce_sum(tf.cast(value, tf.float64) * mask)
            for value in (*scored, tf.ones_like(mask), y_float, tf.square(y_float), *terms.values())
        ]
        return tf.stack(sums), state


def loss_unit(model: Model, corpus: Corpus) -> float:
    """What a training loss is divided by to be in the unit of the head's own measure.

    Args:
        model: its head says what it is measured in.
        corpus: the variance of its train part is the unit of a squared error.
    """
    if not model.head.loss_is_score:
        return 1.0
    if model.head.measure.startswith("bits"):
        return math.log(2)
    total, squares = 0.0, 0.0
    for chunk in corpus.chunks("train"):
        values = model.codec.encode(chunk)
        total += float(values.sum(dtype=np.float64))
        squares += float(np.square(values, dtype=np.float64).sum())
    n = corpus.samples("train")
    return squares / n - (total / n) ** 2
