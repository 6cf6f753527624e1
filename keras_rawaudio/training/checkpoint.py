"""All that a training is at one moment, in one file, so that it goes on as if never interrupted."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.training.step import TrainingStep


def save_checkpoint(path: Path, step: TrainingStep, progress: dict[str, Any]) -> None:
    """Write weights, random state, optimizer slots, carried state and progress.

    Args:
        path: the `.npz` file.
        step: holds the model, the optimizer and the carried state.
        progress: plain JSON: steps, seconds, the best validation, ...
    """
    variables = step.variables()
    arrays: dict[str, Any] = {k: keras.ops.convert_to_numpy(v) for k, v in variables.items()}
    with path.open("wb") as file:
        np.savez(file, progress=np.array(json.dumps(progress)), **arrays)


def load_checkpoint(path: Path, step: TrainingStep) -> dict[str, Any]:
    """Put everything back.

    Returns:
        The progress that was saved.

    Raises:
        UserError: the file is missing, damaged, or of another model or batch.
    """
    if not path.is_file():
        raise UserError(f"{path.parent} was left before its first save; train it anew")
    variables = step.variables()
    try:
        with np.load(path, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        progress: dict[str, Any] = json.loads(str(arrays.pop("progress")))
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise UserError(f"cannot resume from {path}: {error}; train into a new folder") from None
    if {k: v.shape for k, v in arrays.items()} != {k: tuple(v.shape) for k, v in variables.items()}:
        raise UserError(f"{path} was saved by another model or batch; resume with the same recipe")
    for name, value in arrays.items():
        variables[name].assign(value)
    return progress
