"""Experiment trackers beside TensorBoard, by their own Keras callbacks."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import keras

from keras_rawaudio.errors import UserError, nearest, one_line
from keras_rawaudio.files import replacing
from keras_rawaudio.settings import flat
from keras_rawaudio.training.run_folder import RunFolder

RETRIES = 2  # of a request to MLflow, after 2 and 4 seconds
PROJECT = "keras_rawaudio"  # W&B's project where WANDB_PROJECT names none


@contextlib.contextmanager
def _failures_as_warnings() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each client has errors of its own
        warnings.warn(f"the tracker failed: {one_line(error)}; training goes on", stacklevel=2)


class Tracker(keras.callbacks.Callback, ABC):
    """Sends recipe, figures, samples and the best model of a run to a tracking service.

    The figures go by the service's own Keras callback. This one adds what that lacks: the recipe,
    the samples, the files, and the number of the service's run, which is kept in the run folder so
    that a resumed training goes on in the same place. A service that fails in the middle of a
    training is a warning, not its end.

    Args:
        run: the run folder that is trained into.

    Attributes:
        name: of the service, as `--track` takes it.
        figures: the service's own callback, once its run is open.
    """

    name: str
    figures: keras.callbacks.Callback

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run = run
        self.number = run.tracked[self.name]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Open the service's run.

        Raises:
            UserError: the service refuses, or is not there; the file with its number is damaged.
        """
        try:
            known = self.number.read_text(encoding="utf-8") if self.number.is_file() else None
        except (OSError, ValueError):
            raise UserError(f"cannot read {self.number}; delete it to begin anew") from None
        try:
            number = self.begin(known, self.params["recipe"])
        except Exception as error:  # each client has errors of its own
            raise UserError(f"{type(self).__name__} refuses: {one_line(error)}") from error
        with replacing(self.number) as partial:
            partial.write_text(number, encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Send the sample and picture made with a validation, and its figures."""
        with _failures_as_warnings():
            self.log_samples(epoch)
            self.figures.on_epoch_end(epoch, logs)

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        """Send the run's files and close the service's run."""
        with _failures_as_warnings():
            self.end()

    def samples(self, step: int) -> tuple[str | None, str | None]:
        """The paths of the audio and the picture of a step, as far as there are any."""
        stem = self.run.samples / f"step-{step:07d}"
        wav, png = (stem.with_suffix(ending) for ending in (".wav", ".png"))
        return str(wav) if wav.is_file() else None, str(png) if png.is_file() else None

    def files(self) -> list[str]:
        """The paths of what describes the run, and of the best model."""
        run = self.run
        paths = (run.description, run.recipe, run.log, run.curve, run.best)
        return [str(path) for path in paths if path.is_file()]

    def fitted(self) -> SimpleNamespace:
        """What the services' callbacks read of a model in `Model.fit`.

        Training here has a loop of its own, so the model was not compiled and has no optimizer.
        """
        return SimpleNamespace(optimizer=self.params["optimizer"], summary=self.model.summary)

    @abstractmethod
    def begin(self, number: str | None, recipe: dict[str, Any]) -> str:
        """Open the service's run of this number, or a new one; returns its number."""

    @abstractmethod
    def log_samples(self, step: int) -> None:
        """Send the audio and the picture of a step."""

    @abstractmethod
    def end(self) -> None:
        """Send the files, and close."""


class Mlflow(Tracker):
    """MLflow, by `mlflow.keras.MlflowCallback`; where it goes is for MLflow's own settings, such as
    `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME`."""

    name = "mlflow"

    def begin(self, number: str | None, recipe: dict[str, Any]) -> str:
        """As in `Tracker`."""
        import mlflow
        from mlflow.keras import MlflowCallback

        # Where its server is not there, the client tries for seconds, not for four minutes.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(RETRIES))
        opened = mlflow.start_run(run_id=number, run_name=self.run.path.name)
        self.figures = MlflowCallback()
        self.figures.set_model(self.fitted())
        if number is None:  # parameters of a run cannot be changed
            mlflow.log_params(flat(recipe))
            self.figures.on_train_begin()
        return str(opened.info.run_id)

    def log_samples(self, step: int) -> None:
        """As in `Tracker`."""
        import mlflow

        for path in self.samples(step):
            if path:
                mlflow.log_artifact(path, "samples")

    def end(self) -> None:
        """As in `Tracker`."""
        import mlflow

        mlflow.flush_async_logging()  # the callback's figures
        for path in self.files():
            mlflow.log_artifact(path)
        mlflow.end_run()


class Wandb(Tracker):
    """Weights & Biases, by `wandb.integration.keras.WandbMetricsLogger`; where it goes is for its
    own settings, such as `WANDB_PROJECT` and `WANDB_MODE`."""

    name = "wandb"

    def begin(self, number: str | None, recipe: dict[str, Any]) -> str:
        """As in `Tracker`."""
        import wandb
        from wandb.integration.keras import WandbMetricsLogger

        number = number or uuid4().hex[:8]
        self.opened = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=self.run.path.name,
            id=number,
            resume="allow",
            config=recipe,
        )
        self.figures = WandbMetricsLogger()
        self.figures.set_model(self.fitted())
        return number

    def log_samples(self, step: int) -> None:
        """As in `Tracker`."""
        import wandb

        audio, picture = self.samples(step)
        if audio and picture:
            shown = {"generated": wandb.Audio(audio), "spectrogram": wandb.Image(picture)}
            self.opened.log(shown, commit=False)  # in one row with the figures

    def end(self) -> None:
        """As in `Tracker`."""
        import wandb

        artifact = wandb.Artifact(f"run-{self.opened.id}", type="model")
        for path in self.files():
            artifact.add_file(path)
        self.opened.log_artifact(artifact)
        self.opened.finish()


TRACKERS: dict[str, type[Tracker]] = {kind.name: kind for kind in (Mlflow, Wandb)}


def tracker(name: str, run: str | Path) -> Tracker:
    """The tracker of a run, by name.

    Args:
        name: `"mlflow"` or `"wandb"`.
        run: the run folder.

    Raises:
        UserError: no such tracker, or its client is not installed.

    Example:
        >>> tracker("tensorbord", "runs/song")
        Traceback (most recent call last):
        ...
        keras_rawaudio.errors.UserError: no tracker 'tensorbord'; choose from mlflow, wandb
    """
    if name not in TRACKERS:
        raise UserError(f"no tracker {name!r}; {nearest(name, TRACKERS)}")
    if importlib.util.find_spec(name) is None:
        raise UserError(
            f"--track {name} needs a package that is not installed; pip install '.[{name}]'"
        )
    return TRACKERS[name](RunFolder(run))
