"""Heads: the tier's output to a prediction. A new one is a new file and one line here."""

from keras_rawaudio.models.heads.base import Head
from keras_rawaudio.models.heads.categorical import CategoricalHead
from keras_rawaudio.models.heads.predictive import PredictiveHead
from keras_rawaudio.models.heads.regression import RegressionHead

HEADS: dict[str, type[Head]] = {
    h.kind: h for h in (CategoricalHead, PredictiveHead, RegressionHead)
}

__all__ = ["HEADS", "CategoricalHead", "Head", "PredictiveHead", "RegressionHead"]
