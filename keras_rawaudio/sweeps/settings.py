"""What a sweep's file holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from keras_rawaudio.recipes import AnyRecipe, load_recipe
from keras_rawaudio.settings import Settings, checked, read_settings

Number = int | float
Scalar = bool | int | float | str | None


class Range(Settings):
    """From `low` to `high`, both included; whole numbers where both are whole.

    Example:
        >>> Range(low=64, high=256, step=64).whole
        True
    """

    low: Number
    """The least value."""
    high: Number
    """The greatest value."""
    log: bool = False
    """Search evenly in the logarithm."""
    step: Annotated[Number, Field(gt=0)] | None = None
    """Distance between neighbouring values."""

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    @model_validator(mode="after")
    def _is_a_range(self) -> Range:
        if self.low > self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}; swap them")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range begins above 0, not at {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("log and step do not go together; leave one out")
        if self.whole and not isinstance(self.step, int | None):
            raise ValueError(f"a range of whole numbers has a whole step, not {self.step}")
        return self


AudioPath = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
Choices = Annotated[list[Scalar], Field(min_length=1)]


class SweepSettings(Settings):
    """Audio, recipe, budget, and what is searched.

    Example:
        >>> sweep = SweepSettings(
        ...     audio=["song.flac"],
        ...     trials=8,
        ...     search={"data.batch": [8, 16], "tiers.0.dropout": Range(low=0.0, high=0.3)},
        ... )
        >>> sweep.load_recipe({"data.batch": 16}).data.batch
        16
    """

    audio: Annotated[list[AudioPath], Field(min_length=1)]
    """Audio files, folders and addresses."""
    recipe: str = "default"
    """A recipe by name, or a YAML file."""
    minutes: Number | None = None
    """Minutes of training steps per trial; 10 if `epochs` is left out, too."""
    epochs: int | None = None
    """Passes over the data per trial, instead of minutes."""
    trials: Annotated[int, Field(ge=1, le=1_000_000)]
    """How many runs to train."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    """Of the search, of the weights and of the data's order."""
    sample_rate: int | None = None
    """In Hz; `null`: the files' own, up to what the recipe takes."""
    mono: bool = False
    """Mix stereo to mono."""
    set: Annotated[dict[str, Any], Field(default_factory=dict)]
    """Recipe values that are the same in every trial, by dotted key."""
    search: Annotated[dict[str, Range | Choices], Field(min_length=1)]
    """Recipe values that differ, by dotted key: a range, or a list of choices."""

    @field_validator("audio", mode="before")
    @classmethod
    def _one_file_is_a_list_of_one(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    def load_recipe(self, values: dict[str, Any]) -> AnyRecipe:
        """The recipe of a trial.

        Args:
            values: what the search chose, by dotted key.

        Raises:
            UserError: no such recipe or key, or a value that does not fit.
        """
        return load_recipe(self.recipe, {**self.set, **values})


def read_sweep(path: str | Path) -> SweepSettings:
    """Read a sweep's file, and check that both ends of each range fit the recipe.

    Paths become absolute.

    Raises:
        UserError: the file cannot be read, or a setting does not fit.

    Example:
        >>> read_sweep("sweep.yaml").trials  # doctest: +SKIP
        20
    """
    path = Path(path)
    values = read_settings(path, "sweep")
    settings = checked(SweepSettings, values, f"sweep {path}")
    for key, axis in settings.search.items():
        for value in (axis.low, axis.high) if isinstance(axis, Range) else axis:
            settings.load_recipe({key: value})
    audio = [
        a if "://" in a else str(Path(os.path.expanduser(a)).resolve()) for a in settings.audio
    ]
    recipe = settings.recipe
    if Path(recipe).suffix in (".yaml", ".yml", ".json"):
        recipe = str(Path(recipe).resolve())
    return settings.model_copy(update={"audio": audio, "recipe": recipe})
