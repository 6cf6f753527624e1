"""From a recipe to a model."""

from __future__ import annotations

import dataclasses
import inspect

from keras_rawaudio.data.codecs import Codec
from keras_rawaudio.errors import UserError
from keras_rawaudio.models.audio_model import AudioModel
from keras_rawaudio.models.heads import HEADS
from keras_rawaudio.recipes.settings import Recipe, nearest


def build_model(recipe: Recipe, codec: Codec) -> AudioModel:
    """Make the model that a recipe describes.

    Args:
        recipe: the point of the model space.
        codec: fitted on the train part.

    Returns:
        An `AudioModel` with fresh weights.

    Raises:
        UserError: an option that the head does not have, or a value it refuses.
    """
    head = dict(recipe.head)
    kind = HEADS[head["kind"]]
    options = set(inspect.signature(kind.__init__).parameters) - {"self", "kwargs", "levels"}
    for key in set(head) - {"kind"}:
        if key not in options:
            raise UserError(f"recipe {recipe.name}: head has no {key!r}; {nearest(key, options)}")
    tiers = [dataclasses.asdict(tier) for tier in recipe.tiers]
    for tier in tiers:
        if isinstance(tier["units"], tuple):
            tier["units"] = list(tier["units"])
    try:
        return AudioModel(tiers, head, codec.to_json())
    except (TypeError, ValueError) as error:
        raise UserError(f"recipe {recipe.name}: {error}") from None
