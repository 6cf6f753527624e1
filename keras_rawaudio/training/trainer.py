"""The training loop: learn, look, listen, save; until budget, patience or the user end it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import log
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.data.windows import WindowPlan, window_dataset
from keras_rawaudio.models import AudioModel
from keras_rawaudio.recipes import Recipe
from keras_rawaudio.training.checkpoint import load_snapshot, save_snapshot
from keras_rawaudio.training.evaluator import Scorer
from keras_rawaudio.training.gate_statistics import Diagnosis
from keras_rawaudio.training.generation_callback import Listener
from keras_rawaudio.training.live import LivePage
from keras_rawaudio.training.logs import BRIEF, Logs
from keras_rawaudio.training.resource_estimate import announce
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget, learning_rate
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.throughput import Meter, refuse_divergence

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}
# The most of a run's time that validating, listening and saving may take: a long validation part
# (17 million samples for three hours of audio: three minutes on two cores) makes them rarer.
VALIDATION_SHARE = 0.2
# A validation so little worse than the best is as good: free running gains by training on.
AS_GOOD = 0.005


class Trainer:
    """Trains a model into a run folder.

    Args:
        run: where everything goes.
        recipe: window and training settings.
        corpus: train and validation parts.
        model: moves from the weights that it has.
        budget: how long.
        seed: of the data's order.
        baselines: figures to print beside the validation's.
        resume: go on from the folder's snapshot.
        page: shows how it goes.
    """

    def __init__(
        self,
        run: RunFolder,
        recipe: Recipe,
        corpus: Corpus,
        model: AudioModel,
        budget: Budget,
        seed: int = 0,
        baselines: dict[str, float] | None = None,
        resume: bool = False,
        page: LivePage | None = None,
    ) -> None:
        self.run, self.recipe, self.corpus, self.model = run, recipe, corpus, model
        self.budget, self.settings = budget, recipe.training
        self.segments = corpus.segments("train")
        self.plan = WindowPlan(
            [len(s) for s in self.segments],
            frame=model.frame,
            frames=recipe.windows.length // model.frame,
            batch=recipe.windows.batch,
            shift=recipe.windows.shift,
            seed=seed,
            sequence=recipe.windows.sequence,
        )
        self.step = TrainingStep(
            model,
            OPTIMIZERS[self.settings.optimizer](
                self.settings.learning_rate, weight_decay=self.settings.weight_decay or None
            ),
            recipe.windows.batch,
            self.settings.clip_norm,
            self.settings.jit_compile,
            self.settings.average,
        )
        heldout = corpus.segments("validation"), corpus.starts("validation")
        self.scorer = Scorer(model, *heldout)
        self.diagnosis = Diagnosis(model, *heldout)
        self.listener = Listener(run, corpus, model, self.settings.sample_seconds)
        self.logs = Logs(run.log, run.tensorboard, model.head.measure, baselines or {}, page)
        self._unit = self._loss_unit()
        self.steps, self.seconds = 0, 0.0
        self.best, self.since_best = float("inf"), 0
        self._stop = False
        if resume:
            self._restore(load_snapshot(run.training_state, self.step))

    def fit(self) -> bool:
        """Train until the budget is used, the patience is over, or Ctrl-C.

        Returns:
            Whether it came to its end; `False` after Ctrl-C.
        """
        if warning := self.plan.warning():
            self.logs.line(f"note: {warning}")
        if self._used_up():
            self.logs.line("this run has used its budget already; give it more to go on")
            return True
        if self.finished:
            self.logs.line(f"this run stopped early: no better for {self.since_best} validations")
            return True
        with self._interruptible():
            announce(self.step, self.plan, self.logs.line)
            self._loop()
        if self._used_up() or self.finished:
            return True
        self.save()
        self.logs.line(f"stopped and saved at step {self.steps}; --resume goes on from here")
        return False

    @property
    def finished(self) -> bool:
        """Whether patience is over: `early_stopping` validations without a new best."""
        patience = self.settings.early_stopping
        return patience is not None and self.since_best >= patience

    def _loop(self) -> None:
        data = iter(
            window_dataset(
                self.segments,
                self.model.codec.encode,
                self.plan,
                self.model.context,
                *divmod(self.steps, self.plan.batches_per_epoch),
                starts=self.corpus.starts("train"),
            )
        )
        meter = Meter(self.plan.batch * self.plan.window)
        next_validation = self._next_validation()
        while not (self._used_up() or self._stop or self.finished):
            rate = learning_rate(self.settings, self._fraction(), self.steps)
            meter.add(*self.step(next(data), rate))
            self.steps += 1
            if not (meter.due() or self._used_up() or self._stop):
                continue
            self.seconds += meter.look()
            self._show(meter)
            if not self._stop and (self.seconds >= next_validation or self._used_up()):
                began = time.perf_counter()
                self._validate(meter, rate)
                next_validation = self._next_validation(time.perf_counter() - began)
                meter.forget()

    def _validate(self, meter: Meter, rate: float) -> None:
        measure = self.model.head.measure
        self.logs.progress(f"step {self.steps}: validating and listening")
        with self.step.averaged():
            scores = self.scorer()
            self.logs.gates(self.steps, self.diagnosis())
        value = scores[measure]
        refuse_divergence(value)
        row = {
            "step": self.steps,
            "minutes": round(self.seconds / 60, 3),
            "epoch": round(self.steps / self.plan.batches_per_epoch, 3),
            "train_loss": meter.loss,
            "validation_loss": scores["loss"],
            measure: value,
            "learning_rate": rate,
            "gradient_norm": meter.norm,
            "samples_per_second": round(meter.speed),
        }
        heard = self._listen()
        self.logs.row(row | heard)
        self.logs.line(
            f"{row['minutes']:6.2f} min  step {self.steps}  train {self._in_unit(meter.loss):.3f}  "
            f"validation {self.logs.figure(value)}"
        )
        if heard.get("verdict"):
            self.logs.line(" " * 12 + self.listener.words(heard))
        # What training makes small decides: a head may be judged by something else.
        loss = scores["loss"]
        if loss <= self.best + AS_GOOD * abs(self.best):
            self._save_model(self.run.best)
        if loss < self.best:
            self.best, self.since_best = loss, 0
        else:
            self.since_best += 1
            if self.finished:
                self.logs.line(f"no better for {self.since_best} validations: stopping early")
        self.save()
        self._draw_curve()

    def save(self) -> None:
        """Write last.keras and the snapshot that resume reads."""
        self._save_model(self.run.last)
        with self.run.writing(self.run.training_state) as partial:
            save_snapshot(partial, self.step, self._progress())

    def _save_model(self, path: Path) -> None:
        # Keras asks for the ending .keras, which the temporary name keeps.
        with self.run.writing(path) as partial, self.step.averaged():
            self.model.save(partial)

    def _draw_curve(self) -> None:
        from keras_rawaudio.plots import learning_curve

        with self.run.writing(self.run.curve) as partial:
            learning_curve(self.logs.rows, partial, self.logs.baselines)

    def _listen(self) -> dict[str, Any]:
        """A little free-running audio, so that nobody has to trust the loss alone."""
        if not self.settings.sample_seconds:
            return {}
        with self.step.averaged():
            audio, picture = self.listener.listen(self.steps)
        self.logs.audio(self.steps, audio, self.corpus.sample_rate, picture)
        return self.listener.judge(audio)

    def _show(self, meter: Meter) -> None:
        if self.budget.epochs is not None:
            left = self.seconds * (1 / max(self._fraction(), 1e-9) - 1)
        else:
            left = (1 - self._fraction()) * 60 * (self.budget.minutes or 0)
        minutes, seconds = divmod(max(0, round(left)), 60)
        self.logs.progress(
            f"{minutes}:{seconds:02d} left  step {self.steps}  {meter.speed / 1000:.0f} k/s  "
            f"train {self.logs.figure(self._in_unit(meter.loss), BRIEF)}"
        )

    def _in_unit(self, loss: float) -> float:
        """A training loss beside the validation's measure: in its unit, where it has one."""
        return loss / self._unit

    def _loss_unit(self) -> float:
        if not self.model.head.loss_is_score:
            return 1.0
        return log(2) if self.model.head.measure == "bits_per_sample" else self._train_variance()

    def _fraction(self) -> float:
        return self.budget.fraction(self.steps, self.seconds, self.plan.batches_per_epoch)

    def _used_up(self) -> bool:
        return self._fraction() >= 1

    def _next_validation(self, cost: float = 0.0) -> float:
        """Seconds of training at which the next one is due, given what the last one took."""
        pause = max(60 * self.settings.validate_every, cost / VALIDATION_SHARE - cost)
        return self.seconds + pause

    def _progress(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "best": self.best,
            "since_best": self.since_best,
        }

    def _restore(self, progress: dict[str, Any]) -> None:
        self.steps, self.seconds = progress["steps"], progress["seconds"]
        self.best, self.since_best = progress["best"], progress["since_best"]
        self.logs.rewind(self.steps)

    def _train_variance(self) -> float:
        total, squares = 0.0, 0.0
        for chunk in self.corpus.chunks("train"):
            values = self.model.codec.encode(chunk)
            total += float(values.sum(dtype=np.float64))
            squares += float(np.square(values, dtype=np.float64).sum())
        n = self.corpus.samples("train")
        return squares / n - (total / n) ** 2

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C ends the loop after the step in hand; a second one ends the process."""

        def stop(number: int, frame: FrameType | None) -> None:
            self._stop = True
            signal.signal(signal.SIGINT, signal.default_int_handler)
            # Not print: it may be in the middle of a line of its own.
            os.write(2, b"\nstopping, once what is under way is done; Ctrl-C again: at once\n")

        try:
            before = signal.signal(signal.SIGINT, stop)
        except ValueError:  # not in the main thread: nobody can press Ctrl-C here
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
