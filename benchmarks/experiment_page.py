"""The page of answers: tables, pictures and verdicts, all from answers.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_rawaudio.metrics.bootstrap import mean_interval

STEPS, COMPUTE = "equal steps", "equal compute"
MORE_IS_BETTER = {"tone_5", "tone_20", "good_seconds", "healthy", "beat"}
NAMES = {
    "test": "variance unexplained on the test part",
    "train": "variance unexplained on the train part",
    "shift_error": "error of shift equivariance",
    "tone_5": "tone after 5 s, dB",
    "good_seconds": "seconds before free running fails",
}
FEWEST = 3  # seeds of a row
COLUMNS = ["train", "validation", "test", "test, equal compute", "tone 1, 5, 20 s"]
COLUMNS += ["level 1, 5, 20 s", "good s", "healthy", "gates saturated"]
INTRODUCTION = Path(__file__).with_name("experiments") / "introduction.md"


def write_page(questions: Sequence[dict[str, Any]], out: Path) -> None:
    """Write answers.md and a picture of each answered question.

    Args:
        questions: as their files say.
        out: the folder that holds answers.json.
    """
    path = out / "answers.json"
    pieces = json.loads(path.read_text()) if path.is_file() else {}
    lines = [INTRODUCTION.read_text()]
    for question in questions:
        lines += [f"## {question['asked']}", "", f"**Theirs:** {question['theirs'].strip()}", ""]
        answered = False
        for piece, known in pieces.items():
            rows = rows_of(question, known["systems"])
            if len(rows) < 2:
                continue
            answered = True
            picture = out / "img" / "answers" / f"{question['name']}-{Path(piece).stem}.png"
            draw(question, rows, picture)
            lines += [
                f"### On {piece}",
                "",
                design(rows),
                "",
                *table(question, rows, known["piece"]),
                "",
            ]
            lines += [*verdicts(question, rows), ""]
            lines += [f"![Test score of each seed](img/answers/{picture.name})", ""]
        if not answered:
            lines += [f"Not run yet: `--question {question['name']}`.", ""]
    (out / "answers.md").write_text("\n".join(lines).rstrip() + "\n")


def design(rows: dict[str, dict[str, Any]]) -> str:
    """What was trained, in a line."""
    first = next(iter(rows.values()))
    of = first["design"]
    return (
        f"{of['units']} units, {of['steps']} steps of {of['rows']} rows, {len(first['seeds'])} "
        f"seeds, learning rates {', '.join(first['tuning'])}. Below a score: its difference from "
        "the first row's, with the interval."
    )


def rows_of(question: dict[str, Any], known: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The question's systems that were run with several seeds, by label."""
    from experiments import key

    found = {label: known.get(key(system)) for label, system in question["systems"].items()}
    return {
        label: figures
        for label, figures in found.items()
        if figures and len(values(figures, "test")) >= FEWEST
    }


def values(figures: dict[str, Any], name: str, budget: str = STEPS) -> list[float]:
    """A figure of each seed; none where a seed has none."""
    found = [seed[budget].get(name) for seed in figures["seeds"]]
    return [] if None in found else found


def difference(
    figures: dict[str, Any], reference: dict[str, Any], name: str, budget: str = STEPS
) -> tuple[float, float, float]:
    """Mean of the seeds' differences, and its interval."""
    a, b = (np.array(values(of, name, budget)) for of in (figures, reference))
    return mean_interval(list(a - b))


