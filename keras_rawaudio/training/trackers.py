"""Experiment trackers beside TensorBoard, by their own clients."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import keras

from keras_rawaudio.errors import UserError, nearest, one_line
from keras_rawaudio.files import replacing
from keras_rawaudio.settings import flat
from keras_rawaudio.training.run_folder import RunFolder

PROJECT = "keras_rawaudio"  # W&B's project where WANDB_PROJECT names none


@contextlib.contextmanager
def _failures_as_warnings() -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each client has errors of its own
        warnings.warn(f"the tracker failed: {one_line(error)}; training goes on", stacklevel=2)


class Tracker(keras.callbacks.Callback):
    """Sends recipe, figures, samples and the best model of a run to a tracking service.

    The service's number of the run is kept in the run folder, so that a resumed training goes on
    in the same place. A service that fails in the middle of a training is a warning, not its end.

    Args:
        run: the run folder that is trained into.
    """

    def __init__(self, run: RunFolder) -> None:
        super().__init__()
        self.run = run
        self.number = run.path / f"{type(self).__name__.lower()}.txt"

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Open the service's run.

        Raises:
            UserError: the service refuses, or is not there.
        """
        known = self.number.read_text(encoding="utf-8") if self.number.is_file() else None
        try:
            number = self.begin(known, self.run.read_recipe())
        except Exception as error:  # each client has errors of its own
            raise UserError(f"{type(self).__name__} refuses: {one_line(error)}") from error
        with replacing(self.number) as partial:
            partial.write_text(number, encoding="utf-8")

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Send a validation's figures, and the sample and picture made with it."""
        with _failures_as_warnings():
            self.log(epoch, logs or {})

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

    def begin(self, number: str | None, recipe: dict[str, Any]) -> str:
        """Open the service's run of this number, or a new one; returns its number."""
        raise NotImplementedError

    def log(self, step: int, figures: dict[str, float]) -> None:
        """Send what belongs to a step."""
        raise NotImplementedError

    def end(self) -> None:
        """Send the files, and close."""
        raise NotImplementedError


class Mlflow(Tracker):
    """MLflow, by its client; where it goes is for MLflow's own settings, such as
    `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME`."""

    def begin(self, number: str | None, recipe: dict[str, Any]) -> str:
        """As in `Tracker`."""
        import mlflow

        opened = mlflow.start_run(run_id=number, run_name=self.run.path.name)
        if number is None:
            mlflow.log_params(flat(recipe))
        return str(opened.info.run_id)

    def log(self, step: int, figures: dict[str, float]) -> None:
        """As in `Tracker`."""
        import mlflow

        mlflow.log_metrics(figures, step=step)
        for path in self.samples(step):
            if path:
                mlflow.log_artifact(path, "samples")

    def end(self) -> None:
        """As in `Tracker`."""
        import mlflow

        for path in self.files():
            mlflow.log_artifact(path)
        mlflow.end_run()


class Wandb(Tracker):
    """Weights & Biases, by its client; where it goes is for its own settings, such as
    `WANDB_PROJECT` and `WANDB_MODE`."""

    def begin(self, number: str | None, recipe: dict[str, Any]) -> str:
        """As in `Tracker`."""
        import wandb

        number = number or uuid4().hex[:8]
        self.opened = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=self.run.path.name,
            id=number,
            resume="allow",
            config=recipe,
        )
        return number

    def log(self, step: int, figures: dict[str, float]) -> None:
        """As in `Tracker`."""
        import wandb

        audio, picture = self.samples(step)
        shown: dict[str, Any] = dict(figures)
        if audio and picture:
            shown |= {"generated": wandb.Audio(audio), "spectrogram": wandb.Image(picture)}
        self.opened.log(shown, step=step)

    def end(self) -> None:
        """As in `Tracker`."""
        import wandb

        artifact = wandb.Artifact(f"run-{self.opened.id}", type="model")
        for path in self.files():
            artifact.add_file(path)
        self.opened.log_artifact(artifact)
        self.opened.finish()


TRACKERS: dict[str, type[Tracker]] = {"mlflow": Mlflow, "wandb": Wandb}


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
            f"--track {name} needs a package that is not installed; "
            f"pip install 'keras_rawaudio[{name}]'"
        )
    return TRACKERS[name](RunFolder(run))
