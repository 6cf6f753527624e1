"""Heads: the tier's output to a prediction. A new one is a new file and one line here."""

from keras_rawaudio.models.heads.base import Head
from keras_rawaudio.models.heads.categorical import CategoricalHead
from keras_rawaudio.models.heads.draw import DRAWHead
from keras_rawaudio.models.heads.flow import FlowHead
from keras_rawaudio.models.heads.gan import GANHead
from keras_rawaudio.models.heads.mixture import MixtureHead
from keras_rawaudio.models.heads.predictive import PredictiveHead
from keras_rawaudio.models.heads.regression import RegressionHead
from keras_rawaudio.models.heads.spectrum import SpectrumHead

HEADS: dict[str, type[Head]] = {
    head.kind: head
    for head in (
        CategoricalHead,
        DRAWHead,
        FlowHead,
        GANHead,
        MixtureHead,
        PredictiveHead,
        RegressionHead,
        SpectrumHead,
    )
}

__all__ = [
    "HEADS",
    "CategoricalHead",
    "DRAWHead",
    "FlowHead",
    "GANHead",
    "Head",
    "MixtureHead",
    "PredictiveHead",
    "RegressionHead",
    "SpectrumHead",
]
