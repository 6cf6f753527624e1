"""The page of answers from made-up figures."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import experiment_page

    yield experiment_page
    for name in ("experiment_page", "experiments", "common"):
        sys.modules.pop(name, None)


def system(test, compute=None):
    others = ["train", "validation", "saturated_gates", "healthy", "good_seconds"]
    others += [f"{name}_{end}" for name in ("tone", "level") for end in (1, 5, 20)]
    seeds = [
        {
            "equal steps": {"test": score, **dict.fromkeys(others, 0.5)},
            "equal compute": {"test": None if compute is None else compute},
        }
        for score in test
    ]
    return {
        "design": {"units": 8, "steps": 4, "rows": 2},
        "learning_rate": 1e-3,
        "tuning": {"0.001": 0.5},
        "step_milliseconds": 1.0,
        "seeds": seeds,
    }


QUESTION = {
    "name": "costs",
    "asked": "Which cost?",
    "theirs": "Squares are to blame.",
    "predictions": [
        {"claim": "Huber is better", "measure": "test", "better": "huber", "than": "squared"},
        {"claim": "none is as good", "measure": "test", "same": ["squared", "none"], "margin": 0.1},
    ],
    "systems": {
        "squared": {"words": "squares"},
        "huber": {"words": "Huber", "set": ["head.cost=huber"]},
        "none": {"words": "none", "set": ["head.cost=spectral"]},
    },
}
PIECE = {f"{name}_{end}": 1.0 for name in ("tone", "level") for end in (1, 5, 20)} | {
    "good_seconds": 20.0,
    "healthy": 1.0,
}


def test_a_question_of_other_measures(page, tmp_path):
    """Where tasks differ, scores are left out; what a prediction is about has a column."""
    claim = {"claim": "it loops", "measure": "repetition", "better": "huber", "than": "squared"}
    question = QUESTION | {"scored": False, "predictions": [claim], "note": "Tasks differ."}
    systems = {"frame-gru": system([0.5, 0.5, 0.5]), "frame-gru head.cost=huber": system([0.5] * 3)}
    for figures, found in zip(systems.values(), ([0.0, 0.25, 0.0], [1.0, 1.0, 0.75]), strict=True):
        figures["tuning"] = {"0.001": 0.5, "0.0001": 0.6}
        for seed, value in zip(figures["seeds"], found, strict=True):
            seed["equal steps"]["repetition"] = value
    known = {"song.flac": {"piece": PIECE, "systems": systems}}
    (tmp_path / "answers.json").write_text(json.dumps(known))
    page.write_page([question], tmp_path)
    text = (tmp_path / "answers.md").read_text()
    assert f"| system | {page.NAMES['repetition']} | tone" in text
    assert "rate 0.001, the highest tried, 1.0 ms per step | 0.917<br>+0.833 [" in text
    assert "\nTasks differ.\n" in text
    assert "variance unexplained" not in text.partition("## Which cost?")[2]
    assert f"| it loops | {page.NAMES['repetition']}: huber less squared" in text


@pytest.mark.parametrize(
    ("compute", "ours"),
    [(0.3, "at equal compute: huber less squared is -0.300 [-0.300, -0.300]"), (None, "diverged")],
)
def test_a_prediction_at_equal_compute(page, compute, ours):
    rows = {"squared": system([0.5] * 3, 0.6), "huber": system([0.9] * 3, compute)}
    claim = {"claim": "Huber", "measure": "test", "better": "huber", "than": "squared"}
    question = QUESTION | {"predictions": [claim | {"at": "equal compute"}]}
    assert ours in page.verdicts(question, rows)[-1]


def test_a_page_from_figures(page, tmp_path):
    """Pitfall 28: differences are paired by seed; a system with one seed is not shown."""
    systems = {
        "frame-gru": system([0.5, 0.7, 0.9], 0.6),
        "frame-gru head.cost=huber": system([0.4, 0.6, 0.8]),
        "frame-gru head.cost=spectral": system([0.1]),
    }
    known = {"song.flac": {"piece": PIECE, "systems": systems}}
    (tmp_path / "answers.json").write_text(json.dumps(known))
    page.write_page([QUESTION, QUESTION | {"name": "later", "systems": {}}], tmp_path)
    text = (tmp_path / "answers.md").read_text()
    # The seeds lie far apart, their differences do not.
    assert "0.600<br>-0.100 [-0.100, -0.100]" in text
    assert "Huber is better | variance unexplained on the test part: huber less squared is" in text
    assert "| confirmed |" in text
    assert "none is as good | not run |" in text
    assert "diverged" in text
    assert "8 units, 4 steps of 2 rows, 3 seeds, learning rates 0.001." in text
    assert "Not run yet: `--question later`" in text
    assert (tmp_path / "img/answers/costs-song.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("prediction", "low", "high", "expected"),
    [
        ({"measure": "test"}, -0.2, -0.1, "confirmed"),
        ({"measure": "test"}, 0.1, 0.2, "refuted"),
        ({"measure": "test"}, -0.1, 0.2, "undecided"),
        ({"measure": "good_seconds"}, 1, 2, "confirmed"),
        ({"measure": "test", "same": [], "margin": 0.1}, -0.05, 0.05, "confirmed, within 0.1"),
        ({"measure": "test", "same": [], "margin": 0.1}, 0.2, 0.3, "refuted"),
        ({"measure": "test", "same": [], "margin": 0.1}, 0.05, 0.3, "undecided"),
    ],
)
def test_verdicts(page, prediction, low, high, expected):
    """Pitfall 28: what an interval does not allow stays undecided."""
    assert page.verdict(prediction, low, high) == expected
