"""Find a recipe by name or path, lay the user's overrides over it, check that it makes sense."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from keras_rawaudio.errors import UserError
from keras_rawaudio.recipes.settings import Recipe, build, nearest

DISCRETE_CODECS = ("mulaw", "linear")
CONTINUOUS_CODECS = ("standardize", "minmax")
HEAD_CODECS = {
    "categorical": DISCRETE_CODECS,
    "mixture": ("peak",),
    "predictive": ("peak",),
    "regression": CONTINUOUS_CODECS,
    "spectrum": CONTINUOUS_CODECS,
}


def recipe_names() -> list[str]:
    """Names of the recipes that ship inside the package."""
    folder = resources.files("keras_rawaudio.recipes")
    return sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".yaml"))


def load_recipe(name: str, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Read a recipe and check it.

    Args:
        name: a shipped recipe's name, or the path of a YAML or JSON file.
        overrides: dotted keys to values, laid over the file: `{"windows.batch": 16}`;
            a tier is named by its number, slowest first: `{"tiers.0.units": 512}`.

    Returns:
        The resolved recipe.

    Raises:
        UserError: no such recipe or key (with the nearest one), a value that does not fit,
            frames that do not divide.

    Example:
        >>> load_recipe("default", {"windows.batch": 4}).windows.batch
        4
    """
    values = _read(name)
    for key, value in (overrides or {}).items():
        _override(values, key, value)
    recipe: Recipe = build(Recipe, values, f"recipe {name}")
    check(recipe)
    return recipe


def recipe_from_json(values: Mapping[str, Any]) -> Recipe:
    """A recipe from what `Recipe.to_json` wrote."""
    recipe: Recipe = build(Recipe, values, "recipe")
    check(recipe)
    return recipe


def _read(name: str) -> dict[str, Any]:
    import yaml

    path = Path(name)
    if path.suffix in (".yaml", ".yml", ".json"):
        if not path.is_file():
            raise UserError(f"no such recipe file: {name}; check the path")
        text, known_as = path.read_text(), path.stem
    elif name in recipe_names():
        text = (resources.files("keras_rawaudio.recipes") / f"{name}.yaml").read_text()
        known_as = name
    else:
        raise UserError(f"no recipe {name!r}; {nearest(name, recipe_names())}")
    try:
        values = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"recipe {name} is neither YAML nor JSON: {reason}; mend the file"
        ) from None
    if not isinstance(values, dict):
        raise UserError(f"recipe {name} holds no settings by name; see the shipped recipes")
    return {"name": known_as, **values}


def _override(values: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    place: Any = values
    for i, step in enumerate(path):
        where = ".".join(path[: i + 1])
        if isinstance(place, list):
            if not step.isdigit() or int(step) >= len(place):
                raise UserError(f"--set {key}: no tier {step!r}; there are {len(place)}, from 0")
            place[int(step)] = place = copy.copy(place[int(step)])
            continue
        if step not in place:
            if step in ("windows", "training"):
                place[step] = {}
            else:
                raise UserError(f"--set {key}: nothing called {where!r}; {nearest(step, place)}")
        place = place[step]
    if not isinstance(place, dict):
        raise UserError(f"--set {key}: {'.'.join(path)} holds no settings by name")
    place[last] = value


def check(recipe: Recipe) -> None:
    """Refuse what cannot be built, with words for the user."""
    where = f"recipe {recipe.name}"
    kind = recipe.head.get("kind")
    if kind not in HEAD_CODECS:
        raise UserError(f"{where}: no head {kind!r}; {nearest(str(kind), HEAD_CODECS)}")
    codec = recipe.codec.get("name")
    if codec not in HEAD_CODECS[kind]:
        fitting = " or ".join(HEAD_CODECS[kind])
        raise UserError(f"{where}: a {kind} head needs the codec {fitting}, not {codec!r}")
    if not recipe.tiers:
        raise UserError(f"{where}: no tier; name at least one")
    for i, tier in enumerate(recipe.tiers):
        widths = tier.units if isinstance(tier.units, tuple) else (tier.units,)
        layers = len(widths) if tier.layers is None else tier.layers
        if tier.frame < 1 or not 1 <= layers <= 5:
            raise UserError(
                f"{where}: tier {i} needs a frame of 1 sample or more and 1 to 5 layers"
            )
        if isinstance(tier.units, tuple) and len(widths) != layers:
            raise UserError(
                f"{where}: tier {i} has {layers} layers but {len(widths)} units; "
                "give as many widths as layers, or one for all"
            )
        if min(widths) < 1:
            raise UserError(f"{where}: tier {i} needs units of 1 or more, not {min(widths)}")
        for noise in ("preactivation_noise", "input_noise"):
            if getattr(tier, noise) < 0:
                raise UserError(f"{where}: {noise} of tier {i} must be 0 or more")
        if tier.window is not None and tier.window < tier.frame:
            raise UserError(
                f"{where}: tier {i} sees a window of {tier.window}, less than its frame "
                f"of {tier.frame}; leave window out or make it larger"
            )
        if tier.cell == "gru" and tier.forget_bias is not None:
            raise UserError(
                f"{where}: tier {i} is a GRU, which has no forget gate; "
                "leave forget_bias out or use cell: lstm"
            )
    outlines = [tier.outline for tier in recipe.tiers]
    if any(outlines[:-1]) or (outlines[-1] and kind != "predictive"):
        raise UserError(
            f"{where}: an outline is for the last tier alone, under a predictive head; "
            "leave outline out elsewhere"
        )
    for slow, fast in zip(recipe.tiers, recipe.tiers[1:], strict=False):
        if slow.frame % fast.frame or slow.frame == fast.frame:
            raise UserError(
                f"{where}: frames of {slow.frame} do not divide into frames of {fast.frame}; "
                "each tier's frame must be a multiple of the next one's"
            )
    windows, frame = recipe.windows, recipe.tiers[0].frame
    if windows.length < frame or windows.length % frame:
        raise UserError(
            f"{where}: windows of {windows.length} samples do not divide into frames of {frame}; "
            f"try {max(1, round(windows.length / frame)) * frame}"
        )
    if windows.sequence is not None and (
        windows.sequence < windows.length or windows.sequence % windows.length
    ):
        raise UserError(
            f"{where}: sequences of {windows.sequence} samples do not divide into windows of "
            f"{windows.length}; windows.sequence must be a multiple of windows.length"
        )
    if windows.batch < 1 or (isinstance(windows.shift, int) and windows.shift < 1):
        raise UserError(f"{where}: windows.batch and windows.shift must be 1 or more")
    if recipe.training.learning_rate <= 0 or recipe.training.validate_every <= 0:
        raise UserError(f"{where}: learning_rate and validate_every must be above 0")
