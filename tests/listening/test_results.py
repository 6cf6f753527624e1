"""What answers say, of listeners who do and do not notice a difference."""

import json
import os
import re

import numpy as np
import pytest

from keras_rawaudio.cli import main
from keras_rawaudio.errors import UserError
from keras_rawaudio.listening.answers import Answers
from keras_rawaudio.listening.design import Key
from keras_rawaudio.listening.results import Listener, results, screen

GRADES = {"recording": 5, "a": 3, "b": 2, "mp3": 4, "noise": 1}
NOTICES = {("recording", "a"): 0.9, ("recording", "b"): 1.0, ("recording", "noise"): 1.0}
NOTICES |= {("a", "b"): 0.8}
GUESSES = {pair: 0.5 for pair in NOTICES} | {("recording", "noise"): 1.0}


def row(text, name):
    """The figures of a row: yes, answers, p of guessing."""
    found = re.search(rf"^{re.escape(name)}  +(\d+) of (\d+) .* (\S+)$", text, re.MULTILINE)
    return int(found[1]), int(found[2]), float(found[3])


def test_listeners_who_notice(key, listen, answer_files):
    text = results(answer_files(*(listen(key, f"n{i}", NOTICES, GRADES, i) for i in range(12))))
    assert "12 listeners count, 0 do not" in text
    for name in ("recording found beside a", "recording found beside b", "a preferred to b"):
        yes, answers, p = row(text, name)
        assert answers == 48
        assert yes > 30
        assert p < 0.01
    assert row(text, "recording found beside noise (anchor)")[:2] == (48, 48)
    assert re.search(r"^recording  +5.00  +5.00 to 5.00  +5.00", text, re.MULTILINE)
    assert re.search(r"^a less b  +\+1.00  +\+1.00 to \+1.00", text, re.MULTILINE)


def test_listeners_who_guess(key, listen, answer_files):
    text = results(answer_files(*(listen(key, f"g{i}", GUESSES, GRADES, i) for i in range(12))))
    for name in ("recording found beside a", "recording found beside b", "a preferred to b"):
        assert row(text, name)[2] > 0.05


def test_exact_figures_of_one_listener(key, listen, answer_files):
    sure = dict.fromkeys(NOTICES, 1.0)
    text = results(answer_files(listen(key, "one", sure, GRADES)))
    # 0.025 ** (1 / 4) is 0.398; 2 / 2 ** 4 is 0.125; and one listener has no spread.
    found = re.search(r"^a preferred to b  +(.*)$", text, re.MULTILINE)[1]
    assert re.split("  +", found) == ["4 of 4", "100%", "40% to 100%", "-", "0.12"]
    assert "A share of 60% takes 210 answers to be found, 53 listeners" in text


def test_dropped_with_name_file_and_reason(key, listen, answer_files):
    wrong = {**NOTICES, ("recording", "noise"): 0.0}
    files = answer_files(
        listen(key, "anna", NOTICES, GRADES, 1),
        listen(key, "bert", wrong, GRADES, 2),
        listen(key, "carl", NOTICES, {**GRADES, "noise": 4}, 3),
    )
    text = results(files)
    assert "1 listeners count, 2 do not" in text
    assert "dropped bert (answers-1.json): took noise for the recording in 4 of 4 pairs" in text
    assert "dropped carl (answers-2.json): graded noise 4.0, no lower than mp3 (4.0)" in text
    assert row(text, "recording found beside b")[:2] == (4, 4)


def test_nobody_left(key, listen, answer_files):
    text = results(answer_files(listen(key, "x", dict.fromkeys(NOTICES, 0.0), GRADES)))
    assert "0 listeners count, 1 do not" in text
    assert "preferred" not in text


def test_one_mistake_is_allowed():
    ratings = {("fidelity", source): [grade] for source, grade in GRADES.items()}
    pair = ("recording", "noise")
    assert screen(Listener({pair: [True, True, False, True]}, ratings)) == []
    assert len(screen(Listener({pair: [True, False, False, True]}, ratings))) == 1


