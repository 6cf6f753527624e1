"""The run folder: everything that a training leaves behind, by name."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_rawaudio.errors import UserError

FORMAT_VERSION = 1


class RunFolder:
    """Paths of a run, and writing that never leaves half a file.

    ```
    run.json            format, versions, corpus folder, sample rate, data, measure
    recipe.json         the resolved recipe
    best.keras          the latest model as good as the best validation so far: what export takes
    last.keras          the model as training left it
    training_state.npz  what resume needs beyond that: optimizer, position, carried state
    log.csv             one row a validation
    learning_curve.png  the same, drawn
    samples/            free-running audio and spectrograms, by step
    report.html         all of it to look at and listen to
    measures.json       what the report measured, for comparing runs
    tensorboard/        event files
    ```

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.description = self.path / "run.json"
        self.recipe = self.path / "recipe.json"
        self.best = self.path / "best.keras"
        self.last = self.path / "last.keras"
        self.training_state = self.path / "training_state.npz"
        self.log = self.path / "log.csv"
        self.curve = self.path / "learning_curve.png"
        self.samples = self.path / "samples"
        self.tensorboard = self.path / "tensorboard"
        self.report = self.path / "report.html"
        self.measures = self.path / "measures.json"

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """The folder of an existing run.

        Raises:
            UserError: not a folder, or not one that a training made.
        """
        run = cls(path)
        if not run.path.is_dir():
            raise UserError(f"no such run folder: {path}; give the folder that train.py --run made")
        if not run.description.is_file() or not run.recipe.is_file():
            raise UserError(f"{path} is not a run folder: it has no run.json; train one first")
        version = run.describe().get("format_version")
        if version != FORMAT_VERSION:
            raise UserError(
                f"{path} has format {version}, this version reads {FORMAT_VERSION}; "
                "use the version of keras-rawaudio that made it"
            )
        return run

    @classmethod
    def create(cls, path: str | Path) -> RunFolder:
        """A new run's folder.

        Raises:
            UserError: it already holds a run or anything else, or cannot be written.
        """
        run = cls.check_new(path)
        try:
            run.path.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=run.path).close()
        except OSError as error:
            raise UserError(f"cannot write to {path}: {error.strerror}; choose another") from None
        return run

    @classmethod
    def check_new(cls, path: str | Path) -> RunFolder:
        """Refuse a path that is taken; makes nothing.

        Raises:
            UserError: it holds a run or anything else, or is a file.
        """
        run = cls(path)
        if run.path.exists() and not run.path.is_dir():
            raise UserError(f"{path} is a file, not a folder; choose another --run")
        if run.description.exists():
            raise UserError(f"{path} already holds a run; add --resume or choose another folder")
        if run.path.is_dir() and any(run.path.iterdir()):
            raise UserError(f"{path} is not empty and holds no run; choose another folder")
        return run

    @classmethod
    @contextlib.contextmanager
    def making(cls, path: str | Path) -> Iterator[RunFolder]:
        """`create`, undone where the block fails before a first checkpoint: no run, no folder.

        Raises:
            UserError: as `create`.
        """
        target = Path(path)
        missing = [folder for folder in (target, *target.parents) if not folder.exists()]
        run = cls.check_new(path)  # from here on, all that lies in it is ours
        try:
            yield cls.create(path)
        except BaseException:
            if not run.training_state.exists():
                for entry in list(run.path.iterdir()) if run.path.is_dir() else []:
                    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
                for folder in missing:
                    with contextlib.suppress(OSError):
                        folder.rmdir()
            raise

    def describe(self) -> dict[str, Any]:
        """What run.json says."""
        return _read_json(self.description)

    def read_recipe(self) -> dict[str, Any]:
        """What recipe.json says."""
        return _read_json(self.recipe)

    @contextlib.contextmanager
    def writing(self, path: Path) -> Iterator[Path]:
        """A temporary path that becomes `path` when the block ends well, and vanishes if not."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".partial-{os.getpid()}-{path.name}")
        try:
            yield partial
            os.replace(partial, path)
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror or error}") from None
        finally:
            partial.unlink(missing_ok=True)

    def write_json(self, path: Path, values: dict[str, Any]) -> None:
        """Write a JSON file whole or not at all."""
        with self.writing(path) as partial:
            partial.write_text(json.dumps(values, indent=2) + "\n")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values: dict[str, Any] = json.loads(path.read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise UserError(f"cannot read {path}: {error}; the run folder is damaged") from None
    return values
