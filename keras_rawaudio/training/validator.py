"""A validation: score the model, generate a little audio, and log both."""

from __future__ import annotations

from typing import Any

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.files import replacing
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.csv_log import DRAWN, CsvLog
from keras_rawaudio.training.evaluator import Evaluator
from keras_rawaudio.training.gate_statistics import GateStatistics
from keras_rawaudio.training.generation_callback import GenerationCallback
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.step import TrainingStep
from keras_rawaudio.training.tensorboard_log import TensorBoardLog


class Validator:
    """Scores the running average of the weights on the validation part, and lets it generate.

    It writes a row of log.csv, the learning curve, `samples/`, TensorBoard's events, and a line on
    the console.

    Args:
        run: where all of it goes.
        corpus: prompts come from its validation part.
        step: holds the model and the average.
        console: has the baselines.
        data: the corpus as codes, for a model of codes.
        sample_seconds: how much to generate; 0: nothing.
    """

    def __init__(
        self,
        run: RunFolder,
        corpus: Corpus,
        step: TrainingStep,
        console: Console,
        data: CodeCorpus | None = None,
        sample_seconds: float = 0.0,
    ) -> None:
        self.run, self.corpus, self.step, self.console = run, corpus, step, console
        self.sample_seconds, self.measure = sample_seconds, step.model.head.measure
        read = data or corpus
        heldout = (
            read.segments("validation"),
            read.starts("validation"),
            data.labels("validation") if data else None,
        )
        self.evaluator = Evaluator(step.model, *heldout)
        self.gate_statistics = GateStatistics(step.model, *heldout)
        self.generation = GenerationCallback(run, corpus, step.model, sample_seconds)
        self.log = CsvLog(run.log, *DRAWN, self.measure)
        self.tensorboard: TensorBoardLog

    def begin(self, steps: int) -> None:
        """Open TensorBoard's file, and drop the rows of the log that lie after a step.

        Args:
            steps: how many were taken, by the checkpoint that the training goes on from.
        """
        self.tensorboard = TensorBoardLog(self.run.tensorboard)
        self.log.rewind(steps)

    def scores(self, steps: int) -> dict[str, float]:
        """Score the model.

        Args:
            steps: how many were taken.

        Returns:
            As `Evaluator`.
        """
        self.console.progress(f"step {steps}: validating and generating")
        with self.step.averaged():
            self.tensorboard.gates(steps, self.gate_statistics())
            return self.evaluator()

    def record(self, scores: dict[str, float], training: dict[str, Any]) -> dict[str, Any]:
        """Generate, and write everything down.

        Args:
            scores: from `scores`.
            training: what is logged of the training: `step`, `minutes`, `train_loss`, ...

        Returns:
            The row of the log.
        """
        beside = ("loss", "samples", self.measure)
        terms = {name: value for name, value in scores.items() if name not in beside}
        steps, score = training["step"], scores[self.measure]
        row = {
            **training,
            "validation_loss": scores["loss"],
            self.measure: score,
            **{f"validation_{name}": value for name, value in terms.items()},
        }
        measured = self._generate(steps)
        baselines = self.console.baselines
        row |= measured | {f"baseline_{name}": value for name, value in baselines.items()}
        self.log.append(row)
        self.tensorboard.scalars(steps, row)
        self.console.validation(training["minutes"], steps, training["train_loss"], score, terms)
        if measured.get("verdict"):
            self.console.line(" " * 12 + self.generation.summary(measured))
        return row

    def draw_curve(self) -> None:
        """Draw the learning curve."""
        from keras_rawaudio.plots import learning_curve

        with replacing(self.run.curve) as partial:
            learning_curve(self.log.rows, partial, dict(self.console.baselines))

    def _generate(self, steps: int) -> dict[str, Any]:
        """A little free-running audio: a loss alone does not tell how a model sounds."""
        if not self.sample_seconds:
            return {}
        with self.step.averaged():
            audio, picture = self.generation.generate(steps)
        self.tensorboard.audio(steps, audio, self.corpus.sample_rate, picture)
        return self.generation.measure(audio)
