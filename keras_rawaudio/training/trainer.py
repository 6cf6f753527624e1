"""The training loop: steps, validations and checkpoints until the budget is used."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NoReturn

import keras

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.data.windows import WindowPlan, window_dataset
from keras_rawaudio.errors import UserError
from keras_rawaudio.files import replacing
from keras_rawaudio.models import Model, SpectralModel
from keras_rawaudio.models.controls import TEMPO
from keras_rawaudio.recipes import AnyRecipe
from keras_rawaudio.training.checkpoint import load_checkpoint, save_checkpoint
from keras_rawaudio.training.code_balance import CodeBalance
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.copy_guard import LONGEST_COPY, CopyGuard
from keras_rawaudio.training.csv_log import DRAWN, CsvLog, numbers
from keras_rawaudio.training.evaluator import Evaluator, loss_unit
from keras_rawaudio.training.gate_statistics import GateStatistics
from keras_rawaudio.training.generation_callback import GenerationCallback
from keras_rawaudio.training.interrupt import Interrupt
from keras_rawaudio.training.live import LivePage
from keras_rawaudio.training.replicas import Replicas
from keras_rawaudio.training.resource_estimate import announce
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget, learning_rate
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.tensorboard_log import TensorBoardLog
from keras_rawaudio.training.throughput import LOOK_EVERY, ThroughputMeter
from keras_rawaudio.training.validation import ValidationPolicy

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}
# Of the biases of a model of codes: when a model is kept, and at the end.
UPDATES, FINAL_UPDATES = 2, 6


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
            number of its last step; the logs are the numbers of the validation's row.
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
        self.baselines = baselines or {}
        # What it learns from: the audio itself, or codes that were read off it.
        self.data = data or corpus
        self.segments = self.data.segments("train")
        self.plan = WindowPlan.fitting(
            [len(s) for s in self.segments],
            frame=model.frame,
            frames=recipe.data.length // model.frame,
            batch=recipe.data.batch,
            shift=recipe.data.shift,
            seed=seed,
            sequence=recipe.data.sequence,
            # The codes of a block stay together.
            grid=model.frame if data else 1,
        )
        with replicas.strategy.scope():
            optimizer = OPTIMIZERS[self.settings.optimizer](
                self.settings.learning_rate, weight_decay=self.settings.weight_decay or None
            )
        self.step = TrainingStep(
            model,
            optimizer,
            recipe.data.batch,
            self.settings.clip_norm,
            self.settings.jit_compile,
            self.settings.average,
            self.settings.weight_noise,
            replicas,
        )
        self.labels = data.labels("train") if data else None
        self.tempos = data.tempos("train") if data and TEMPO in model.controls else None
        heldout = (
            self.data.segments("validation"),
            self.data.starts("validation"),
            data.labels("validation") if data else None,
        )
        self.evaluator = Evaluator(model, *heldout)
        self.gate_statistics = GateStatistics(model, *heldout)
        self.generation = GenerationCallback(run, corpus, model, self.settings.sample_seconds)
        self.balance = self.guard = None
        if data and isinstance(model, SpectralModel):
            self.balance, self.guard = CodeBalance(model, data), CopyGuard(model, data)
        self.validation = ValidationPolicy(
            self.settings.validate_every,
            self.settings.early_stopping,
            keep_latest=self.balance is not None or model.head.adversarial,
        )
        self.log = CsvLog(run.log, *DRAWN, model.head.measure)
        self.console = Console(model.head.measure, self.baselines, page, quiet=not replicas.chief)
        own = list(callbacks) if replicas.chief else []
        self.callbacks = keras.callbacks.CallbackList(own, model=model)
        self.interrupt = Interrupt()
        self._stopping = False  # of several processes, as of their last look
        self._next_look = 0
        self.steps, self.seconds = 0, 0.0
        self._saved = 0  # the step of the last checkpoint
        self.resumed = resume
        # What a training loss is divided by to stand beside the validation's measure.
        self._unit = loss_unit(model, corpus)
        if resume:
            self._restore()
        if replicas.chief:
            self.tensorboard = TensorBoardLog(run.tensorboard)  # last: it makes a file

    def fit(self) -> bool:
        """Train until the budget is used, the patience is over, or Ctrl-C.

        Returns:
            Whether it came to its end; `False` after Ctrl-C.
        """
        line = self.console.line
        if self.plan.window < self.recipe.data.length:
            line(
                f"note: windows of {self.plan.window} samples, not {self.recipe.data.length}, "
                "so that more of this audio is in one"
            )
        if warning := self.plan.warning():
            line(f"note: {warning}")
        if self._used_up():
            line("this run has used its budget already; give it more to go on")
            return True
        if self.validation.finished:
            line(f"this run stopped early: no better for {self.validation.since_best} validations")
            return True
        with self.interrupt.catching():
            if not self.resumed:
                self._save_checkpoint()  # so that there is no time without one
            announce(self.step, self.plan, line)
            self.step.spread()
            self.callbacks.on_train_begin()
            try:
                self._loop()
            finally:
                self.callbacks.on_train_end()
        if self._used_up() or self.validation.finished:
            if self.replicas.chief:
                self._balance_best()
            return True
        self.save()
        line(f"stopped and saved at step {self.steps}; --resume goes on from here")
        return False

    def save(self) -> None:
        """Write last.keras and the checkpoint that resume reads."""
        if self.replicas.chief:
            self._save_model(self.run.last)
        self._save_checkpoint()

    def _save_checkpoint(self) -> None:
        self.step.collect()
        if self.replicas.chief:
            save_checkpoint(self.run, self.step, self._progress())
        self._saved = self.steps

    def _loop(self) -> None:
        batches = iter(
            window_dataset(
                self.segments,
                self.model.codec.encode,
                self.plan,
                self.model.context,
                *divmod(self.steps, self.plan.batches_per_epoch),
                starts=self.data.starts("train"),
                labels=self.labels,
                tempos=self.tempos,
                rows=self.step.rows,
            )
        )
        meter = ThroughputMeter(self.plan.batch * self.plan.window)
        next_validation = self.seconds + self.validation.pause()
        while not (self._used_up() or self._stop() or self.validation.finished):
            rate = learning_rate(self.settings, self._fraction(), self.steps)
            meter.add(*self.step(next(batches), rate))
            self.steps += 1
            if not (self._due(meter) or self._used_up()):
                continue
            self.seconds += self._look(meter)
            if not (isfinite(meter.loss) and isfinite(meter.norm)):
                self._refuse(meter.loss, meter.norm, rate)
            self.console.training(
                self._seconds_left(), self.steps, meter.speed, meter.loss / self._unit
            )
            due = self.seconds >= next_validation or self._used_up()
            if due and not self._stop():
                began = time.perf_counter()
                self._validate(meter, rate)
                (cost,) = self.replicas.from_chief([time.perf_counter() - began])
                next_validation = self.seconds + self.validation.pause(cost)
                meter.forget()

    def _due(self, meter: ThroughputMeter) -> bool:
        """Whether to look at the loss: several processes do so after the same step."""
        if self.replicas.workers > 1:
            return self.steps >= self._next_look
        return meter.due() or self.interrupt.requested

    def _look(self, meter: ThroughputMeter) -> float:
        """Work the meter's figures out, and agree on what follows.

        Returns:
            Seconds of training since the last look: the chief's.
        """
        seconds = meter.look()
        pause = max(1.0, LOOK_EVERY * meter.speed / meter.samples_per_step)
        seconds, pause = self.replicas.from_chief([seconds, pause])
        self._next_look = self.steps + int(pause)
        self._stopping = self.replicas.any(self.interrupt.requested)
        return seconds

    def _stop(self) -> bool:
        """Whether Ctrl-C was asked for."""
        return self._stopping if self.replicas.workers > 1 else self.interrupt.requested

    def _validate(self, meter: ThroughputMeter, rate: float) -> None:
        row = self._score(meter, rate) if self.replicas.chief else {"validation_loss": 0.0}
        accepted = self.validation.accept(*self.replicas.from_chief([row["validation_loss"]]))
        if accepted and self.replicas.chief:
            self._save_best(row.get("copied_seconds", 0.0))
        if self.validation.finished:
            line = f"no better for {self.validation.since_best} validations: stopping early"
            self.console.line(line)
        self.save()
        if self.replicas.chief:
            self._draw_curve()
            # Last, so that one that ends the training loses nothing.
            self.callbacks.on_epoch_end(self.steps, numbers(row))

    def _score(self, meter: ThroughputMeter, rate: float) -> dict[str, Any]:
        """Validate, generate, and log it.

        Returns:
            The row of the log.
        """
        measure = self.model.head.measure
        self.console.progress(f"step {self.steps}: validating and generating")
        with self.step.averaged():
            scores = self.evaluator()
            self.tensorboard.gates(self.steps, self.gate_statistics())
        if not isfinite(scores[measure]):
            self._refuse(scores[measure], meter.norm, rate)
        terms = {
            name: value
            for name, value in scores.items()
            if name not in ("loss", "samples", measure)
        }
        row = {
            "step": self.steps,
            "minutes": round(self.seconds / 60, 3),
            "epoch": round(self.steps / self.plan.batches_per_epoch, 3),
            "train_loss": meter.loss,
            "validation_loss": scores["loss"],
            measure: scores[measure],
            "learning_rate": rate,
            "gradient_norm": meter.norm,
            **{f"validation_{name}": value for name, value in terms.items()},
            "samples_per_second": round(meter.speed),
        }
        if self.balance and self.guard:
            self.console.progress(f"step {self.steps}: balancing the codes")
            with self.step.averaged():
                self.balance.fit(UPDATES, self.steps)
                row["copied_seconds"] = round(self.guard.longest(self.steps), 1)
        measured = self._generate()
        row |= measured | {f"baseline_{name}": value for name, value in self.baselines.items()}
        self.log.append(row)
        self.tensorboard.scalars(self.steps, row)
        self.console.validation(
            row["minutes"],
            self.steps,
            meter.loss / self._unit,
            scores[measure],
            terms,
        )
        if measured.get("verdict"):
            self.console.line(" " * 12 + self.generation.summary(measured))
        return row

    def _generate(self) -> dict[str, Any]:
        """A little free-running audio: a loss alone does not tell how a model sounds."""
        if not self.settings.sample_seconds:
            return {}
        with self.step.averaged():
            audio, picture = self.generation.generate(self.steps)
        self.tensorboard.audio(self.steps, audio, self.corpus.sample_rate, picture)
        return self.generation.measure(audio)

    def _save_model(self, path: Path) -> None:
        # Keras asks for the ending .keras, which the temporary name keeps.
        with replacing(path) as partial, self.step.averaged():
            self.model.save(partial)

    def _save_best(self, copied: float) -> None:
        """Keep the model, unless it copies for `copied` seconds and there is one already."""
        if copied <= LONGEST_COPY or not self.run.best.is_file():
            return self._save_model(self.run.best)
        self.console.line(
            f"{'':12}follows the train part for {copied:g} s: the model before it is kept"
        )

    def _balance_best(self) -> None:
        """Set the biases of the model that was kept more closely."""
        if self.balance and self.run.best.is_file():
            self.console.progress("balancing the codes")
            self.model.load_weights(self.run.best)
            self.balance.fit(FINAL_UPDATES, self.steps)
            with replacing(self.run.best) as partial:
                self.model.save(partial)

    def _draw_curve(self) -> None:
        from keras_rawaudio.plots import learning_curve

        with replacing(self.run.curve) as partial:
            learning_curve(self.log.rows, partial, self.baselines)

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

    def _seconds_left(self) -> float:
        if self.budget.epochs is not None:
            return self.seconds * (1 / max(self._fraction(), 1e-9) - 1)
        return (1 - self._fraction()) * 60 * (self.budget.minutes or 0)

    def _progress(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "seconds": self.seconds,
            "best": self.validation.best,
            "since_best": self.validation.since_best,
        }

    def _restore(self) -> None:
        """Read the checkpoint; of several processes the chief does, and tells the others."""
        progress = self._progress()
        if self.replicas.chief:
            progress = load_checkpoint(self.run, self.step, self.console.line)
        self.replicas.share(self.step.variables().values())
        names = ("steps", "seconds", "best", "since_best")
        steps, self.seconds, best, since = self.replicas.from_chief([progress[n] for n in names])
        self.steps = self._saved = int(steps)
        self.validation.best, self.validation.since_best = best, int(since)
        if self.replicas.chief:
            self.log.rewind(self.steps)
