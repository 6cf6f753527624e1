"""One system of an experiment: compiled once, trained with many seeds and learning rates."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_rawaudio.data.codecs import fit_codec
from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.data.windows import WindowPlan, window_dataset
from keras_rawaudio.generation.advance import advance, fresh_state
from keras_rawaudio.layers.noisy_activation import NoisyActivation
from keras_rawaudio.metrics.beat_strength import beat_strength
from keras_rawaudio.metrics.collapse import verdict
from keras_rawaudio.metrics.reference import Reference
from keras_rawaudio.metrics.tonal_prominence import tonal_prominence
from keras_rawaudio.recipes import recipe_from_json
from keras_rawaudio.training.build import build_model
from keras_rawaudio.training.evaluator import Evaluator
from keras_rawaudio.training.gate_statistics import GateStatistics, saturation
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.trainer import OPTIMIZERS

POSITIONS = 4  # in the validation part, where free running begins
PROMPT_SECONDS, GENERATED_SECONDS = 1, 20
MOMENTS = (1, 5, 20)  # the second that ends here is measured
VALIDATIONS = 5  # of a run, evenly spaced
TIMED_STEPS = 20
MEASURE = "variance_unexplained"


class System:
    """A recipe on a corpus.

    Args:
        values: the recipe, as its `to_json` gives it; its head predicts samples.
        corpus: mono.
    """

    def __init__(self, values: dict[str, Any], corpus: Corpus) -> None:
        self.values, self.corpus = values, corpus
        self.recipe = recipe_from_json(values)
        self.codec = fit_codec(parts=corpus.parts(), **self.recipe.codec.model_dump())
        self.model = build_model(self.recipe, self.codec)
        settings = self.recipe.training
        optimizer = OPTIMIZERS[settings.optimizer](weight_decay=settings.weight_decay or None)
        self.step = TrainingStep(
            self.model,
            optimizer,
            self.recipe.data.batch,
            settings.clip_norm,
            weight_noise=settings.weight_noise,
        )
        heldout = corpus.segments("validation")
        longest = max(heldout, key=len)
        start = max(corpus.segments("train"), key=len)[: len(longest)]
        parts = {"train": [start], "validation": heldout, "test": corpus.segments("test")}
        self.evaluators = {part: Evaluator(self.model, parts[part]) for part in parts}
        self.gates = GateStatistics(self.model, heldout)
        state = fresh_state(self.model, POSITIONS)
        self.advance = tf.function(
            self._advance,
            input_signature=[
                tf.TensorSpec((POSITIONS, None)),
                tf.TensorSpec((POSITIONS, None, self.model.head.noise_per_sample)),
                {name: tf.TensorSpec(value.shape) for name, value in state.items()},
            ],
        )
        self.predict = tf.function(self._predict)

    def batches(self, seed: int) -> Any:
        """Training batches in the order that the seed gives."""
        data, segments = self.recipe.data, self.corpus.segments("train")
        plan = WindowPlan.fitting(
            [len(s) for s in segments],
            frame=self.model.frame,
            frames=data.length // self.model.frame,
            batch=data.batch,
            shift=data.shift,
            seed=seed,
            sequence=data.sequence,
        )
        return iter(window_dataset(segments, self.codec.encode, plan, self.model.context))

    def reset(self, seed: int) -> None:
        """Fresh weights, random state and optimizer, under the compiled functions."""
        keras.utils.set_random_seed(seed)
        fresh = build_model(self.recipe, self.codec)
        for variable, value in zip(self.model.variables, fresh.variables, strict=True):
            variable.assign(value)
        for variable in (*self.step.optimizer.variables, *self.step.carried.variables.values()):
            variable.assign(tf.zeros_like(variable))

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
        self, rate: float, seed: int, budgets: dict[str, int], full: bool
    ) -> dict[str, dict[str, Any]]:
        """Train once; the best checkpoint within each budget is scored.

        The learning rate stays as it is, so that a shorter budget is the start of a longer one.

        Args:
            rate: the learning rate.
            seed: of weights, noise and the data's order.
            budgets: steps by name.
            full: score all parts, and let the first budget's model run free.

        Returns:
            Figures by budget; a training that diverged has None for its scores.
        """
        self.reset(seed)
        batches, most = self.batches(seed), max(budgets.values())
        points = {round(most * i / VALIDATIONS) for i in range(1, VALIDATIONS + 1)}
        points |= set(budgets.values())
        best: dict[str, tuple[float, Any]] = {name: (np.inf, None) for name in budgets}
        for number in range(1, most + 1):
            loss, _ = self.step(next(batches), rate)
            if number not in points:
                continue
            if not np.isfinite(float(loss)):
                break
            score = self.evaluators["validation"]()[MEASURE]
            weights = [np.asarray(v) for v in self.model.trainable_variables]
            for name, budget in budgets.items():
                if number <= budget and score < best[name][0]:
                    best[name] = (score, weights)
        found: dict[str, dict[str, Any]] = {}
        for name, (score, weights) in best.items():
            found[name] = {"validation": score if weights else None}
            if weights is None or not full:
                continue
            for variable, value in zip(self.model.trainable_variables, weights, strict=True):
                variable.assign(value)
            found[name] |= {part: self.evaluators[part]()[MEASURE] for part in ("train", "test")}
            if len(found) == 1:
                found[name] |= self.gate_figures() | self.free_running()
                found[name]["shift_error"] = self.shift_error()
        return found

    def gate_figures(self) -> dict[str, float]:
        """Saturated shares, and the mean slope `p` of noisy units where there are any."""
        layers = [saturation(layer) for layer in self.gates().values()]
        found = {name: float(np.mean([layer[name] for layer in layers])) for name in layers[0]}
        units = [u for u in self.model._flatten_layers() if isinstance(u, NoisyActivation)]
        slopes = [np.mean(unit.p) for unit in units if unit.noise]
        return found | ({"p": float(np.mean(slopes))} if slopes else {})

    def free_running(self) -> dict[str, float]:
        """Means over `POSITIONS` seeds from the validation part."""
        rate = self.corpus.sample_rate
        prompts = prompts_of(self.corpus)
        state = fresh_state(self.model, POSITIONS)
        whole = rate // self.model.frame * self.model.frame
        random = np.random.default_rng(0)
        noise = random.random((POSITIONS, whole, self.model.head.noise_per_sample), np.float32)
        _, state = self.advance(prompts[:, -whole:], noise[:, :0], state)
        parts = []
        while sum(part.shape[1] for part in parts) < GENERATED_SECONDS * rate:
            part, state = self.advance(prompts[:, :0], noise, state)
            parts.append(np.asarray(part))
        audio = np.clip(np.concatenate(parts, axis=1)[:, : GENERATED_SECONDS * rate], -1, 1)
        return mean_figures(audio, rate, reference_of(self.corpus))

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

    def _advance(self, forced: Any, noise: Any, state: Any) -> Any:
        return advance(self.model, forced, noise, tf.ones((POSITIONS,)), state)


def prompts_of(corpus: Corpus) -> np.ndarray:
    """The seeds of free running: `(POSITIONS, samples)` float32, from all over a held-out part."""
    heldout = max(corpus.segments("validation"), key=len).astype(np.float32) / 32768
    length = PROMPT_SECONDS * corpus.sample_rate
    begins = np.linspace(0, len(heldout) - length, POSITIONS).astype(int)
    return np.stack([heldout[begin : begin + length] for begin in begins])


def mean_figures(streams: np.ndarray, rate: int, reference: Reference) -> dict[str, float]:
    """Tone and level at `MOMENTS`, beat, and how long all is well, as means over streams."""
    rows = []
    for audio in streams:
        row: dict[str, float] = {}
        for end in MOMENTS:
            second = audio[(end - 1) * rate : end * rate]
            power = float(np.mean(np.square(second, dtype=np.float64)))
            row[f"tone_{end}"] = tonal_prominence(second, rate)
            row[f"level_{end}"] = 10 * np.log10(power + 1e-12)
        row["beat"] = beat_strength(audio, rate)
        found = verdict(audio, rate, reference)
        row["healthy"] = float(found.healthy)
        row["good_seconds"] = GENERATED_SECONDS if found.start is None else found.start
        for kind in ("silence", "noise", "one endless tone", "loops", "bursts"):
            row[kind] = float(found.kind == kind)
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def measure_piece(corpus: Corpus) -> dict[str, float]:
    """The same figures of the train part itself, in as many stretches of the same length."""
    rate = corpus.sample_rate
    part = max(corpus.segments("train"), key=len).astype(np.float32) / 32768
    length = GENERATED_SECONDS * rate
    begins = np.linspace(0, len(part) - length, POSITIONS).astype(int)
    streams = np.stack([part[begin : begin + length] for begin in begins])
    return mean_figures(streams, rate, reference_of(corpus))


@cache
def reference_of(corpus: Corpus) -> Reference:
    """What the piece itself scores."""
    return Reference.from_segments(corpus.segments("train"), [], corpus.sample_rate)
