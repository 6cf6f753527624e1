"""Answers that listeners mail back, and the files they come in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from keras_rawaudio.errors import UserError
from keras_rawaudio.listening.design import Key, Trial

Grade = Annotated[int, Field(ge=1, le=5)]
LARGEST = 1 << 24  # bytes of a key or of one listener's answers
File = TypeVar("File", bound=BaseModel)


class Answer(BaseModel):
    """The answer to one question.

    Attributes:
        trial: its id.
        order: clips in the order they were shown.
        plays: how often each was started.
        choice: the clip that was chosen; None for a rating.
        fidelity: 1 to 5; None for a choice.
        musicality: likewise.
        seconds: from the question to the answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial: str
    order: tuple[str, ...]
    plays: tuple[int, ...]
    choice: str | None = None
    fidelity: Grade | None = None
    musicality: Grade | None = None
    seconds: float

    def fits(self, trial: Trial) -> bool:
        """Whether it answers the question, and no other."""
        if set(self.order) != set(trial.clips):
            return False
        if trial.question == "rate":
            return self.choice is None and None not in (self.fidelity, self.musicality)
        return self.choice in trial.clips and (self.fidelity, self.musicality) == (None, None)


class Answers(BaseModel):
    """One listener's answers.

    Attributes:
        test: the id of the test.
        listener: name or initials, as typed.
        equipment: headphones, loudspeakers or built-in.
        seed: of the order of questions and sides.
        began: UTC, ISO 8601.
        answers: one per question.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["keras-rawaudio listening test, answers"]
    version: Literal[1]
    test: str
    listener: str
    equipment: str
    seed: int
    began: str
    answers: tuple[Answer, ...]


def read_files(paths: Sequence[Path]) -> tuple[Key, dict[Path, Answers]]:
    """Read the key of a test, and answers to it.

    Args:
        paths: JSON files in any order: one `key.json`, and one file per listener.

    Returns:
        The key, and the answers of each file.

    Raises:
        UserError: a file that is neither, no key or two, no answers, answers to another test,
            answers that do not fit the questions, or one session twice.
    """
    keys: dict[Path, Key] = {}
    answers: dict[Path, Answers] = {}
    for path in paths:
        content = _read(path)
        if str(content.get("format")).endswith("key"):
            keys[path] = _parse(Key, content, path)
        else:
            answers[path] = _parse(Answers, content, path)
    if len(keys) != 1:
        found = ", ".join(map(str, keys)) or "none"
        raise UserError(f"name the key.json of the test among the results, once; found: {found}")
    if not answers:
        raise UserError("no answers among the results; name the files that listeners saved, too")
    (key,) = keys.values()
    sessions: dict[tuple[int, str], Path] = {}
    for path, one in answers.items():
        _check(one, key, path)
        first = sessions.setdefault((one.seed, one.began), path)
        if first != path:
            raise UserError(f"{path} and {first} hold the same session; give one of them")
    return key, answers


def _check(answers: Answers, key: Key, path: Path) -> None:
    if answers.test != key.test:
        raise UserError(
            f"{path} answers test {answers.test}, and the key is of test {key.test}; leave it out"
        )
    given = {answer.trial: answer for answer in answers.answers}
    trials = {trial.id: trial for trial in key.trials}
    if len(given) != len(answers.answers) or given.keys() != trials.keys():
        raise UserError(
            f"{path} does not answer each of the {len(trials)} questions once; leave it out"
        )
    for name, answer in given.items():
        if not answer.fits(trials[name]):
            raise UserError(f"{path}: the answer to question {name} does not fit; leave it out")


def _read(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():  # a pipe would wait, and a device may never end
            raise UserError(f"cannot read {path}: there is no such file")
        if path.stat().st_size > LARGEST:
            raise UserError(f"cannot read {path}: it is larger than {LARGEST >> 20} MB")
        content = json.loads(path.read_text(encoding="utf-8-sig"))  # editors add a mark
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from None
    except UserError:
        raise
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a JSON file of a listening test; leave it out")
    return content


def _parse(kind: type[File], content: dict[str, Any], path: Path) -> File:
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        reason = ": ".join([".".join(map(str, first["loc"])), first["msg"]]).removeprefix(": ")
        raise UserError(
            f"{path} is not a file of a listening test: {reason}; leave it out"
        ) from None
