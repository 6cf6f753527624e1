"""Find a recipe by name or path, lay the user's overrides over it, check it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from keras_rawaudio.errors import UserError, nearest
from keras_rawaudio.recipes.refiner import RefinerRecipe
from keras_rawaudio.recipes.schema import Recipe, SpectralRecipe
from keras_rawaudio.settings import checked, load_yaml, read_settings

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

AnyRecipe: TypeAlias = Recipe | SpectralRecipe | RefinerRecipe
# A setting that only one kind of recipe has.
KINDS: dict[str, type[SpectralRecipe] | type[RefinerRecipe]] = {
    "spectral": SpectralRecipe,
    "refiner": RefinerRecipe,
}


def recipe_names() -> list[str]:
    """Names of the recipes that ship inside the package."""
    return sorted(_shipped())


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> AnyRecipe:
    """Read a recipe and check it.

    Args:
        name: a shipped recipe's name, or the path of a YAML or JSON file.
        overrides: dotted keys to values, laid over the file: `{"data.batch": 16}`;
            a tier is named by its number, slowest first: `{"tiers.0.units": 512}`.

    Returns:
        The resolved recipe.

    Raises:
        UserError: no such recipe or key (with the nearest one), a value that does not fit,
            frames that do not divide.

    Example:
        >>> load_recipe("default", {"data.batch": 4}).data.batch
        4
    """
    values = _read(name)
    for key, value in (overrides or {}).items():
        _override(values, key, value)
    return _checked(values, f"recipe {name}")


def recipe_from_json(values: Any) -> AnyRecipe:
    """A recipe from what its `to_json` wrote."""
    return _checked(values, "recipe")


def _checked(values: Any, where: str) -> AnyRecipe:
    if isinstance(values, Mapping):
        for key, kind in KINDS.items():
            if key in values:
                return checked(kind, values, where)
    return checked(Recipe, values, where)


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """Overrides from the words of a command line, each `KEY=VALUE` with a value as in YAML.

    Raises:
        UserError: not a pair, or a value that YAML cannot read.

    Example:
        >>> parse_overrides(["data.batch=4", "training.learning_rate=1e-3"])
        {'data.batch': 4, 'training.learning_rate': 0.001}
    """
    values: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UserError(f"--set {word}: write it as key=value")
        if key in values:
            raise UserError(f"--set {key} is there twice; keep one")
        values[key] = parse_value(f"--set {key}", value)
    return values


def parse_value(where: str, word: str) -> Any:
    """A value as YAML reads it."""
    try:
        return load_yaml(word)
    except ValueError:
        raise UserError(f"{where}: cannot read {word!r}; write it as in a recipe") from None


def _shipped() -> dict[str, Traversable]:
    home = resources.files("keras_rawaudio.recipes")
    files = (file for folder in (home, home / "2016") for file in folder.iterdir())
    return {file.name[:-5]: file for file in files if file.name.endswith(".yaml")}


def _read(name: str) -> dict[str, Any]:
    path = Path(name)
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        known_as = os.fsencode(path.stem).decode("utf-8", "replace")
        return {"name": known_as, **read_settings(path, "recipe")}
    if name in (shipped := _shipped()):
        return {"name": name, **load_yaml(shipped[name].read_text(encoding="utf-8"))}
    if path.name and os.path.isfile(beside := f"{name}.yaml"):
        raise UserError(f"no recipe {name!r}; did you mean the file {beside}?")
    raise UserError(f"no recipe {name!r}; {nearest(name, shipped)}")


def _override(values: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    place: Any = values
    for i, step in enumerate(path):
        where = ".".join(path[: i + 1])
        if isinstance(place, list):
            if step not in map(str, range(len(place))):
                raise UserError(f"--set {key}: no tier {step!r}; there are {len(place)}, from 0")
            place = place[int(step)]
            continue
        if step not in place:
            if step not in ("data", "training"):
                raise UserError(f"--set {key}: nothing called {where!r}; {nearest(step, place)}")
            place[step] = {}
        place = place[step]
        if not isinstance(place, (dict, list)):
            break
    if not isinstance(place, dict):
        raise UserError(f"--set {key}: {'.'.join(path)} holds no settings by name")
    place[last] = value
