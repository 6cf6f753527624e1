"""Which music a model with labels generates."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.models import Model
from keras_rawaudio.models.controls import MUSIC

LARGEST = 1e6  # weight, as the sampler takes it


def random_music(model: Model, streams: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """One label for each stream, drawn by the labels' shares of the train part.

    So the streams together have what the train part has, and each is one music. A mean of all
    labels would be none of them.

    Args:
        model: may have labels.
        streams: how many.
        rng: draws.

    Returns:
        The state tensor by name: `(streams, labels)` float32; nothing for a model without labels.
    """
    labels = model.labels
    if not labels:
        return {}
    shares = np.asarray(model.label_shares, np.float64)
    chosen = rng.choice(len(labels), streams, p=shares / shares.sum())
    return {MUSIC: np.eye(len(labels), dtype=np.float32)[chosen]}


def chosen_music(model: Model, music: Mapping[str, float], streams: int) -> dict[str, np.ndarray]:
    """The weights of named labels, made to add up to 1, the same for all streams.

    Args:
        model: whose labels they are.
        music: weight of each name, not negative.
        streams: how many.

    Returns:
        As `random_music`.

    Raises:
        UserError: no such label, or weights that are no weights.
    """
    labels = list(model.labels)
    weights = np.zeros(len(labels))
    for name, weight in music.items():
        if name not in labels:
            near = difflib.get_close_matches(name, labels, 3, 0.4) or labels[:3]
            known = f"nearest: {', '.join(near)}" if near else "this model has one music alone"
            raise UserError(f"no music {name!r:.60}: {known}")
        if not 0 <= weight <= LARGEST:
            raise UserError(f"the weight of {name} is {weight:g}: it must be 0 to {LARGEST:g}")
        weights[labels.index(name)] = weight
    if not weights.sum() > 0:
        raise UserError("the weights of music add up to nothing: give one of them more than 0")
    return {MUSIC: np.tile((weights / weights.sum()).astype(np.float32), (streams, 1))}
