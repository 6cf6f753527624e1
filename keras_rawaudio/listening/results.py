"""What the answers to a listening test say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from keras_rawaudio.errors import one_line
from keras_rawaudio.listening.answers import Answers, read_files
from keras_rawaudio.listening.design import Key, Question, Source
from keras_rawaudio.listening.proportion import answers_needed, exact_interval, exact_p
from keras_rawaudio.metrics.bootstrap import mean_interval
from keras_rawaudio.reports.compare import text
from keras_rawaudio.reports.page import Table

NOISE_MISTAKES = 1  # that a listener may make
SCALES = ("fidelity", "musicality")
ABSENT = "-"


@dataclass(frozen=True)
class Listener:
    """One listener's answers by what they are about.

    Attributes:
        choices: for each pair of sources, whether the first was chosen, per question.
        ratings: grades of each scale and source.
    """

    choices: dict[tuple[Source, Source], list[bool]] = field(default_factory=dict)
    ratings: dict[tuple[str, Source], list[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, answers: Answers, key: Key) -> Listener:
        """Look the answers up in the key."""
        listener, given = cls(), {answer.trial: answer for answer in answers.answers}
        for trial in key.trials:
            answer, sources = given[trial.id], key.sources(trial)
            if trial.question == "rate":
                for scale in SCALES:
                    grades = listener.ratings.setdefault((scale, sources[0]), [])
                    grades.append(getattr(answer, scale))
            else:
                first, second = _pair(trial.question, sources)
                chosen = key.clips[str(answer.choice)] == first
                listener.choices.setdefault((first, second), []).append(chosen)
        return listener

    def grade(self, scale: str, source: Source) -> float:
        """The mean grade of a source."""
        return float(np.mean(self.ratings[scale, source]))


def screen(listener: Listener) -> list[str]:
    """Why a listener's answers do not count; empty if they do.

    Noise is to be known from the recording, with one mistake at most, and to be graded lower in
    fidelity than the recording and than the MP3.

    Example:
        >>> listener = Listener({("recording", "noise"): [True, False, False, True]})
        >>> for source, grade in ("recording", 5), ("mp3", 4), ("noise", 4):
        ...     listener.ratings["fidelity", source] = [grade]
        >>> screen(listener)
        ['took noise for the recording in 2 of 4 pairs',
         'graded noise 4.0, no lower than mp3 (4.0)']
    """
    found = []
    right = listener.choices["recording", "noise"]
    mistakes = len(right) - sum(right)
    if mistakes > NOISE_MISTAKES:
        found.append(f"took noise for the recording in {mistakes} of {len(right)} pairs")
    noise = listener.grade("fidelity", "noise")
    above: tuple[Source, Source] = ("recording", "mp3")
    for source in above:
        grade = listener.grade("fidelity", source)
        if noise >= grade:
            found.append(f"graded noise {noise:.1f}, no lower than {source} ({grade:.1f})")
    return found


def results(paths: Sequence[Path], difference: float = 0.1) -> str:
    """Sum up answers, for a terminal.

    Args:
        paths: the key of the test, and one file per listener.
        difference: from one half, of a share that more answers are wanted for.

    Returns:
        Who is left out and why; shares and grades with 95 % intervals; how many answers are needed.

    Raises:
        UserError: files that do not belong together, or are not of a listening test.
    """
    key, answers = read_files(paths)
    kept, dropped = [], []
    for path, one in answers.items():
        listener = Listener.of(one, key)
        reasons = screen(listener)
        if reasons:
            name = one_line(f"{one.listener} ({path.name})")  # untrusted: a listener wrote it
            dropped.append(f"dropped {name}: {'; '.join(reasons)}")
        else:
            kept.append(listener)
    systems = ", ".join(f"{name} = {path}" for name, path in key.systems.items())
    lines = [
        f"test {key.test}: {systems}; clips of {key.seconds:g} s at {key.sample_rate} Hz",
        f"{len(kept)} listeners count, {len(dropped)} do not",
        *dropped,
    ]
    if kept:
        lines += ["", *_shares(kept, key), "", *_grades(kept, key), "", *_needed(kept, difference)]
    return "\n".join(lines)


def _shares(kept: Sequence[Listener], key: Key) -> list[str]:
    """Choices: which is the recording, and which is preferred."""
    pairs: list[tuple[str, tuple[Source, Source]]] = [
        (f"recording found beside {name}", ("recording", name)) for name in key.systems
    ]
    pairs.append(("recording found beside noise (anchor)", ("recording", "noise")))
    if len(key.systems) == 2:
        pairs.append(("a preferred to b", ("a", "b")))
    rows = []
    for name, pair in pairs:
        each = [listener.choices[pair] for listener in kept]
        yes, answers = sum(map(sum, each)), sum(map(len, each))
        low, high = exact_interval(yes, answers)
        shares = [float(np.mean(one)) for one in each]
        cells = [f"{yes} of {answers}", f"{yes / answers:.0%}", f"{low:.0%} to {high:.0%}"]
        cells += [_over_listeners(shares, "{:.0%}".format), f"{exact_p(yes, answers):.2g}"]
        rows.append([name, *cells])
    header = ["choices", "answers", "share", "95 % exact", "95 % over listeners", "p of guessing"]
    return [text(Table(header, rows))]


def _grades(kept: Sequence[Listener], key: Key) -> list[str]:
    """Grades from 1 (bad) to 5 (excellent), and the difference between the systems."""
    sources: list[Source] = ["recording", *key.systems, "mp3", "noise"]
    form = "{:.2f}".format
    rows = []
    for source in sources:
        cells = []
        for scale in SCALES:
            means = [listener.grade(scale, source) for listener in kept]
            cells += [form(float(np.mean(means))), _over_listeners(means, form)]
        rows.append([source, *cells])
    if len(key.systems) == 2:
        cells = []
        for scale in SCALES:
            means = [one.grade(scale, "a") - one.grade(scale, "b") for one in kept]
            cells += [f"{np.mean(means):+.2f}", _over_listeners(means, "{:+.2f}".format)]
        rows.append(["a less b", *cells])
    header = ["grades", *(name for scale in SCALES for name in (scale, "95 % over listeners"))]
    return [text(Table(header, rows))]


def _needed(kept: Sequence[Listener], difference: float) -> list[str]:
    """How many answers a wanted difference takes."""
    share, needed = 0.5 + difference, answers_needed(difference)
    each = len(kept[0].choices["recording", "a"])
    there = sum(len(listener.choices["recording", "a"]) for listener in kept)
    return [
        f"A share of {share:.0%} takes {needed} answers to be found, "
        f"{-(-needed // each)} listeners; there are {there} answers per system.",
        "(Exact two-sided test at 5 %, found with a probability of 80 %.)",
        "Answers of one listener are alike: where the two intervals differ, trust the wider one.",
    ]


def _over_listeners(values: Sequence[float], form: Callable[[float], str]) -> str:
    """The bootstrap interval over listeners; one listener has none."""
    if len(values) < 2:
        return ABSENT
    _, low, high = mean_interval(values)
    return f"{form(low)} to {form(high)}"


def _pair(question: Question, sources: Sequence[Source]) -> tuple[Source, Source]:
    """The recording first, or `a` first."""
    first: Source = "recording" if question == "identify" else "a"
    second = next(source for source in sources if source != first)
    return first, second
