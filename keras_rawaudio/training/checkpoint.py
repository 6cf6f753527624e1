"""Checkpoints: the whole state of a training in one file, from which it resumes bit for bit."""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_rawaudio.errors import UserError, may_not_be_read
from keras_rawaudio.files import replacing, sync
from keras_rawaudio.settings import whole_number
from keras_rawaudio.training.run_folder import RunFolder
from keras_rawaudio.training.step import TrainingStep

PROGRESS = "progress"
LARGEST_PROGRESS = 1 << 16  # bytes
# What reading a damaged archive of arrays raises.
DAMAGE = (
    *(OSError, EOFError, KeyError, IndexError, ValueError, TypeError, RuntimeError, MemoryError),
    *(zipfile.BadZipFile, zlib.error),
)


def save_checkpoint(run: RunFolder, step: TrainingStep, progress: dict[str, Any]) -> None:
    """Write weights, random state, optimizer slots, recurrent state and progress.

    The file is a ZIP archive with a checksum of each array. The checkpoint before it is kept.

    Args:
        run: the folder.
        step: holds the model, the optimizer and the recurrent state.
        progress: plain JSON: steps, seconds, the best validation, ...
    """
    variables = step.variables()
    arrays: dict[str, Any] = {k: keras.ops.convert_to_numpy(v) for k, v in variables.items()}
    arrays[PROGRESS] = np.array(json.dumps(progress))
    with replacing(run.training_state) as partial:
        with partial.open("wb") as file:
            np.savez(file, **arrays)
        sync(partial)
        if run.training_state.exists():
            os.replace(run.training_state, run.previous_state)


def require_checkpoint(run: RunFolder, step: int) -> None:
    """Refuse to write into a run folder that was removed or renamed.

    A folder that is made anew could not be resumed: it would lack the run's description.

    Args:
        run: the folder.
        step: of the last checkpoint; negative where there was none yet, which is not refused.

    Raises:
        UserError: it is not there any more.
    """
    if step >= 0 and not (run.training_state.exists() or run.previous_state.exists()):
        raise UserError(
            f"{run.path} was removed or renamed while it was trained into; its last checkpoint, "
            f"of step {step}, went with it: --resume takes its new name"
        )


def load_checkpoint(
    run: RunFolder, step: TrainingStep, warn: Callable[[str], None]
) -> dict[str, Any]:
    """Put everything back, from the last checkpoint that is whole.

    Args:
        run: the folder.
        step: its variables are assigned.
        warn: is called with a line where the last checkpoint is damaged.

    Returns:
        The progress that was saved.

    Raises:
        UserError: no checkpoint is there and whole, or it is of another model or batch.
    """
    variables = step.variables()
    reasons = []
    for path in (run.training_state, run.previous_state):
        try:
            arrays, progress = _read(path, variables)
        except FileNotFoundError:
            reasons.append(f"there is no {path.name}")
            continue
        except PermissionError as error:
            raise may_not_be_read(path, error) from None
        except DAMAGE as error:
            reasons.append(
                f"{path.name}: {str(error).splitlines()[0] if str(error) else 'damaged'}"
            )
            continue
        if reasons:
            warn(f"note: {reasons[0]}; going on from the one before, of step {progress['steps']}")
        for name, value in arrays.items():
            variables[name].assign(value)
        return progress
    raise UserError(f"cannot resume from {run.path}: {reasons[0]}; train into a new folder")


def _read(path: Path, variables: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The arrays and the progress; nothing is allocated that the variables do not ask for."""
    if path.exists() and not path.is_file():
        raise ValueError("it is not a file")
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if members.keys() != variables.keys() | {PROGRESS}:
            raise ValueError("it was saved by another model")
        arrays = {name: _array(archive, members[name], v) for name, v in variables.items()}
        if members[PROGRESS].file_size > LARGEST_PROGRESS:
            raise ValueError("its progress is too long")
        with archive.open(members[PROGRESS]) as file:
            text = str(np.lib.format.read_array(file, allow_pickle=False))
            progress = json.loads(text, parse_int=whole_number)
    steps, seconds = progress["steps"], progress["seconds"]
    if not (isinstance(steps, int) and steps >= 0 and math.isfinite(seconds) and seconds >= 0):
        raise ValueError("its progress is no number of steps and seconds")
    if math.isnan(progress["best"]) or progress["since_best"] < 0:
        raise ValueError("its best validation is no number")
    return arrays, progress


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo, variable: Any) -> np.ndarray:
    shape, dtype = tuple(variable.shape), np.dtype(keras.backend.standardize_dtype(variable.dtype))
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            raise ValueError(f"{info.filename} has another format")
        found, fortran, kind = read_header(file)
        # The header is compared before memory is allocated.
        if found != shape or kind != dtype or (fortran and len(shape) > 1):
            raise ValueError(f"it was saved by another model or batch: {info.filename} is {found}")
        size = dtype.itemsize * math.prod(shape)
        data = file.read(size + 1)  # to the end, where the checksum is compared
    if len(data) != size:
        raise ValueError(f"{info.filename} is cut short")
    return np.frombuffer(data, dtype).reshape(shape)
