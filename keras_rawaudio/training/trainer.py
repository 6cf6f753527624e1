"""The training loop: steps, validations and checkpoints until the budget is used."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from typing import Any, NoReturn

import keras

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.data.windows import read_batches, window_dataset
from keras_rawaudio.errors import UserError
from keras_rawaudio.models import Model, SpectralModel
from keras_rawaudio.recipes import AnyRecipe, SpectralRecipe
from keras_rawaudio.training.build import build_plan, build_splices, build_step
from keras_rawaudio.training.checkpoint import load_checkpoint, require_checkpoint, save_checkpoint
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.csv_log import numbers
from keras_rawaudio.training.evaluator import loss_unit
from keras_rawaudio.training.interrupt import Interrupt
from keras_rawaudio.training.live import LivePage
from keras_rawaudio.training.model_files import ModelFiles
from keras_rawaudio.training.replicas import Replicas
from keras_rawaudio.training.resource_estimate import announce
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget, learning_rate
from keras_rawaudio.training.splices import Splices
from keras_rawaudio.training.throughput import ThroughputMeter
from keras_rawaudio.training.unlearned_labels import leave_out_unlearned
from keras_rawaudio.training.validation_policy import ValidationPolicy
from keras_rawaudio.training.validator import Validator


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
        resume: go on from the folder's checkpoint.
        page: shows how it goes.
        data: the corpus as codes, for a model of codes.
        callbacks: Keras callbacks. What lies between two validations is an epoch to them, with the
            number of its last step; the logs are the numbers of the validation's row. Their
            `params` hold the optimizer, for the model is not compiled, and the recipe's values.
        replicas: over which the batch is divided, where the model was made in their strategy's
            scope; None: one. Of several processes, the chief alone writes and validates.
    """

    def __init__(
        self,
        run: RunFolder,
        recipe: AnyRecipe,
        corpus: Corpus,
        model: Model,
        budget: Budget,
        seed: int = 0,
        baselines: dict[str, float] | None = None,
        resume: bool = False,
        page: LivePage | None = None,
        data: CodeCorpus | None = None,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        replicas: Replicas | None = None,
    ) -> None:
        self.replicas = replicas = replicas or Replicas()
        self.run, self.recipe, self.corpus, self.model = run, recipe, corpus, model
        self.budget, self.settings = budget, recipe.training
        # What it learns from: the audio itself, or codes that were read off it.
        read, self.of_codes = data or corpus, data is not None
        self.segments, self.starts = read.segments("train"), read.starts("train")
        self.labels = data.labels("train") if data else None
        self.plan = build_plan(model, recipe, self.segments, seed)
        self.step = build_step(model, recipe, replicas)
        unit = loss_unit(model, corpus)
        self.console = Console(model.head.measure, baselines or {}, unit, page, not replicas.chief)
        self.validation = ValidationPolicy(
            self.settings.validate_every,
            self.settings.early_stopping,
            keep_latest=isinstance(model, SpectralModel) or model.head.adversarial,
        )
        own = list(callbacks) if replicas.chief else []
        self.callbacks = keras.callbacks.CallbackList(
            own, model=model, optimizer=self.step.optimizer, recipe=recipe.to_json()
        )
        self.interrupt = Interrupt()
        self._stopping = False  # of several processes, as of their last look
        self.steps, self.seconds, self._saved = 0, 0.0, -1  # saved: the last checkpoint's step
        self.balanced = not self.of_codes  # whether `ModelFiles.finish` has nothing to do
        self.resumed = resume
        if resume:
            self._restore()
        # With the codebook that was restored: copies are sought among its spectra.
        self.files = ModelFiles(run, self.step, self.console, data, self.settings)
        if replicas.chief:
            seconds = self.settings.sample_seconds
            self.validator = Validator(run, corpus, self.step, self.console, data, seconds)

    def fit(self, describe: Callable[[], None] | None = None) -> bool:
        """Train until the budget is used, the patience is over, or Ctrl-C.

        Args:
            describe: writes into the folder what the run is. It is called once no callback has
                refused the training, and before the first checkpoint.

        Returns:
            Whether it came to its end; `False` after Ctrl-C.
        """
        line = self.console.line
        unit = "codes" if self.of_codes else "samples"
        notes = self.plan.notes(self.recipe.data.length, unit)
        if self.labels and isinstance(self.model, SpectralModel):
            notes += filter(None, [leave_out_unlearned(self.model, self.plan, self.labels)])
        for note in notes:
            line(f"note: {note}")
        if self._used_up():
            line("this run has used its budget already; give it more to go on")
        elif self.validation.finished:
            line(f"this run stopped early: no better for {self.validation.since_best} validations")
        else:
            self.balanced = not self.of_codes
        if self._finished() and self.balanced:
            return True
        with self.interrupt.catching():
            self.callbacks.on_train_begin()  # first: one that refuses leaves the folder as it was
        try:
            if not self._finished():
                with self.interrupt.catching():
                    self._train(describe)
            if self._finished():
                return self._finish()
            self.save()
            line(f"stopped and saved at step {self.steps}; --resume goes on from here")
            return False
        finally:
            self.callbacks.on_train_end()  # last: the kept model is as it will stay

    def _train(self, describe: Callable[[], None] | None) -> None:
        if self.replicas.chief:
            self.validator.begin(self.steps)
            if describe:
                describe()
        if not self.resumed:
            self._save_checkpoint()  # so that no step is taken without one
        announce(self.step, self.plan, self.console.line)
        self.step.spread()
        self._loop()

    def _finish(self) -> bool:
        """Balance the codes of the kept model closely, once; `False` after Ctrl-C."""
        if not self.balanced:
            try:
                if self.replicas.chief:
                    self.files.finish(self.steps)
            except KeyboardInterrupt:
                self.console.line("stopped before the codes were balanced; --resume does that")
                return False
            self.balanced = True
            self._save_checkpoint()
        return True

    def save(self) -> None:
        """Write last.keras and the checkpoint that resume reads.

        Raises:
            UserError: the run folder was removed or renamed since the last checkpoint.
        """
        if self.replicas.chief:
            require_checkpoint(self.run, self._saved)
            self.files.save_last()
        self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        self.step.collect()
        if self.replicas.chief:
            save_checkpoint(self.run, self.step, self._progress())
        self._saved = self.steps

    def _loop(self) -> None:
        batches = self._batches()
        meter = ThroughputMeter(self.plan.batch * self.plan.window, self.replicas)
        next_validation = self.seconds + self.validation.pause()
        while not (self._finished() or self._stop()):
            rate = learning_rate(self.settings, self._fraction(), self.steps)
            meter.add(*self.step(next(batches), rate))
            self.steps += 1
            if not (meter.due() or self._stop() or self._used_up()):
                continue
            if self.interrupt.continued:
                self.interrupt.continued = False
                meter.restart()  # the time in which the process stood still is none of training
            self.seconds += meter.look()
            self._stopping = self.replicas.any(self.interrupt.requested)
            if not (isfinite(meter.loss) and isfinite(meter.norm)):
                self._refuse(meter.loss, meter.norm, rate)
            left = self.budget.seconds_left(self._fraction(), self.seconds)
            self.console.training(left, self.steps, meter.speed, meter.loss)
            due = self.seconds >= next_validation or self._used_up()
            # At the end, too, where Ctrl-C came in the last step: the run counts as complete.
            if due and (self._used_up() or not self._stop()):
                began = time.perf_counter()
                self._validate(meter, rate)
                (cost,) = self.replicas.from_chief([time.perf_counter() - began])
                next_validation = self.seconds + self.validation.pause(cost)
                meter.forget()

    def _batches(self) -> Iterator[dict[str, Any]]:
        """Batches without end, from the next step's on."""
        epoch, used = divmod(self.steps, self.plan.batches_per_epoch)
        how = self.model.codec.encode, self.plan, self.model.context
        labels, rows = self.labels, self.step.rows
        splices: Splices | None = None
        if isinstance(self.recipe, SpectralRecipe) and isinstance(self.model, SpectralModel):
            splices = build_splices(
                self.model, self.recipe, self.segments, self.starts, labels, self.plan.seed
            )
        if splices is None:
            starts = self.starts
            return iter(
                window_dataset(
                    self.segments, *how, epoch, used, starts=starts, labels=labels, rows=rows
                )
            )

        def spliced(number: int) -> Iterator[dict[str, Any]]:
            codes, starts = splices.rows(number)
            skipped = used if number == epoch else 0
            return read_batches(
                codes, *how, number, skipped, starts=starts, labels=labels, rows=rows
            )

        return itertools.chain.from_iterable(map(spliced, itertools.count(epoch)))

    def _stop(self) -> bool:
        """Whether Ctrl-C was asked for."""
        return self._stopping if self.replicas.workers > 1 else self.interrupt.requested

    def _validate(self, meter: ThroughputMeter, rate: float) -> None:
        if self.replicas.chief:
            require_checkpoint(self.run, self._saved)
        row = self._score(meter, rate) if self.replicas.chief else {"validation_loss": 0.0}
        accepted = self.validation.accept(*self.replicas.from_chief([row["validation_loss"]]))
        if accepted and self.replicas.chief:
            self.files.save_best()
        if self.validation.finished:
            line = f"no better for {self.validation.since_best} validations: stopping early"
            self.console.line(line)
        self.save()
        if self.replicas.chief:
            self.validator.draw_curve()
            # Last, so that one that ends the training loses nothing.
            self.callbacks.on_epoch_end(self.steps, numbers(row))

    def _score(self, meter: ThroughputMeter, rate: float) -> dict[str, Any]:
        """Validate, generate, and log it: the row of the log."""
        scores = self.validator.scores(self.steps)
        if not isfinite(score := scores[self.model.head.measure]):
            self._refuse(score, meter.norm, rate)
        training = {
            "step": self.steps,
            "minutes": round(self.seconds / 60, 3),
            "epoch": round(self.steps / self.plan.batches_per_epoch, 3),
            "train_loss": meter.loss,
            "learning_rate": rate,
            "gradient_norm": meter.norm,
            "samples_per_second": round(meter.speed),
            **self.files.balance_codes(self.steps),
        }
        return self.validator.record(scores, training)

    def _refuse(self, loss: float, norm: float, rate: float) -> NoReturn:
        """End a training whose weights are no numbers any more; its last checkpoint stays."""
        lower = f"--learning-rate {self.settings.learning_rate / 2:g}"
        raise UserError(
            f"training diverged at step {self.steps}: loss {loss:g}, learning rate {rate:.3g}, "
            f"gradient norm {norm:g}; the checkpoint of step {self._saved} is kept: go on from it "
            f"with train --run {self.run.path} --resume {lower}"
        )

    def _fraction(self) -> float:
        return self.budget.fraction(self.steps, self.seconds, self.plan.batches_per_epoch)

    def _used_up(self) -> bool:
        return self._fraction() >= 1

    def _finished(self) -> bool:
        """Whether the budget is used, or the patience over."""
        return self._used_up() or self.validation.finished

    def _progress(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "best": self.validation.best,
            "since_best": self.validation.since_best,
            "balanced": self.balanced,
        }

    def _restore(self) -> None:
        """Read the checkpoint; of several processes the chief does, and tells the others."""
        progress = self._progress()
        if self.replicas.chief:
            progress |= load_checkpoint(self.run, self.step, self.console.line)
        self.replicas.share(self.step.variables().values())
        names = ("steps", "seconds", "best", "since_best", "balanced")
        steps, self.seconds, best, since, balanced = self.replicas.from_chief(
            [progress[name] for name in names]
        )
        self.steps, self.balanced = int(steps), bool(balanced)
        self._saved = self.steps
        self.validation.best, self.validation.since_best = best, int(since)