def test_most_who_answer_at_random_are_dropped(key, listen):
    dropped = 0
    for seed in range(300):
        drawn = np.random.default_rng(seed).integers(1, 6, len(GRADES))
        grades = dict(zip(GRADES, map(int, drawn), strict=True))
        answers = listen(key, "random", dict.fromkeys(NOTICES, 0.5), grades, seed)
        dropped += bool(screen(Listener.of(_parsed(answers), key)))
    assert dropped > 270


def _parsed(answers):
    return Answers.model_validate_json(json.dumps(answers))


def spoil_trial(answers):
    answers["answers"][0]["trial"] = "00000000"


def spoil_choice(answers):
    answers["answers"][0]["choice"] = "00000000"


def spoil_grade(answers):
    answers["answers"][-1]["fidelity"] = 6


def spoil_test(answers):
    answers["test"] = "00000000"


def spoil_length(answers):
    answers["answers"].pop()


def spoil_version(answers):
    answers["version"] = 2


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (spoil_trial, "does not answer each of the 26 questions once"),
        (spoil_length, "does not answer each of the 26 questions once"),
        (spoil_choice, "the answer to question [0-9a-f]{8} does not fit"),
        (spoil_grade, "answers.25.fidelity"),
        (spoil_test, "answers test 00000000, and the key is of test"),
        (spoil_version, "version"),
    ],
)
def test_spoiled_answers(key, listen, answer_files, capsys, spoil, expected):
    answers = listen(key, "anna", NOTICES, GRADES)
    spoil(answers)
    assert main(["listen-test", "--results", *map(str, answer_files(answers))]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.search(expected, err)
    assert err.count("\n") == 1


def test_a_mark_that_an_editor_put_before_the_answers_does_no_harm(key, listen, answer_files):
    files = answer_files(listen(key, "n", NOTICES, GRADES))
    for path in files:
        path.write_text(path.read_text(), encoding="utf-8-sig")
    assert "1 listeners count, 0 do not" in results(files)


def test_files_that_do_not_belong_together(key, listen, answer_files, capsys):
    answers = listen(key, "anna", NOTICES, GRADES)
    files = [str(path) for path in answer_files(answers, answers)]
    cases = {
        "once; found: none": files[1:2],
        "no answers among the results": files[:1],
        "the same session": files,
    }
    for expected, paths in cases.items():
        assert main(["listen-test", "--results", *paths]) == 2
        assert expected in capsys.readouterr().err


def spoil_clip(key):
    key["clips"].popitem()


def spoil_anchor(key):
    noise = {clip for clip, source in key["clips"].items() if source == "noise"}
    key["trials"] = [
        t for t in key["trials"] if t["question"] != "rate" or t["clips"][0] not in noise
    ]


def spoil_systems(key):
    del key["systems"]["b"]


def spoil_id(key):
    key["trials"].append(key["trials"][0])


@pytest.mark.parametrize("spoil", [spoil_clip, spoil_anchor, spoil_systems, spoil_id])
def test_a_spoiled_key_is_one_line(key, spoil):
    values = json.loads(key.model_dump_json())
    spoil(values)
    with pytest.raises(ValueError, match=r"does not know|not those of a test|one id"):
        Key.model_validate(values)


@pytest.mark.skipif(os.name == "nt", reason="FIFOs and devices")
def test_files_that_never_end_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "large.json").touch()
    os.truncate(tmp_path / "large.json", 1 << 40)
    (tmp_path / "deep.json").write_text("[" * 100_000)
    for name in ("fifo.json", "large.json", "deep.json", "/dev/zero"):
        with pytest.raises(UserError, match=r"cannot read|is not a JSON file"):
            results([tmp_path / name])


def test_a_name_cannot_steer_the_terminal(key, listen, answer_files):
    files = answer_files(listen(key, "a\x1b[2J\nb", dict.fromkeys(NOTICES, 0.0), GRADES))
    assert "dropped a\\x1b[2J\\nb (answers-0.json): took noise" in results(files)
