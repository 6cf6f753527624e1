"""The page of answers: tables, pictures and verdicts, all from answers.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from keras_rawaudio.metrics.bootstrap import mean_interval

STEPS, COMPUTE = "equal steps", "equal compute"
# "repetition" is what was predicted, not what is good.
MORE_IS_BETTER = {"tone_5", "tone_20", "good_seconds", "healthy", "beat", "lines_5", "repetition"}
NAMES = {
    "test": "variance unexplained on the test part",
    "train": "variance unexplained on the train part",
    "shift_error": "error of shift equivariance",
    "tone_5": "tone after 5 s, dB",
    "good_seconds": "seconds before free running fails",
    "seam": "steps where frames meet, over those elsewhere, dB",
    "lines_5": "share of the prompt's ten strongest lines that are there after 5 s",
    "repetition": "how nearly the last second repeats what came up to a second before",
    "early": "variance unexplained on the validation part after a fifth of the steps",
}
FEWEST = 3  # seeds of a row
SCORES = {"train": STEPS, "validation": STEPS, "test": STEPS, "test, equal compute": COMPUTE}
PLAYED = ["tone 1, 5, 20 s", "level 1, 5, 20 s", "good s", "healthy", "gates saturated"]
IN_TABLE = {"train", "test", "tone_5", "good_seconds"}
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
            lines += [question["note"].strip(), ""] if "note" in question else []
            lines += [*verdicts(question, rows), ""]
            lines += [f"![Figures of each seed](img/answers/{picture.name})", ""]
        if not answered:
            lines += [f"Not run yet: `--question {question['name']}`.", ""]
    (out / "answers.md").write_text("\n".join(lines).rstrip() + "\n")


def design(rows: dict[str, dict[str, Any]]) -> str:
    """What was trained, in a line."""
    first = next(iter(rows.values()))
    of = first["design"]
    return (
        f"{of['units']} units, {of['steps']} steps of {of['rows']} rows, {len(first['seeds'])} "
        f"seeds, learning rates {', '.join(first['tuning'])}. Below a figure: its difference from "
        "the first row's, with the interval."
    )


def measures(question: dict[str, Any]) -> list[str]:
    """What the question's predictions are about, each once."""
    return list(dict.fromkeys(prediction["measure"] for prediction in question["predictions"]))


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
    scores = SCORES if question.get("scored", True) else {}
    others = [name for name in measures(question) if name not in IN_TABLE]
    columns = ["system", *scores, *(NAMES[name] for name in others), *PLAYED]
    lines = [columns, ["---"] * len(columns)]
    for label, figures in rows.items():
        words = question["systems"][label]["words"]
        line = [f"{words}<br>{_rate(figures)}, {figures['step_milliseconds']:.1f} ms per step"]
        for name, budget in scores.items():
            line.append(_scored(figures, reference, name.partition(",")[0], budget))
        line += [_scored(figures, reference, name, STEPS) for name in others]
        for name in ("tone", "level"):
            means = [np.mean(values(figures, f"{name}_{end}")) for end in (1, 5, 20)]
            line.append(", ".join(f"{mean:.1f}" for mean in means))
        line.append(_interval(values(figures, "good_seconds"), 1))
        line.append(f"{np.mean(values(figures, 'healthy')):.2f}")
        slopes = values(figures, "p")
        gates = f"{np.mean(values(figures, 'saturated_gates')):.2f}"
        line.append(gates + (f", p {np.mean(slopes):.2f}" if slopes else ""))
        lines.append(line)
    own = ["the piece itself", *[""] * len(scores)]
    own += [f"{piece[name]:.2f}" if name in piece else "" for name in others]
    own += [
        ", ".join(f"{piece[f'{n}_{end}']:.1f}" for end in (1, 5, 20)) for n in ("tone", "level")
    ]
    lines.append([*own, f"{piece['good_seconds']:.1f}", f"{piece['healthy']:.2f}", ""])
    return ["| " + " | ".join(line) + " |" for line in lines]


def _rate(figures: dict[str, Any]) -> str:
    """The learning rate, and whether a better one may lie outside of those that were tried."""
    rate, tried = figures["learning_rate"], [float(rate) for rate in figures["tuning"]]
    edge = {max(tried): ", the highest tried", min(tried): ", the lowest tried"}
    return f"rate {rate:g}" + (edge.get(rate, "") if len(tried) > 1 else "")


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
        budget = prediction.get("at", STEPS)
        if not (values(first, name, budget) and values(second, name, budget)):
            lines.append(f"| {claim} | diverged | |")
            continue
        mean, low, high = difference(first, second, name, budget)
        at = "" if budget == STEPS else f" at {budget}"
        ours = f"{NAMES[name]}{at}: {pair[0]} less {pair[1]} is "
        ours += f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
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
    """Every seed's figures with means and intervals, a panel for each measure.

    Scores are shown at equal steps and at equal compute, what free running gives at equal steps.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in measures(question) if name != "test"]
    names = ["test", *names] if question.get("scored", True) else names
    width = 4.6 + 3.0 * len(names)
    figure = Figure(figsize=(width, 1.0 + 0.5 * len(rows)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
    for axis, name in zip(panels, names, strict=True):
        for shift, budget, colour in ((-0.15, STEPS, "tab:blue"), (0.15, COMPUTE, "tab:orange")):
            for place, figures in enumerate(rows.values()):
                found = values(figures, name, budget)
                if not found:  # it diverged, or there is none at equal compute
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
        axis.set_xlabel(fill(NAMES[name], 40), fontsize=8)
        axis.tick_params(labelsize=8)
    labels = [question["systems"][label]["words"] for label in rows]
    panels[0].set_yticks(range(len(rows)), labels, fontsize=8)
    panels[0].set_ylim(len(rows) - 0.6, -0.4)
    handles = panels[0].get_legend_handles_labels()
    figure.legend(*handles, fontsize=7, loc="outside upper right", ncols=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