def table(
    question: dict[str, Any], rows: dict[str, dict[str, Any]], piece: dict[str, float]
) -> list[str]:
    """A row for each system; differences are against the first."""
    reference = next(iter(rows.values()))
    lines = [["system", *COLUMNS], ["---"] * (len(COLUMNS) + 1)]
    for label, figures in rows.items():
        words = question["systems"][label]["words"]
        rate, cost = figures["learning_rate"], figures["step_milliseconds"]
        line = [f"{words}<br>rate {rate:g}, {cost:.1f} ms per step"]
        for name, budget in (
            ("train", STEPS),
            ("validation", STEPS),
            ("test", STEPS),
            ("test", COMPUTE),
        ):
            line.append(_scored(figures, reference, name, budget))
        for name in ("tone", "level"):
            means = [np.mean(values(figures, f"{name}_{end}")) for end in (1, 5, 20)]
            line.append(", ".join(f"{mean:.1f}" for mean in means))
        line.append(_interval(values(figures, "good_seconds"), 1))
        line.append(f"{np.mean(values(figures, 'healthy')):.2f}")
        slopes = values(figures, "p")
        gates = f"{np.mean(values(figures, 'saturated_gates')):.2f}"
        line.append(gates + (f", p {np.mean(slopes):.2f}" if slopes else ""))
        lines.append(line)
    own = ["the piece itself", "", "", "", ""]
    own += [
        ", ".join(f"{piece[f'{n}_{end}']:.1f}" for end in (1, 5, 20)) for n in ("tone", "level")
    ]
    lines.append([*own, f"{piece['good_seconds']:.1f}", f"{piece['healthy']:.2f}", ""])
    return ["| " + " | ".join(line) + " |" for line in lines]


def _scored(figures: dict[str, Any], reference: dict[str, Any], name: str, budget: str) -> str:
    found = values(figures, name, budget)
    if not found:
        return "diverged"
    text = f"{np.mean(found):.3f}"
    if figures is reference or not values(reference, name, budget):
        return text
    mean, low, high = difference(figures, reference, name, budget)
    return f"{text}<br>{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def _interval(found: Sequence[float], digits: int) -> str:
    mean, low, high = mean_interval(found)
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def verdicts(question: dict[str, Any], rows: dict[str, dict[str, Any]]) -> list[str]:
    """Each prediction, what came of it, and whether the interval confirms or refutes it."""
    lines = ["| theirs | ours | verdict |", "| --- | --- | --- |"]
    for prediction in question["predictions"]:
        claim = prediction["claim"]
        pair = prediction.get("same") or [prediction["better"], prediction["than"]]
        if not set(pair) <= set(rows):
            lines.append(f"| {claim} | not run | |")
            continue
        first, second = (rows[label] for label in pair)
        name = prediction["measure"]
        mean, low, high = difference(first, second, name)
        ours = f"{NAMES[name]}: {pair[0]} less {pair[1]} is {mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        lines.append(f"| {claim} | {ours} | {verdict(prediction, low, high)} |")
    return lines


def verdict(prediction: dict[str, Any], low: float, high: float) -> str:
    """What an interval of a difference says of a prediction.

    Example:
        >>> verdict({"measure": "test", "better": "a", "than": "b"}, -0.2, -0.1)
        'confirmed'
        >>> verdict({"measure": "test", "same": ["a", "b"], "margin": 0.1}, -0.2, 0.3)
        'undecided'
    """
    if "same" in prediction:
        margin = prediction["margin"]
        if -margin <= low and high <= margin:
            return f"confirmed, within {margin:g}"
        return "refuted" if low > margin or high < -margin else "undecided"
    if prediction["measure"] in MORE_IS_BETTER:
        low, high = -high, -low
    if high < 0:
        return "confirmed"
    return "refuted" if low > 0 else "undecided"


def draw(question: dict[str, Any], rows: dict[str, dict[str, Any]], path: Path) -> None:
    """Every seed's test score at equal steps and at equal compute, with means and intervals."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 0.7 + 0.5 * len(rows)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    for shift, budget, colour in ((-0.15, STEPS, "tab:blue"), (0.15, COMPUTE, "tab:orange")):
        for place, figures in enumerate(rows.values()):
            found = values(figures, "test", budget)
            if not found:
                continue
            mean, low, high = mean_interval(found)
            axis.plot(found, [place + shift] * len(found), ".", color=colour, alpha=0.4)
            axis.errorbar(
                mean,
                place + shift,
                xerr=[[mean - low], [high - mean]],
                fmt="o",
                color=colour,
                capsize=3,
                label=budget if place == 0 else None,
            )
    labels = [question["systems"][label]["words"] for label in rows]
    axis.set_yticks(range(len(rows)), labels, fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("variance unexplained on the test part", fontsize=8)
    axis.tick_params(labelsize=8)
    axis.legend(fontsize=7)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
