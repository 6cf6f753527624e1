"""Recipes: small files that describe a model and its training."""

from keras_rawaudio.recipes.load import (
    AnyRecipe,
    load_recipe,
    parse_overrides,
    parse_value,
    recipe_from_json,
    recipe_names,
)
from keras_rawaudio.recipes.refiner import RefinerRecipe
from keras_rawaudio.recipes.schema import (
    CodeTrainingSettings,
    DataSettings,
    Recipe,
    SpectralRecipe,
    SpectralSettings,
    TrainingSettings,
)
from keras_rawaudio.recipes.tiers import TierSettings

__all__ = [
    "AnyRecipe",
    "CodeTrainingSettings",
    "DataSettings",
    "Recipe",
    "RefinerRecipe",
    "SpectralRecipe",
    "SpectralSettings",
    "TierSettings",
    "TrainingSettings",
    "load_recipe",
    "parse_overrides",
    "parse_value",
    "recipe_from_json",
    "recipe_names",
]
