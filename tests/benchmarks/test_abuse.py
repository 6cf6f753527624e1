"""What counts as a case's time in the table of bad input."""

import importlib
import sys
import time
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def attempt(monkeypatch, tmp_path):
    """The reason why a command that does this is wrong, with one second of the processor."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    case = importlib.import_module("abuse_case")
    monkeypatch.setattr(case, "WAIT", 3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base").mkdir()

    def attempt(command):
        monkeypatch.setattr("keras_rawaudio.cli.main", command)
        odd = case.Case("odd", ["command"], harmless=True)
        return case.attempt(odd, tmp_path / "base", tmp_path / "here", 1)[0]

    return attempt


def test_a_case_that_waits_for_the_processor_is_right(attempt):
    def wait(words):
        time.sleep(1.2)
        return 0

    assert attempt(wait) == ""


def test_a_case_that_works_or_waits_without_end_is_wrong(attempt):
    def work(words):
        while True:
            pass

    assert attempt(work) == "no end"
    assert attempt(lambda words: time.sleep(60)) == "no end"


def test_a_refusal_that_changes_a_file_is_wrong(attempt, tmp_path, capsys):
    def refuse(words):
        print("keras-rawaudio: error: no", file=sys.stderr)
        return 2

    def change(words):
        (tmp_path / "here" / "mine.txt").write_text("other")
        return refuse(words)

    def remove(words):
        (tmp_path / "here" / "mine.txt").unlink()
        return refuse(words)

    (tmp_path / "base" / "mine.txt").write_text("mine!")
    assert attempt(refuse) == ""
    assert attempt(change) == "it changed ['mine.txt']"
    assert attempt(remove) == "it changed ['mine.txt']"
