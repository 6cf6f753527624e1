"""The page in a real Chromium, answered by listeners who do and do not notice a difference."""

import json
from typing import ClassVar

import numpy as np
import pytest

from keras_rawaudio.listening.results import results

# Sixteen times as fast, through the page's own players.
FAST = """
const play = HTMLMediaElement.prototype.play;
HTMLMediaElement.prototype.play = function () {
    this.playbackRate = 16;
    this.muted = true;
    return play.call(this);
};
"""
BLOCKED = "document.getElementById('next').disabled"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture
def open_page(made, browser):
    """Opens the page with a seed; what it asked for and complained of must be nothing."""
    pages, asked, wrong = [], [], []

    def open_page(seed, width=900):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.add_init_script(FAST)
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{(made / 'index.html').as_uri()}#seed={seed}")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert wrong == []
    outside = [url for url in asked if not url.startswith(("data:", "blob:", "file:"))]
    assert outside == []


def begin(page, name):
    page.get_by_label("Your name or initials").fill(name)
    page.get_by_label("You listen with").select_option("headphones")
    page.get_by_role("button", name="Begin").click()


def answer(page, key, decide):
    """Listen to a question's clips and answer it."""
    buttons = page.query_selector_all("#clips button")
    for button in buttons:
        button.click()
        page.wait_for_function(
            "button => button.nextSibling.value > 0.9 && button.textContent.startsWith('Play')",
            arg=button,
        )
    sources = {key.clips[button.get_attribute("data-clip")]: button for button in buttons}
    if len(buttons) == 1:
        (source,) = sources
        for scale in ("fidelity", "musicality"):
            page.check(f"input[name={scale}][value='{decide.grades[source]}']")
    else:
        page.check(f"input[value='{sources[decide(sources)].get_attribute('data-clip')}']")
    page.click("#next")


class Careful:
    """Knows the recording from all else, and prefers `a`."""

    grades: ClassVar = {"recording": 5, "a": 3, "b": 2, "mp3": 4, "noise": 1}

    def __call__(self, sources):
        return "recording" if "recording" in sources else "a"


class Guessing(Careful):
    """Notices noise alone."""

    grades: ClassVar = {"recording": 4, "a": 4, "b": 4, "mp3": 4, "noise": 1}

    def __init__(self):
        self.generator = np.random.default_rng(1)

    def __call__(self, sources):
        if "noise" in sources:
            return "recording"
        return sorted(sources)[self.generator.integers(2)]


class Careless(Guessing):
    """Does not listen."""

    grades: ClassVar = {"recording": 2, "a": 3, "b": 3, "mp3": 3, "noise": 3}

    def __call__(self, sources):
        return "noise" if "noise" in sources else sorted(sources)[0]


@pytest.mark.slow
def test_three_listeners(made, key, open_page, tmp_path):
    paths = [made / "key.json"]
    for seed, decide in enumerate([Careful(), Guessing(), Careless()]):
        page = open_page(seed)
        begin(page, type(decide).__name__)
        for number in range(len(key.trials)):
            assert page.inner_text("#count") == f"Question {number + 1} of {len(key.trials)}"
            answer(page, key, decide)
        with page.expect_download() as download:
            page.get_by_role("button", name="Save answers").click()
        paths.append(tmp_path / download.value.suggested_filename)
        download.value.save_as(paths[-1])
        saved = json.loads(paths[-1].read_text())
        assert json.loads(page.input_value("#text")) == saved
        assert (saved["seed"], saved["listener"]) == (seed, type(decide).__name__)
        assert all(min(one["plays"]) == 1 for one in saved["answers"])
    text = results(paths)
    assert "2 listeners count, 1 do not" in text
    assert "dropped Careless" in text
    alone = results(paths[:2])
    assert "recording found beside a               4 of 4" in alone
    assert "a preferred to b                       4 of 4" in alone
    guessed = results([paths[0], paths[2]])
    assert "recording found beside noise (anchor)  4 of 4" in guessed
    assert "a less b   +0.00" in guessed
    orders = [[one["trial"] for one in json.loads(p.read_text())["answers"]] for p in paths[1:]]
    assert orders[0] != orders[1], "each listener has an order of their own"


@pytest.mark.slow
def test_with_the_keyboard_alone(key, open_page):
    page = open_page(0)
    page.get_by_label("Your name or initials").focus()
    page.keyboard.type("K 1")
    assert page.evaluate("document.querySelector('#level button').textContent") == (
        "Play the recording"
    ), "digits in the name start nothing"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "question"
    assert page.evaluate(BLOCKED)
    for digit in "12":
        page.keyboard.press(digit)
        page.wait_for_function(
            "i => document.querySelectorAll('progress')[i].value > 0.9"
            " && !document.querySelector('#clips').textContent.includes('Stop')",
            arg=int(digit),
        )
    assert page.inner_text("#hint") == "Choose an answer."
    assert page.evaluate(BLOCKED)
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert not page.evaluate(BLOCKED)
    page.keyboard.press("Enter")
    assert page.inner_text("#count") == f"Question 2 of {len(key.trials)}"


@pytest.mark.slow
def test_what_a_screen_reader_gets(open_page):
    page = open_page(0)
    begin(page, "S")
    tree = page.locator("#trial").aria_snapshot()
    for part in (
        'heading "Which is the recording?"',
        'button "Play A"',
        'button "Play B"',
        'group "Your answer"',
        'radio "A"',
        'radio "B"',
        "Play both to the end first.",
        'button "Next" [disabled]',
    ):
        assert part in tree, tree


@pytest.mark.slow
@pytest.mark.parametrize("width", [900, 360])
def test_nothing_is_wider_than_the_screen(open_page, width):
    page = open_page(0, width)
    assert page.evaluate(WIDER) == 0
    begin(page, "W")
    assert page.evaluate(WIDER) == 0
