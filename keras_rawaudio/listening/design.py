"""The questions of a listening test, and its key: which clip comes from where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

NOISE_PAIRS = 4  # recording beside noise
RATED_ANCHORS = 2  # of noise, and of MP3

Source = Literal["recording", "a", "b", "noise", "mp3"]
System = Literal["a", "b"]
Question = Literal["identify", "prefer", "rate"]


class Trial(BaseModel):
    """One question.

    Attributes:
        id: means nothing.
        question: `identify`: which of two clips is the recording. `prefer`: which of two is the
            better music. `rate`: fidelity and musicality of one.
        clips: their ids.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    question: Question
    clips: Annotated[tuple[str, ...], Field(min_length=1, max_length=2)]


class Key(BaseModel):
    """Where each clip comes from, `key.json`; the page does not hold it.

    Attributes:
        test: the id that answers name.
        systems: the paths of `a` and `b`.
        random_seed: of excerpts, draws and pairs.
        seconds: of each clip.
        sample_rate: in Hz.
        channels: 1 or 2.
        loudness_lufs: of every clip.
        clips: the source of each.
        trials: all questions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["keras-rawaudio listening test, key"] = "keras-rawaudio listening test, key"
    version: Literal[1] = 1
    test: str
    systems: dict[System, str]
    random_seed: int
    seconds: float
    sample_rate: int
    channels: int
    loudness_lufs: float
    clips: dict[str, Source]
    trials: tuple[Trial, ...]

    @model_validator(mode="after")
    def _asks_what_a_test_asks(self) -> Key:
        if any(clip not in self.clips for trial in self.trials for clip in trial.clips):
            raise ValueError("a question is about a clip that it does not know")
        if len({trial.id for trial in self.trials}) < len(self.trials):
            raise ValueError("two of its questions have one id")
        asked = {(trial.question, frozenset(self.sources(trial))) for trial in self.trials}
        needed: set[tuple[str, frozenset[str]]] = {
            *(("identify", frozenset({"recording", name})) for name in (*self.systems, "noise")),
            *(("rate", frozenset({name})) for name in ("recording", *self.systems, "noise", "mp3")),
        }
        if len(self.systems) == 2:
            needed.add(("prefer", frozenset({"a", "b"})))
        if not self.systems or asked != needed:
            raise ValueError("its questions are not those of a test")
        return self

    def sources(self, trial: Trial) -> tuple[Source, ...]:
        """Where the clips of a question come from."""
        return tuple(self.clips[clip] for clip in trial.clips)


def clips_needed(systems: Sequence[str], trials: int) -> dict[Source, int]:
    """How many clips of each source a test takes.

    Args:
        systems: `["a"]`, or `["a", "b"]`.
        trials: pairs of each system.

    Example:
        >>> clips_needed(["a", "b"], 6)
        {'recording': 18, 'a': 6, 'b': 6, 'noise': 4}
    """
    # On top of the pairs: one to set the level by, and one that generated audio goes on from.
    recording = len(systems) * trials + NOISE_PAIRS + 2
    needed: dict[Source, int] = {"recording": recording}
    if "a" in systems:
        needed["a"] = trials
    if "b" in systems:
        needed["b"] = trials
    return {**needed, "noise": NOISE_PAIRS}


def design_trials(
    clips: Mapping[Source, Sequence[str]], generator: np.random.Generator
) -> tuple[Trial, ...]:
    """The questions, in random order within each kind.

    No clip is in two pairs of one kind, because one that comes back would be known. The clips that
    are rated have been in a pair before.

    Args:
        clips: ids of each source.
        generator: of ids and order.

    Returns:
        `identify`, then `prefer` (where there are two systems), then `rate`.

    Example:
        >>> clips = {"recording": "0123456789", "a": "uv", "b": "xy", "noise": "klmn", "mp3": "pq"}
        >>> trials = design_trials(clips, np.random.default_rng(0))
        >>> [sum(t.question == kind for t in trials) for kind in ("identify", "prefer", "rate")]
        [8, 2, 7]
    """
    systems: list[Source] = [name for name in ("a", "b") if name in clips]
    real = iter(clips["recording"])
    pairs = [(next(real), clip) for name in (*systems, "noise") for clip in clips[name]]
    rated = -(-len(clips["a"]) // 2)
    ratings = [*clips["recording"][:rated], *(c for s in systems for c in clips[s][:rated])]
    ratings += [*clips["noise"][:RATED_ANCHORS], *clips["mp3"]]
    asked: list[tuple[Question, list[tuple[str, ...]]]] = [("identify", [*pairs])]
    if len(systems) == 2:
        asked.append(("prefer", [*zip(clips["a"], clips["b"], strict=True)]))
    asked.append(("rate", [(clip,) for clip in ratings]))
    trials: list[Trial] = []
    for question, groups in asked:
        for index in generator.permutation(len(groups)):
            # The order of ids within a pair tells nothing.
            group = tuple(sorted(groups[index]))
            trials.append(Trial(id=new_id(generator), question=question, clips=group))
    return tuple(trials)


def new_id(generator: np.random.Generator) -> str:
    """Eight hexadecimal digits."""
    return generator.bytes(4).hex()
