"""What an experiment trains: a model that is compiled once, with many seeds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.data.windows import window_dataset
from keras_rawaudio.models import AudioModel, Refiner
from keras_rawaudio.recipes import Recipe, RefinerRecipe
from keras_rawaudio.training.build import build_model, build_optimizer, build_plan, refiner_model
from keras_rawaudio.training.step import TrainingStep


class Training:
    """A recipe's model and its training step.

    Args:
        recipe: of a model that predicts samples, or of a refiner.
        corpus: mono.
    """

    def __init__(self, recipe: Recipe | RefinerRecipe, corpus: Corpus) -> None:
        self.recipe, self.corpus = recipe, corpus
        self.codec = fit_codec(parts=corpus.parts(), **recipe.codec.model_dump())
        self.model: Any = self.fresh()
        settings = recipe.training
        self.step = TrainingStep(
            self.model,
            build_optimizer(settings),
            recipe.data.batch,
            settings.clip_norm,
            weight_noise=settings.weight_noise,
        )

    def fresh(self) -> AudioModel | Refiner:
        """The model with fresh weights."""
        if isinstance(self.recipe, RefinerRecipe):
            return refiner_model(self.recipe, self.codec)
        return build_model(self.recipe, self.codec)

    def batches(self, seed: int) -> Any:
        """Training batches in the order that the seed gives."""
        segments = self.corpus.segments("train")
        plan = build_plan(self.model, self.recipe, segments, seed)
        return iter(window_dataset(segments, self.codec.encode, plan, self.model.context))

    def reset(self, seed: int) -> None:
        """Fresh weights, random state and optimizer, under the compiled functions."""
        keras.utils.set_random_seed(seed)
        fresh = self.fresh()
        for variable, value in zip(self.model.variables, fresh.variables, strict=True):
            variable.assign(value)
        for variable in (*self.step.optimizer.variables, *self.step.carried.variables.values()):
            variable.assign(tf.zeros_like(variable))


def shortened(segments: Any, most: int) -> list[np.ndarray]:
    """The first segments, `most` samples of them together."""
    found: list[np.ndarray] = []
    for segment in segments:
        found.append(segment[:most])
        most -= len(found[-1])
        if not most:
            break
    return found
