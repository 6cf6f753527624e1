"""Statistics of the recurrent layers: how far open the gates are, how many are saturated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import tensorflow as tf

from keras_rawaudio.data.windows import StreamPlan
from keras_rawaudio.data.windows.dataset import read_batches
from keras_rawaudio.models import Model
from keras_rawaudio.models.carried_state import reset_state

SAMPLES = 1 << 13  # read at most: a thousand steps of a tier with frames of 8 samples
ACTIVATIONS = ("candidate", "memory")  # hyperbolic tangents; every other name is a gate
MARGIN = 0.1  # this near an end of its range, a unit hardly learns


class GateStatistics:
    """Reads a stretch of audio, as in validation, and records every gate and activation.

    The states come from an ordinary pass; gates and activations are worked out from them
    afterwards, so that training is as fast as without.

    Args:
        model: is read as it is at each call.
        segments: int16 arrays; the beginning of the longest one is read.
        starts: where in its own file each segment begins; `None`: at 0.
        labels: of each segment, for a model with labels.
    """

    def __init__(
        self,
        model: Model,
        segments: Sequence[np.ndarray],
        starts: Sequence[int] | None = None,
        labels: Sequence[int] | None = None,
    ) -> None:
        self.model = model
        longest = max(range(len(segments)), key=lambda i: len(segments[i]))
        segment = segments[longest]
        window = max(1, min(SAMPLES, len(segment)) // model.frame) * model.frame
        plan = StreamPlan([len(segment)], window, 1)
        begins = None if starts is None else [starts[longest]]
        label = None if labels is None else [labels[longest]]
        encode, context = model.codec.encode, model.context
        batch = next(read_batches([segment], encode, plan, context, starts=begins, labels=label))
        names = [name for name in ("x", "reset", "position", "label") if name in batch]
        self._inputs = [tf.constant(batch[name]) for name in names]
        self._function = tf.function(self._observe, autograph=False)

    def __call__(self) -> dict[str, dict[str, np.ndarray]]:
        """The values of each recurrent layer.

        Returns:
            By layer (`tier0_layer0`) and name (`update`, `forget`, `candidate`, ...): `(n,)`, over
            all steps and units. Gates lie in [0, 1], activations in [-1, 1].
        """
        layers = self._function(*self._inputs)
        return {
            layer: {name: np.asarray(value).ravel() for name, value in values.items()}
            for layer, values in layers.items()
        }

    def _observe(
        self, x: Any, reset: Any, position: Any, label: Any = None
    ) -> dict[str, dict[str, Any]]:
        seen: dict[str, dict[str, Any]] = {}
        with ExitStack() as undo:
            for tier in self.model.tiers:
                tier.stack.watcher = lambda layer, values, tier=tier.name: seen.update(
                    {f"{tier}_{layer}": values}
                )
                undo.callback(setattr, tier.stack, "watcher", None)
            state = reset_state(self.model, self.model.zero_state(1), reset, position, label)
            self.model(x, state)
        return seen


def saturation(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    """The saturated share of a layer's gates, and of its activations.

    A gate is saturated under 0.1 and over 0.9, an activation under -0.9 and over 0.9.

    Args:
        values: of one layer, by name, as `GateStatistics` gives them.

    Example:
        >>> layer = {"update": np.array([0.05, 0.5]), "candidate": np.array([-0.95, 1.0])}
        >>> saturation(layer)
        {'saturated_gates': 0.5, 'saturated_activations': 1.0}

    Reference:
        Karpathy, Johnson and Fei-Fei 2016, "Visualizing and understanding recurrent networks",
        section 4.2 (left- and right-saturated gates).
    """
    gates = [saturated_share(name, v) for name, v in values.items() if name not in ACTIVATIONS]
    activations = [saturated_share(name, v) for name, v in values.items() if name in ACTIVATIONS]
    return {
        "saturated_gates": float(np.mean(gates)),
        "saturated_activations": float(np.mean(activations)),
    }


def saturated_share(name: str, values: np.ndarray) -> float:
    """The saturated share of one gate's or activation's values."""
    if name in ACTIVATIONS:
        return float((np.abs(values) > 1 - MARGIN).mean())
    return float(((values < MARGIN) | (values > 1 - MARGIN)).mean())


def report(layers: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, Any]]:
    """Shares and means by layer, ready for `json.dumps`."""
    return {
        layer: saturation(values)
        | {
            name: {
                "mean": round(float(v.mean()), 4),
                "saturated": round(saturated_share(name, v), 4),
            }
            for name, v in values.items()
        }
        for layer, values in layers.items()
    }
