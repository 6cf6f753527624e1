"""The pages of the experiments say what the figures in answers.json give."""

import json
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RESEARCH = ROOT / "docs/research"
MUSIC, SPEECH, LONG = "cold_day.flac", "en_US_f_Allison", "planetblupi"
STEPS, COMPUTE = "equal steps", "equal compute"
# Words of student-2016.md, and what they are about: piece, question, two systems, measure, budget.
SENTENCES = [
    ("0.21 less on music", MUSIC, "normalisation", "standard-deviation", "minmax", "test", STEPS),
    ("0.10 less on speech", SPEECH, "normalisation", "standard-deviation", "minmax", "test", STEPS),
    ("0.016 less on", LONG, "normalisation", "standard-deviation", "minmax", "test", STEPS),
    ("0.05 more on music", MUSIC, "batches", "random-offsets", "random", "test", STEPS),
    ("0.08 more on speech", SPEECH, "batches", "random-offsets", "random", "test", STEPS),
    ("0.02 more on the long", LONG, "batches", "random-offsets", "random", "test", STEPS),
    ("0.02 better on music", MUSIC, "batches", "lanes", "random", "test", STEPS),
    ("0.04 better on speech", SPEECH, "batches", "random", "lanes", "test", STEPS),
    ("0.04 better on speech", LONG, "batches", "random", "lanes", "test", STEPS),
    ("0.15 less at equal steps", MUSIC, "rows", "rows-10", "rows-1", "test", STEPS),
    ("0.11 less for the same", MUSIC, "rows", "rows-10", "rows-1", "test", COMPUTE),
    ("0.047 worse than ten", MUSIC, "rows", "rows-100", "rows-10", "test", COMPUTE),
    ("0.08 less at equal steps", MUSIC, "size", "wide", "small", "test", STEPS),
    ("0.04 worse for the same", MUSIC, "size", "wide", "small", "test", COMPUTE),
    ("0.19 worse than their", MUSIC, "pictures", "pictures", "samples", "test", STEPS),
    ("0.025 worse than the GRU on music", MUSIC, "cell", "lstm-zero", "gru", "test", STEPS),
    ("0.04 better on speech and 0.01", SPEECH, "cell", "lstm-zero", "gru", "test", STEPS),
    ("0.01 better on the long", LONG, "cell", "lstm-zero", "gru", "test", STEPS),
    ("1 is worse: 0.016 on music", MUSIC, "cell", "gru-bias", "gru", "test", STEPS),
    ("0.025 on speech", SPEECH, "cell", "gru-bias", "gru", "test", STEPS),
    ("0.002 on the long", LONG, "cell", "gru-bias", "gru", "test", STEPS),
    ("0.064 less at equal steps", MUSIC, "skips", "skips", "none", "test", STEPS),
    ("0.05 less at equal computing", MUSIC, "skips", "skips", "none", "test", COMPUTE),
    ("0.28 less", MUSIC, "frames", "f250", "f1000", "test", STEPS),
    ("0.14 worse for the same", MUSIC, "frames", "f50", "f250", "test", COMPUTE),
    ("0.10 less than over 0.625", MUSIC, "bptt", "s2", "s0625", "test", STEPS),
    ("0.05 less for the same", MUSIC, "bptt", "s2", "s0625", "test", COMPUTE),
    ("1 s longer", MUSIC, "bptt", "s2", "s0125", "good_seconds", STEPS),
    ("by 3 dB", MUSIC, "cost", "spectral", "squared", "tone_5", STEPS),
    ("gains 0.04 at equal steps", MUSIC, "cost", "spectral", "squared", "test", STEPS),
    ("loses 0.05 at equal computing", MUSIC, "cost", "spectral", "squared", "test", COMPUTE),
    ("Huber's cost gains 0.025", MUSIC, "cost", "huber", "squared", "test", STEPS),
    ("1.8 dB smaller", MUSIC, "overlap", "mean-2", "last", "seam", STEPS),
    ("0.046 less", MUSIC, "noise", "hard", "none", "test", STEPS),
    ("0.012 for the same", MUSIC, "noise", "hard", "none", "test", COMPUTE),
    ("0.08 worse on the test", MUSIC, "binary", "binary", "smooth", "test", STEPS),
    ("by 0.3 dB more", MUSIC, "revised", "refiner", "plain", "tone_5", STEPS),
]
SMALLER = ("less", "better on", "gains", "smaller", "0.012 for the same")


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import experiment_page

    yield experiment_page
    for name in ("experiment_page", "experiment_questions", "experiments", "common"):
        sys.modules.pop(name, None)


@pytest.fixture
def questions(page):
    from experiment_questions import read_questions

    return read_questions(ROOT / "benchmarks/experiments")


def test_the_page_is_what_its_figures_give(page, questions, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "draw", lambda *_: None)
    (tmp_path / "answers.json").write_bytes((RESEARCH / "answers.json").read_bytes())
    page.write_page(questions, tmp_path)
    assert (tmp_path / "answers.md").read_text() == (RESEARCH / "answers.md").read_text()
    for name in re.findall(r"img/answers/\S+\.png", (RESEARCH / "answers.md").read_text()):
        assert (RESEARCH / name).is_file()


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda s: s[0])
def test_a_figure_of_the_one_screen_is_in_the_answers(page, questions, sentence):
    """Size, sign, and an interval without zero."""
    from experiments import key

    words, piece, question, first, second, measure, budget = sentence
    assert words in (RESEARCH / "student-2016.md").read_text()
    systems = next(q["systems"] for q in questions if q["name"] == question)
    known = json.loads((RESEARCH / "answers.json").read_text())[piece]["systems"]
    figures = [known[key(systems[label])] for label in (first, second)]
    mean, low, high = page.difference(*figures, measure, budget)
    number = re.search(r"\d+(\.\d+)?(?= |$)", words.removeprefix("1 is worse: "))[0]
    digits = len(number.partition(".")[2])
    assert f"{abs(mean):.{digits}f}" == number
    smaller = any(word in words for word in SMALLER)
    assert high <= 0 if smaller else low >= 0
