"""Recipes: small files that name a point of the model space."""

from keras_rawaudio.recipes.load import load_recipe, recipe_from_json, recipe_names
from keras_rawaudio.recipes.settings import Recipe, TierSettings, TrainingSettings, WindowSettings

__all__ = [
    "Recipe",
    "TierSettings",
    "TrainingSettings",
    "WindowSettings",
    "load_recipe",
    "recipe_from_json",
    "recipe_names",
]
