"""Trivial predictors of a corpus, in the unit of a model's own measure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_rawaudio.data.codecs import Codec
from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.metrics.baselines import ORDERS, discrete_baselines, regression_baselines
from keras_rawaudio.models import Model, Refiner
from keras_rawaudio.training.code_corpus import CodeCorpus, code_frequencies
from keras_rawaudio.training.evaluator import Evaluator


def baselines(
    corpus: Corpus | CodeCorpus, model: Model, part: str, orders: Sequence[int] = ORDERS
) -> dict[str, float]:
    """Scores of the baselines on a part.

    Args:
        corpus: they are fitted on its train part.
        model: says which codes bits are counted on, or the frame that is predicted at once.
        part: the part to score.
        orders: of the linear predictions among them.
    """

    if isinstance(corpus, CodeCorpus):
        levels = model.codec.levels or 0
        return {"code_frequencies": code_frequencies(corpus, part, model.frame, levels)}

    if isinstance(model, Refiner):
        # Untrained it corrects nothing, and what it is given was corrupted in the same way.
        untrained = Refiner.from_config(model.get_config())
        return {"unrefined": Evaluator(untrained, corpus.segments(part))()["variance_unexplained"]}

    def encoded(name: str, codec: Codec) -> list[Any]:
        return [EncodedSegment(s, codec) for s in corpus.segments(name)]

    if cells := model.cells:
        return discrete_baselines(encoded("train", cells), encoded(part, cells), cells, orders)
    return regression_baselines(
        encoded(part, model.codec),
        model.tiers[-1].frame_size,
        model.head.reconstruct,
        silence=model.codec.silence,
    )


class EncodedSegment:
    """A segment as codec values, encoded slice by slice: the int16 samples stay on disk."""

    def __init__(self, segment: np.ndarray, codec: Codec) -> None:
        self._segment, self._codec = segment, codec
        self.ndim = 1

    def __len__(self) -> int:
        return len(self._segment)

    def __getitem__(self, where: slice) -> np.ndarray:
        audio = self._segment[where].astype(np.float32) / np.float32(32768)
        return np.asarray(self._codec.encode(audio))
