"""A refiner of an experiment: trained on the train part, used on what a system plays."""

from __future__ import annotations

import numpy as np
from experiment_training import Training, shortened

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.recipes import RefinerRecipe
from keras_rawaudio.training.evaluator import Evaluator


class TrainedRefiner(Training):
    """A refiner that is compiled once and trained with many seeds.

    Args:
        recipe: its own.
        corpus: mono.
        scored: seconds of the validation part that scores come from, at most.
    """

    def __init__(self, recipe: RefinerRecipe, corpus: Corpus, scored: int) -> None:
        super().__init__(recipe, corpus)
        part = shortened(corpus.segments("validation"), scored * corpus.sample_rate)
        self.evaluator = Evaluator(self.model, part)

    def train(self, steps: int, seed: int) -> dict[str, float]:
        """Train at the recipe's constant learning rate; the last weights count.

        Args:
            steps: of training.
            seed: of weights, corruption and the data's order.

        Returns:
            Shares of variance that are wrong in corrupted audio of the validation part:
            `unrefined` as it is, `restored` after the refiner.
        """
        self.reset(seed)
        # Untrained, it corrects nothing.
        unrefined = self.evaluator()["variance_unexplained"]
        batches = self.batches(seed)
        for _ in range(steps):
            self.step(next(batches), self.recipe.training.learning_rate)
        return {"unrefined": unrefined, "restored": self.evaluator()["variance_unexplained"]}

    def refine(self, audio: np.ndarray) -> np.ndarray:
        """Audio `(B, n)` in [-1, 1], revised."""
        return np.clip(self.model.refine(audio), -1, 1)
