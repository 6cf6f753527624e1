"""One system of an experiment: compiled once, trained with many seeds and learning rates."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import tensorflow as tf
from experiment_measures import (
    GENERATED_SECONDS,
    POSITIONS,
    PROMPT_SECONDS,
    mean_figures,
    reference_of,
    seam,
    spread,
)
from experiment_refiner import TrainedRefiner
from experiment_training import Training, shortened

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.generation.advance import advance, fresh_state
from keras_rawaudio.generation.overlapping import overlapping
from keras_rawaudio.layers.noisy_activation import NoisyActivation
from keras_rawaudio.recipes import recipe_from_json
from keras_rawaudio.training.evaluator import Evaluator
from keras_rawaudio.training.gate_statistics import GateStatistics, saturation

VALIDATIONS = 5  # of a run, evenly spaced
TIMED_STEPS = 20
MEASURE = "variance_unexplained"


class System(Training):
    """A recipe on a corpus.

    Args:
        values: the recipe, as its `to_json` gives it; its head predicts samples.
        corpus: mono.
        scored: seconds of each part that scores come from, at most.
    """

    def __init__(self, values: dict[str, Any], corpus: Corpus, scored: int) -> None:
        super().__init__(recipe_from_json(values), corpus)
        self.values, self.scored = values, scored
        most = scored * corpus.sample_rate
        heldout = shortened(corpus.segments("validation"), most)
        start = max(corpus.segments("train"), key=len)[: max(map(len, heldout))]
        test = shortened(corpus.segments("test"), most)
        parts = {"train": [start], "validation": heldout, "test": test}
        self.evaluators = {part: Evaluator(self.model, parts[part]) for part in parts}
        self.gates = GateStatistics(self.model, heldout)
        self.players: dict[int, tuple[Any, Any]] = {}
        self.refiners: dict[str, TrainedRefiner] = {}
        self.predict = tf.function(self._predict)

    def step_seconds(self) -> float:
        """Processor time of a step: the median of `TIMED_STEPS`."""
        self.reset(0)
        batches = self.batches(0)
        taken = []
        for _ in range(TIMED_STEPS + 5):
            begun = time.process_time()
            float(self.step(next(batches), 1e-4)[0])
            taken.append(time.process_time() - begun)
        return float(np.median(taken[5:]))

    def train(
        self,
        rate: float,
        seed: int,
        budgets: dict[str, int],
        overlap: int,
        refiner: dict[str, Any] | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Train once; the best checkpoint within each budget is scored.

        The learning rate stays as it is, so that a shorter budget is the start of a longer one.

        Args:
            rate: the learning rate.
            seed: of weights, noise and the data's order.
            budgets: steps by name.
            overlap: predictions whose mean each sample of free running is; 0: score the validation
                part alone, and let nothing run free.
            refiner: `recipe` and `steps` of one that revises what runs free; it is trained with
                the same seed. None: nothing is revised.

        Returns:
            Figures by budget; a training that diverged has None for its scores.
        """
        self.reset(seed)
        batches, most = self.batches(seed), max(budgets.values())
        points = {round(most * i / VALIDATIONS) for i in range(1, VALIDATIONS + 1)}
        steps = next(iter(budgets.values()))
        early = max(1, round(steps / VALIDATIONS))
        points |= {early, *budgets.values()}
        early_score = None
        best: dict[str, tuple[float, Any]] = {name: (np.inf, None) for name in budgets}
        for number in range(1, most + 1):
            loss, _ = self.step(next(batches), rate)
            if number not in points:
                continue
            if not np.isfinite(float(loss)):
                break
            score = self.evaluators["validation"]()[MEASURE]
            early_score = score if number == early else early_score
            weights = [np.asarray(v) for v in self.model.trainable_variables]
            for name, budget in budgets.items():
                if number <= budget and score < best[name][0]:
                    best[name] = (score, weights)
        found: dict[str, dict[str, Any]] = {}
        for name, (score, weights) in best.items():
            found[name] = {"validation": score if weights else None}
            if weights is None or not overlap:
                continue
            for variable, value in zip(self.model.trainable_variables, weights, strict=True):
                variable.assign(value)
            found[name] |= {part: self.evaluators[part]()[MEASURE] for part in ("train", "test")}
            if len(found) == 1:
                found[name] |= self.gate_figures() | self.free_running(overlap, refiner, seed)
                found[name] |= {"shift_error": self.shift_error(), "early": early_score}
        return found

    def gate_figures(self) -> dict[str, float]:
        """Saturated shares, and the mean slope `p` of noisy units where there are any."""
        layers = [saturation(layer) for layer in self.gates().values()]
        found = {name: float(np.mean([layer[name] for layer in layers])) for name in layers[0]}
        units = [u for u in self.model._flatten_layers() if isinstance(u, NoisyActivation)]
        slopes = [np.mean(unit.p) for unit in units if unit.noise]
        return found | ({"p": float(np.mean(slopes))} if slopes else {})

    def free_running(
        self, overlap: int, refiner: dict[str, Any] | None, seed: int
    ) -> dict[str, float]:
        """Means over `POSITIONS` seeds from the validation part; arguments as of `train`."""
        rate = self.corpus.sample_rate
        prompts = spread(self.corpus, "validation", PROMPT_SECONDS * rate)
        player, play = self.player(overlap)
        player.set_weights(self.model.get_weights())
        state = fresh_state(player, POSITIONS)
        whole = rate // self.model.frame * self.model.frame
        random = np.random.default_rng(0)
        shape = (POSITIONS, whole, self.model.head.noise_per_sample)
        _, state = play(prompts[:, -whole:], np.zeros((POSITIONS, 0, shape[2]), np.float32), state)
        parts = []
        while sum(part.shape[1] for part in parts) < GENERATED_SECONDS * rate:
            part, state = play(prompts[:, :0], random.random(shape, np.float32), state)
            parts.append(np.asarray(part))
        audio = np.clip(np.concatenate(parts, axis=1)[:, : GENERATED_SECONDS * rate], -1, 1)
        restoring: dict[str, float] = {}
        if refiner:
            audio, restoring = self.refined(audio, refiner, seed)
        figures = restoring | mean_figures(audio, prompts, rate, reference_of(self.corpus))
        return figures | {"seam": float(np.mean([seam(row, self.model.frame) for row in audio]))}

    def refined(
        self, audio: np.ndarray, refiner: dict[str, Any], seed: int
    ) -> tuple[np.ndarray, dict[str, float]]:
        """Audio that a refiner of this seed revised, and how well that restores true audio."""
        recipe = recipe_from_json(refiner["recipe"])
        if recipe.name not in self.refiners:
            self.refiners = {recipe.name: TrainedRefiner(recipe, self.corpus, self.scored)}
        trained = self.refiners[recipe.name]
        restoring = trained.train(refiner["steps"], seed)
        return trained.refine(audio), restoring

    def player(self, overlap: int) -> tuple[Any, Any]:
        """A generator, and its `advance` compiled; the last one is kept."""
        if overlap not in self.players:
            player = overlapping(self.model, overlap)
            state = fresh_state(player, POSITIONS)

            def play(forced: Any, noise: Any, state: Any) -> Any:
                return advance(player, forced, noise, tf.ones((POSITIONS,)), state)

            signature = [
                tf.TensorSpec((POSITIONS, None)),
                tf.TensorSpec((POSITIONS, None, player.head.noise_per_sample)),
                {name: tf.TensorSpec(value.shape) for name, value in state.items()},
            ]
            self.players = {overlap: (player, tf.function(play, input_signature=signature))}
        return self.players[overlap]

    def shift_error(self) -> float:
        """How far the model is from equivariance to shifts.

        The same audio is read twice, the second time half a frame later; the mean squared
        difference of the two predictions of a sample, as a share of their variance.
        """
        frame = self.model.frame
        later = frame // 2
        audio = max(self.corpus.segments("validation"), key=len).astype(np.float32) / 32768
        values = self.codec.encode(audio[: 40 * frame + self.model.context + later + 1])
        length = 40 * frame + self.model.context
        first, second = (
            np.asarray(self.predict(values[None, begin : begin + length]))[0]
            for begin in (0, later)
        )
        first, second = first[later:], second[:-later]
        return float(np.mean((first - second) ** 2) / np.mean([first.var(), second.var()]))

    def _predict(self, x: Any) -> Any:
        return self.model(x, self.model.zero_state(1), training=False)[0]
