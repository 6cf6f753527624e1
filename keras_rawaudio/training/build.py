"""From a recipe to a model."""

from __future__ import annotations

from keras_rawaudio.data.codecs import Codec
from keras_rawaudio.errors import UserError
from keras_rawaudio.models.audio_model import AudioModel
from keras_rawaudio.recipes import Recipe


def build_model(recipe: Recipe, codec: Codec) -> AudioModel:
    """Make the model that a recipe describes.

    Args:
        recipe: the point of the model space.
        codec: fitted on the train part.

    Returns:
        An `AudioModel` with fresh weights.

    Raises:
        UserError: settings that fit each by itself, but not a model.
    """
    values = recipe.to_json()
    try:
        return AudioModel(values["tiers"], values["head"], codec.to_json())
    except (TypeError, ValueError) as error:
        raise UserError(f"recipe {recipe.name}: {error}") from None
