"""The training loop: learn, look, listen, save; until budget, patience or the user end it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import keras
import numpy as np

from keras_rawaudio.corpus import Corpus
from keras_rawaudio.errors import UserError
from keras_rawaudio.generation import ReferenceSampler
from keras_rawaudio.models import AudioModel
from keras_rawaudio.recipes import Recipe
from keras_rawaudio.training.logs import Logs
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.schedule import Budget, learning_rate
from keras_rawaudio.training.scoring import Scorer
from keras_rawaudio.training.snapshot import load_snapshot, save_snapshot
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.windows import WindowPlan, window_dataset

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}
# Steps between two looks at the loss: looking waits for the step to end.
LOOK_EVERY = 20
SEED_SECONDS = 0.5


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
        )
        self.step = TrainingStep(
            model,
            OPTIMIZERS[self.settings.optimizer](self.settings.learning_rate),
            recipe.windows.batch,
            self.settings.clip_norm,
            self.settings.jit_compile,
        )
        self.scorer = Scorer(model, corpus.segments("validation"))
        self.sampler = ReferenceSampler(model)
        self.logs = Logs(run.log, run.tensorboard, model.head.measure, baselines or {})
        self.steps, self.seconds = 0, 0.0
        self.best, self.since_best = float("inf"), 0
        self.finished = False
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
        if self._fraction() >= 1 or self.finished:
            self.logs.line("this run has used its budget already; give it more to go on")
            return True
        with self._interruptible():
            self._loop()
        if self._stop:
            self.save()
            self.logs.line(f"stopped and saved at step {self.steps}; --resume goes on from here")
        return not self._stop

    def _loop(self) -> None:
        data = iter(
            window_dataset(
                self.segments,
                self.model.codec.encode,
                self.plan,
                self.model.context,
                *divmod(self.steps, self.plan.batches_per_epoch),
            )
        )
        mark, look_at = time.perf_counter(), self.steps
        next_validation = self._next_validation()
        losses: list[Any] = []
        first = True
        while self._fraction() < 1 and not self._stop and not self.finished:
            rate = learning_rate(self.settings, self._fraction(), self.steps)
            loss, norm = self.step(next(data), rate)
            self.steps += 1
            losses.append(loss)
            if first:  # compiling is not training: the clock starts after it
                float(loss)
                mark, look_at, first = time.perf_counter(), self.steps, False
                continue
            if self.steps - look_at >= LOOK_EVERY:
                train_loss = float(np.mean([float(x) for x in losses]))
                if not np.isfinite(train_loss):
                    raise UserError(
                        f"the loss is {train_loss} at step {self.steps}: training diverged; "
                        "lower training.learning_rate and --resume, or start again"
                    )
                now = time.perf_counter()
                self.seconds += now - mark
                speed = (self.steps - look_at) * self._samples_a_step() / (now - mark)
                mark, look_at = now, self.steps
                self._show(train_loss, speed)
                losses = losses[-200:]
                if self.seconds >= next_validation or self._fraction() >= 1:
                    self._validate(train_loss, float(norm), rate, speed)
                    next_validation = self._next_validation()
                    losses = []
                    mark = time.perf_counter()
        if look_at != self.steps or not self.logs.rows:
            self.seconds += time.perf_counter() - mark
        if not self._stop and (not self.logs.rows or self.logs.rows[-1]["step"] != self.steps):
            self._validate(float(losses[-1]), float(norm), rate, 0.0)

    def _validate(self, train_loss: float, norm: float, rate: float, speed: float) -> None:
        measure = self.model.head.measure
        scores = self.scorer()
        value = scores[measure]
        row = {
            "step": self.steps,
            "minutes": round(self.seconds / 60, 3),
            "epoch": round(self.steps / self.plan.batches_per_epoch, 3),
            "train_loss": train_loss,
            "validation_loss": scores["loss"],
            measure: value,
            "learning_rate": rate,
            "gradient_norm": norm,
            "samples_per_second": round(speed),
        }
        self.logs.row(row)
        self.logs.line(
            f"{row['minutes']:6.2f} min  step {self.steps}  validation {self.logs.figure(value)}"
        )
        if value < self.best:
            self.best, self.since_best = value, 0
            with self.run.writing(self.run.best) as partial:
                self._save_model(partial)
        else:
            self.since_best += 1
            patience = self.settings.early_stopping
            if patience is not None and self.since_best >= patience:
                self.finished = True
                self.logs.line(f"no better for {self.since_best} validations: stopping early")
        self.save()
        self._draw_curve()
        self._listen()

    def save(self) -> None:
        """Write last.keras and the snapshot that resume reads."""
        with self.run.writing(self.run.last) as partial:
            self._save_model(partial)
        with self.run.writing(self.run.training_state) as partial:
            save_snapshot(partial, self.step, self._progress())

    def _save_model(self, path: Any) -> None:
        # Keras asks for the ending .keras, which the temporary name keeps.
        self.model.save(path)

    def _draw_curve(self) -> None:
        from keras_rawaudio.listening.plots import learning_curve

        with self.run.writing(self.run.curve) as partial:
            learning_curve(self.logs.rows, partial, self.logs.baselines)

    def _listen(self) -> None:
        """A little free-running audio, so that nobody has to trust the loss alone."""
        import soundfile

        from keras_rawaudio.listening.plots import spectrogram_figure

        if not self.settings.sample_seconds:
            return
        rate = self.corpus.sample_rate
        source = max(self.corpus.segments("validation"), key=len)
        seed = source[: round(SEED_SECONDS * rate)].astype(np.float32) / 32768
        audio = self.sampler.generate(round(self.settings.sample_seconds * rate), seed)[0]
        stem = self.run.samples / f"step-{self.steps:07d}"
        with self.run.writing(stem.with_suffix(".wav")) as partial:
            soundfile.write(partial, np.clip(audio, -1, 1), rate, "PCM_16")
        with self.run.writing(stem.with_suffix(".png")) as partial:
            whole = np.concatenate([seed, audio])
            title = f"seed, then generated at step {self.steps}"
            spectrogram_figure([(title, whole)], rate, partial, mark_seconds=SEED_SECONDS)
        self.logs.audio(self.steps, audio, rate, stem.with_suffix(".png"))

    def _show(self, loss: float, speed: float) -> None:
        value = loss / np.log(2) if self.model.head.measure == "bits_per_sample" else loss
        if self.budget.epochs is not None:
            left = self.seconds * (1 / max(self._fraction(), 1e-9) - 1)
        else:
            left = (1 - self._fraction()) * 60 * (self.budget.minutes or 0)
        minutes, seconds = divmod(max(0, round(left)), 60)
        self.logs.progress(
            f"step {self.steps}  train {value:.3f}  {speed / 1000:.1f} k samples/s  "
            f"{minutes}:{seconds:02d} left"
        )

    def _samples_a_step(self) -> int:
        return self.recipe.windows.batch * self.recipe.windows.length

    def _fraction(self) -> float:
        return self.budget.fraction(self.steps, self.seconds, self.plan.batches_per_epoch)

    def _next_validation(self) -> float:
        return self.seconds + 60 * self.settings.validate_every

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

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C ends the loop after the step in hand; a second one ends the process."""

        def stop(number: int, frame: FrameType | None) -> None:
            self._stop = True
            signal.signal(signal.SIGINT, signal.default_int_handler)

        try:
            before = signal.signal(signal.SIGINT, stop)
        except ValueError:  # not in the main thread: nobody can press Ctrl-C here
            yield
            return
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
