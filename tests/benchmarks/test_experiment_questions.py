"""The files of the questions: those of the checkout, and files that are none."""

import sys
from pathlib import Path

import pytest

from keras_rawaudio.errors import UserError

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
QUESTION = """
name: cost
asked: Which cost?
theirs: Squares are to blame.
steps: 7
predictions:
  - {claim: Huber is better, measure: test, better: huber, than: squared}
systems:
  squared: {words: squares}
  huber: {words: Huber, set: [head.cost=huber]}
"""


@pytest.fixture
def read_questions(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from experiment_questions import read_questions

    yield read_questions
    sys.modules.pop("experiment_questions", None)


def test_those_of_the_checkout_stand_in_the_order_of_their_numbers(read_questions):
    questions = read_questions(BENCHMARKS / "experiments")
    assert len(questions) == 15
    assert [question["name"] for question in questions[-2:]] == ["skips", "pictures"]


def test_the_steps_of_a_question_are_those_of_its_systems(read_questions, tmp_path):
    (tmp_path / "1-cost.yaml").write_text(QUESTION)
    (question,) = read_questions(tmp_path)
    assert question["systems"] == {
        "squared": {"words": "squares", "steps": 7},
        "huber": {"words": "Huber", "set": ["head.cost=huber"], "steps": 7},
    }


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("cost.yaml", QUESTION, "begin the name of a question's file with a number"),
        ("1-cost.yaml", "[1]", "holds no settings by name"),
        ("1-cost.yaml", "systems: [", "neither YAML nor JSON"),
        ("1-cost.yaml", QUESTION.replace("asked", "aksed"), "did you mean 'asked'"),
        ("1-cost.yaml", QUESTION.replace("[head.cost=huber]", "3"), "systems.huber.set"),
        ("1-cost.yaml", QUESTION.replace("steps: 7", "steps: 0"), "steps: 0"),
        ("1-cost.yaml", QUESTION.replace("than: squared", "than: none"), "about no system 'none'"),
        ("1-cost.yaml", QUESTION.replace(", than: squared", ""), "about no system None"),
        ("1-cost.yaml", QUESTION.replace(", better: huber, than: squared", ""), "needs better"),
    ],
)
def test_a_bad_file_is_one_line(read_questions, tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        read_questions(tmp_path)
    assert "\n" not in str(caught.value)
