"""The run folder: everything that a training leaves behind, by name."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_rawaudio.errors import UserError
from keras_rawaudio.files import (
    PARTIAL,
    is_partial,
    refuse_immovable,
    refuse_other_kinds,
    replacing,
)
from keras_rawaudio.locks import LOCK, exclusive
from keras_rawaudio.training.json_files import JsonObject, Kinds, damaged_if_wrong, read_json

FORMAT_VERSION = 1
# What a run is measured by, and its unit in words.
UNITS = {
    "bits_per_sample": "bits per sample",
    "bits_per_code": "bits per code",
    "variance_unexplained": "of variance unexplained",
}
SHORT_UNITS = {
    "bits_per_sample": "bits",
    "bits_per_code": "bits",
    "variance_unexplained": "unexplained",
}
# What run.json holds, beside `format_version`.
DESCRIPTION: Kinds = {
    "corpus": str,
    "data": dict,
    "samples_sha256": str,
    "sample_rate": int,
    "codec": dict,
    "measure": str,
    "baselines": dict,
    "budget": dict,
    "parameters": int,
    "seed": int,
    "versions": dict,
    "git_revision": str,
}
REQUEST: Kinds = {
    "audio": list,
    "recipe": dict,
    "corpus_settings": dict,
    "cache": (str, type(None)),
    "seed": int,
    "budget": dict,
}


class RunFolder:
    """Paths of a run, and writing that never leaves half a file.

    ```
    request.json        what train was asked for: audio, recipe, corpus settings, seed, budget
    recipe.json         the resolved recipe
    run.json            format, versions, corpus folder, sample rate, data, measure
    best.keras          the latest model as good as the best validation so far: what export takes
    last.keras          the model as training left it
    training_state.npz  what resume needs beyond that: optimizer, position, recurrent state
    training_state.previous.npz  the checkpoint before that one
    codes.npz           the corpus as codes, for a model of codes
    log.csv             one row per validation
    learning_curve.png  the same, drawn
    samples/            free-running audio and spectrograms, by step
    report.html         all of it to look at and listen to
    measures.json       what the report measured, for comparing runs
    tensorboard/        event files
    mlflow.txt, wandb.txt  the number of the run in a tracking service
    ```

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.request = self.path / "request.json"
        self.description = self.path / "run.json"
        self.recipe = self.path / "recipe.json"
        self.best = self.path / "best.keras"
        self.last = self.path / "last.keras"
        self.training_state = self.path / "training_state.npz"
        self.previous_state = self.path / "training_state.previous.npz"
        self.codes = self.path / "codes.npz"
        self.log = self.path / "log.csv"
        self.curve = self.path / "learning_curve.png"
        self.samples = self.path / "samples"
        self.tensorboard = self.path / "tensorboard"
        self.report = self.path / "report.html"
        self.measures = self.path / "measures.json"
        self.tracked = {name: self.path / f"{name}.txt" for name in ("mlflow", "wandb")}

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """The folder of an existing run.

        Raises:
            UserError: not a folder, not one that a training made, damaged, or a name that libraries
                cannot write down.
        """
        run = cls(path)
        try:
            str(path).encode()
        except UnicodeEncodeError:
            raise UserError(f"the name {str(path)!a} is not UTF-8; rename the folder") from None
        if not os.path.isdir(path):
            raise UserError(
                f"no such run folder: {path}; give the folder that keras-rawaudio train --run made"
            )
        for needed in (run.description, run.recipe):
            if not needed.is_file():
                raise UserError(
                    f"{path} is not a run folder: it has no {needed.name}; train one first"
                )
        run.describe()
        return run

    @classmethod
    def check_new(cls, path: str | Path) -> RunFolder:
        """Refuse a path that is taken; makes nothing.

        What a training left that was killed before its first checkpoint is not in the way.

        Raises:
            UserError: it holds a run or anything else, is a file, or is in use.
        """
        run = cls(path)
        if os.path.exists(run.path / LOCK):
            with exclusive(run.path):
                pass
        run._refuse_taken()
        return run

    @classmethod
    @contextlib.contextmanager
    def making(cls, path: str | Path) -> Iterator[RunFolder]:
        """A new run's folder, locked; what the block leaves is removed if it fails early.

        Early is before the first checkpoint. Nothing but what a run makes is removed. What an
        earlier training left, killed before its own first checkpoint, is put back: it can still be
        resumed.

        Raises:
            UserError: it holds a run or anything else, is in use, or cannot be written.
        """
        run = cls.check_new(path)
        with exclusive(run.path):
            run._refuse_taken()
            run.remove_partials()
            described = (run.request, run.recipe, run.description, *run.tracked.values())
            left = {path: path.read_bytes() for path in described if path.exists()}
            try:
                yield run
            except BaseException:
                if not (run.training_state.exists() or run.previous_state.exists()):
                    run.clear()
                    for path, content in left.items():
                        with replacing(path) as partial:
                            partial.write_bytes(content)
                raise

    @classmethod
    @contextlib.contextmanager
    def resuming(cls, path: str | Path) -> Iterator[RunFolder]:
        """The folder of a run with a checkpoint, locked.

        Raises:
            UserError: as `open`; it is in use, or a file that training writes is of another kind.
        """
        run = cls.open(path)
        # Found before the first step and not after it.
        files = (run.training_state, run.previous_state, run.best, run.last, run.curve)
        written = (*files, run.recipe, run.description, run.log, run.samples, run.tensorboard)
        for path in files:
            refuse_other_kinds(path)
        with exclusive(run.path):
            for path in written:
                refuse_immovable(path)
            run.remove_partials()
            yield run

    def _refuse_taken(self) -> None:
        if os.path.exists(self.path) and not os.path.isdir(self.path):
            raise UserError(f"{self.path} is a file, not a folder; choose another --run")
        if not os.path.isdir(self.path) or self.never_started():
            return
        if self.description.exists() or self.request.exists():
            raise UserError(
                f"{self.path} already holds a run; add --resume or choose another folder"
            )
        raise UserError(f"{self.path} is not empty and holds no run; choose another folder")

    def never_started(self) -> bool:
        """Whether it holds at most what lies there before the first checkpoint."""
        early = {self.request, self.recipe, self.description, self.codes, self.tensorboard}
        early |= set(self.tracked.values())
        entries = {
            path
            for path in self.path.iterdir()
            if not (is_partial(path.name) or path.name.startswith(LOCK))
        }
        # Without a request, these names are somebody else's.
        return entries <= early and (not entries or self._is_requested())

    def _is_requested(self) -> bool:
        try:
            return REQUEST.keys() <= self.read_request().keys()
        except UserError:
            return False

    def can_start_over(self) -> bool:
        """Whether a training was killed before its first checkpoint, and left its request."""
        return os.path.isdir(self.path) and self.request.is_file() and self.never_started()

    def clear(self) -> None:
        """Remove what lies there before the first checkpoint."""
        self.remove_partials()
        events = self.tensorboard.glob("events.out.tfevents*")
        for path in (self.description, self.recipe, self.codes, *self.tracked.values(), *events):
            path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.tensorboard.rmdir()
        self.request.unlink(missing_ok=True)  # the last one: it says whose the others are

    def remove_partials(self) -> None:
        """Remove files in the making that a killed training left; only under the lock."""
        for folder in (self.path, self.samples):
            for path in folder.glob(f"{PARTIAL}*"):
                if not is_partial(path.name):
                    continue  # somebody's own
                # A report may be written at the same time, by another process; and a folder is of
                # an export or a listening test, which may hold what was there before.
                report = path.name.endswith((self.report.name, self.measures.name))
                if not report and (path.is_symlink() or not path.is_dir()):
                    path.unlink(missing_ok=True)

    def describe(self) -> dict[str, Any]:
        """What run.json holds.

        Raises:
            UserError: it is damaged, or of another version.
        """
        values = read_json(self.description)
        version = values.get("format_version")
        if version != FORMAT_VERSION or version is True:
            raise UserError(
                f"{self.path} has format {version!r}, this version reads {FORMAT_VERSION}; "
                "use the version of keras-rawaudio that made it"
            )
        found = JsonObject(values, self.description, DESCRIPTION)
        if (measure := found.get("measure", "bits_per_sample")) not in UNITS:
            raise UserError(
                f"cannot read {self.description}: no measure {measure!r}; it is damaged"
            )
        return found

    def read_request(self) -> dict[str, Any]:
        """What request.json holds.

        Raises:
            UserError: it is missing or damaged.
        """
        return JsonObject(read_json(self.request), self.request, REQUEST)

    def read_recipe(self) -> dict[str, Any]:
        """What recipe.json holds.

        Raises:
            UserError: it is damaged, or names no recipe.
        """
        values = read_json(self.recipe)
        with damaged_if_wrong(self.recipe):
            if not isinstance(values["name"], str):
                raise TypeError("its name is no text")
        return values

    def write_json(self, path: Path, values: dict[str, Any]) -> None:
        """Write a JSON file whole or not at all."""
        with replacing(path) as partial:
            partial.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
