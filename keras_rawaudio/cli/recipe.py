"""List the recipes, or print one as it is trained, or the schema of all."""

from __future__ import annotations

import argparse
import json

from keras_rawaudio.cli.arguments import SET
from keras_rawaudio.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `recipe`."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="a recipe's name or YAML file")
    parser.add_argument("--set", **SET)
    parser.add_argument(
        "--schema", action="store_true", help="the JSON schema that editors complete from"
    )


def run(options: argparse.Namespace) -> int:
    """Print what was asked for."""
    import yaml
    from pydantic import TypeAdapter

    from keras_rawaudio.recipes import AnyRecipe, load_recipe, parse_overrides, recipe_names

    if options.schema:
        if options.name or options.set:
            raise UserError("--schema is of all recipes; leave the others out")
        print(json.dumps(TypeAdapter(AnyRecipe).json_schema(), indent=2))
    elif options.name:
        recipe = load_recipe(options.name, parse_overrides(options.set))
        print(
            yaml.safe_dump(recipe.to_json(), sort_keys=False, allow_unicode=True, width=100), end=""
        )
    elif options.set:
        raise UserError("--set needs the name of a recipe")
    else:
        recipes = [load_recipe(name) for name in recipe_names()]
        width = max(len(recipe.name) for recipe in recipes)
        for recipe in recipes:
            print(f"{recipe.name:{width}}  {recipe.description}")
    return 0
