"""Estimate the time and memory of a training before it begins."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_rawaudio.data.windows import WindowPlan
from keras_rawaudio.data.windows.dataset import PREFETCH
from keras_rawaudio.errors import UserError
from keras_rawaudio.models.controls import MUSIC
from keras_rawaudio.recipes import AnyRecipe, RefinerRecipe, SpectralRecipe
from keras_rawaudio.training.step import TrainingStep

# Python with TensorFlow in it, before anything is trained.
AT_REST = 0.7e9
CONTAINER = Path("/sys/fs/cgroup/memory.max")
# Of all the tensors that a step makes, this share is alive at once: benchmarks/frames.py.
ALIVE = 0.55
# Gates of the recurrent cell that has the fewest, and arrays that an optimizer keeps per weight.
GATES = 3
SLOTS = {"sgd": 0, "rmsprop": 1, "adam": 2}
# Codes of a block of spectra, or fewer: what the spectral model reads in one step.
MOST_CODES = 4
# What takes no memory of its own.
VIEWS = {"Identity", "IdentityN", "Placeholder", "ReadVariableOp", "Reshape", "Squeeze"}


@dataclass(frozen=True)
class ResourceEstimate:
    """What an epoch takes.

    Attributes:
        steps: of training.
        seconds: for all of them, without validations.
        memory: bytes of the whole process.

    Example:
        >>> print(ResourceEstimate(steps=300, seconds=75.0, memory=1_260_000_000))
        an epoch: 300 steps, about 1:15; memory: about 1.3 GB
    """

    steps: int
    seconds: float
    memory: float

    def __str__(self) -> str:
        minutes, seconds = divmod(max(1, round(self.seconds)), 60)
        hours, minutes = divmod(minutes, 60)
        span = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
        memory = f"about {self.memory / 1e9:.1f} GB"
        return f"an epoch: {self.steps} steps, about {span}; memory: {memory}"


def announce(step: TrainingStep, plan: WindowPlan, write: Callable[[str], None]) -> None:
    """Print what an epoch takes, and warn where the memory may not suffice."""
    memory, whole = step_memory(step, plan), machine_memory()
    if memory > whole:
        write(
            f"note: training may take {memory / 1e9:.0f} GB of memory, and this machine has "
            f"{whole / 1e9:.0f}: lower data.length or data.batch"
        )
    steps = plan.batches_per_epoch
    write(str(ResourceEstimate(steps, steps * step_seconds(step, plan), memory)))


def require_memory(recipe: AnyRecipe) -> None:
    """Refuse a recipe that this machine surely has too little memory for; nothing is allocated.

    Raises:
        UserError: what it takes at least is more than there is.
    """
    least, whole = least_memory(recipe), machine_memory()
    if least > whole:
        raise UserError(
            f"recipe {recipe.name}: training takes {least / 1e9:.0f} GB of memory or more, and "
            f"this machine has {whole / 1e9:.0f}; lower the units, data.length or data.batch"
        )


def least_memory(recipe: AnyRecipe) -> float:
    """Bytes that training takes at least: recurrent weights, their outputs, batches read ahead.

    Windows count half, because `WindowPlan.fitting` may shorten them by so much.

    Example:
        >>> from keras_rawaudio.recipes import load_recipe
        >>> small, large = (
        ...     least_memory(load_recipe("raw", {"tiers.0.units": units})) for units in (320, 16384)
        ... )
        >>> small < 1e9 < 1e10 < large
        True
    """
    samples = recipe.data.batch * recipe.data.length / 2
    if isinstance(recipe, SpectralRecipe):
        stacks = [(MOST_CODES, [recipe.spectral.units] * recipe.spectral.layers)]
    elif isinstance(recipe, RefinerRecipe):
        refiner = recipe.refiner  # two directions
        stacks = [(refiner.frame_size, [refiner.units] * refiner.layers)] * 2
    else:
        stacks = [(t.frame_size, _widths(t.units, t.layers)) for t in recipe.tiers]
    weights = outputs = 0.0
    for frame, widths in stacks:
        inputs = [1, *widths]
        weights += sum(GATES * u * (u + v) for u, v in zip(widths, inputs, strict=False))
        outputs += samples / frame * GATES * sum(widths)
    training = recipe.training
    copies = 2 + SLOTS[training.optimizer] + (training.average is not None)  # gradients, too
    return AT_REST + 4 * (copies * weights + outputs + 2 * samples * (PREFETCH + 2))


def _widths(units: int | tuple[int, ...], layers: int | None) -> list[int]:
    return list(units) if isinstance(units, tuple) else [units] * (layers or 1)


def step_memory(step: TrainingStep, plan: WindowPlan) -> float:
    """Bytes that training takes, worked out from the traced step; nothing is run.

    That is the process at rest, all variables, the batches that are read ahead, and a share of the
    tensors that the step makes.
    """
    batch = silent_batch(step, plan)
    graph = step.function.get_concrete_function(**batch).graph
    tensors = [o for op in graph.get_operations() if op.type not in VIEWS for o in op.outputs]
    made = sum(_bytes(t) for t in tensors if t.shape.is_fully_defined())
    kept = sum(_bytes(v) for v in step.variables().values())
    parts = tf.nest.flatten(batch, expand_composites=True)
    read_ahead = sum(map(_bytes, parts)) * (PREFETCH + 2)
    return AT_REST + kept + read_ahead + ALIVE * made


def step_seconds(step: TrainingStep, plan: WindowPlan) -> float:
    """Seconds that a step takes, by running two: nothing that they change stays."""
    batch = silent_batch(step, plan)
    variables = step.variables()
    before = {name: tf.identity(value) for name, value in variables.items()}
    try:
        float(step.replicas.one(step.function(**batch)[0]))  # the first one takes longer
        began = time.perf_counter()
        float(step.replicas.one(step.function(**batch)[0]))
        return time.perf_counter() - began
    finally:
        for name, value in before.items():
            variables[name].assign(value)


def silent_batch(step: TrainingStep, plan: WindowPlan) -> dict[str, Any]:
    """A batch of silence in the shapes of the plan, as the step's function takes it."""
    B, N = len(range(plan.batch)[step.rows]), plan.window
    values = np.asarray(step.model.codec.encode(np.zeros((B, step.model.context + N), np.float32)))
    values = values.astype(np.int32 if step.model.codec.discrete else np.float32)
    batch = {
        "x": tf.constant(values),
        "y": tf.constant(values[:, -N:]),
        "reset": tf.zeros((B,), tf.bool),
        "position": tf.zeros((B,), tf.int64),
    }
    if MUSIC in step.model.state_spec():
        batch["label"] = tf.zeros((B,), tf.int32)
    return step.replicas.deal(batch)


def machine_memory() -> float:
    """Bytes of memory in this machine or container; infinite where the system does not say."""
    memory = float("inf")
    with suppress(AttributeError, OSError, ValueError):  # not on every system
        memory = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with suppress(OSError, ValueError):  # "max": no limit
        memory = min(memory, float(CONTAINER.read_text(encoding="utf-8")))
    return memory


def _bytes(value: Any) -> int:
    """Of a tensor or a variable, 0 for a handle of one."""
    dtype = tf.as_dtype(value.dtype)
    return 0 if dtype in (tf.resource, tf.variant) else int(np.prod(value.shape)) * dtype.size
