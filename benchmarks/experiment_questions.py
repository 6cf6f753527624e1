"""The files of the questions: what each asks, of which systems, and what was predicted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from keras_rawaudio.errors import UserError
from keras_rawaudio.settings import Settings, checked, read_settings

Count = Annotated[int, Field(ge=1)]


class Refiner(Settings):
    """What revises the audio that a system generates."""

    recipe: str
    """By name."""
    steps: Count
    """Of training."""


class System(Settings):
    """One system: a recipe, and what is laid over it."""

    words: str
    """What it is called on the page."""
    recipe: str | None = None
    """By name; `null`: that of the first experiments."""
    set: tuple[str, ...] = Field((), strict=False)
    """`KEY=VALUE`, as on the command line."""
    overlap: Count | None = None
    """Predictions whose mean each sample is, in generation."""
    refiner: Refiner | None = None
    """Trained with each seed; `null`: nothing is revised."""
    steps: Count | None = None
    """Of training; `null`: those of the command line."""


class Prediction(Settings):
    """What was predicted: one system better than another, or two that are the same."""

    claim: str
    """In words."""
    measure: str
    """What is compared."""
    better: str | None = None
    """The system that should be better."""
    than: str | None = None
    """The system that it is better than."""
    same: Annotated[list[str], Field(min_length=2, max_length=2)] | None = None
    """Two systems that should not differ by more than the margin."""
    margin: Annotated[float, Field(gt=0)] | None = None
    """How far two systems may differ that are the same."""
    at: Literal["equal steps", "equal compute"] = "equal steps"
    """Where the two are compared."""


class Question(Settings):
    """A question of 2016."""

    name: str
    """In one word."""
    asked: str
    """The question."""
    theirs: str
    """The answer of 2016."""
    note: str | None = None
    """Printed below the figures."""
    scored: bool = True
    """Whether losses can be compared."""
    steps: Count | None = None
    """Of training, of every system."""
    predictions: list[Prediction]
    """What was predicted."""
    systems: Annotated[dict[str, System], Field(min_length=1)]
    """The reference first."""

    @model_validator(mode="after")
    def _compares_its_own_systems(self) -> Question:
        for prediction in self.predictions:
            pair = [prediction.better, prediction.than]
            if (prediction.same is None) == (pair == [None, None]):
                raise ValueError(f"{prediction.claim!r} needs better and than, or same")
            for label in prediction.same or pair:
                if label not in self.systems:
                    raise ValueError(f"{prediction.claim!r} is about no system {label!r}")
        return self


def read_questions(folder: Path) -> list[dict[str, Any]]:
    """The questions, in the order of their files' numbers; their steps are those of each system.

    Raises:
        UserError: a file whose name has no number, or that holds no question.
    """
    questions = []
    for path in folder.glob("*.yaml"):
        number, _, _ = path.name.partition("-")
        if not number.isdecimal():
            raise UserError(f"{path}: begin the name of a question's file with a number and '-'")
        values = read_settings(path, "question")
        question = checked(Question, values, str(path)).model_dump(mode="json", exclude_unset=True)
        for system in question["systems"].values():
            if "steps" in question:
                system["steps"] = question["steps"]
        questions.append((int(number), question))
    return [question for _, question in sorted(questions, key=lambda each: each[0])]
