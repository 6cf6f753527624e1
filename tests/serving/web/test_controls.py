"""The page in a real Chromium: its controls, its keys, and files that it cannot play."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from keras_rawaudio_serving import web_page

from .conftest import Page

Toy = Callable[..., Path]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (web_page.FOLDER / "index.html").exists(), reason="make web builds it"),
]


def test_damaged_files_get_one_sentence(
    open_page: Callable[..., Page], exported: Path, toy: Toy
) -> None:
    good = exported.read_bytes()
    model = onnx.load(exported)
    del model.metadata_props[:]
    plain = model.SerializeToString()
    flipped = bytearray(good)
    flipped[len(good) // 2 : len(good) // 2 + 200] = bytes(200)
    states = [{"name": "level", "shape": [-1], "initial": 0}]
    cases = {
        "not an ONNX file": [b"RIFF" + bytes(100), b"", good[: len(good) // 2]],
        "not a generator of keras-rawaudio": [plain],
        "format version 2": [toy("a.onnx", format_version=2).read_bytes()],
        "description in this file is damaged": [
            toy("b.onnx", sample_rate=0).read_bytes(),
            toy("c.onnx", states=states).read_bytes(),
        ],
        "lacks": [toy("d.onnx", states=[{"name": "x", "shape": [], "initial": 0}]).read_bytes()],
    }
    page = open_page(exported)
    for expected, files in cases.items():
        for data in files:
            sentence = page.open("bad.onnx", data)
            assert expected in sentence
            assert sentence.endswith(".")
            assert "\n" not in sentence
            assert not page.page.is_visible("#instrument")
    page.open("flipped.onnx", bytes(flipped))  # it may be refused or play, and the page goes on
    assert page.open("good.onnx", good) == ""
    assert page.page.inner_text("h1") == "good.onnx"


def test_controls_are_those_that_the_file_declares(
    open_page: Callable[..., Page], toy: Toy, tmp_path: Path
) -> None:
    text = "How far it strays."
    ranges = {"minimum": 0.0, "maximum": 4.0, "default": 2.0}
    control = {"name": "temperature", **ranges, "unit": "ratio", "description": text}
    model = toy(controls=[control])
    page = open_page(model)
    slider = page.page.get_by_role("slider", name="Temperature")
    number = page.page.get_by_role("spinbutton", name="Temperature, exact value")
    assert (slider.input_value(), slider.get_attribute("max")) == ("2", "4")
    assert page.page.get_by_text(text).is_visible()
    slider.press("ArrowRight")
    assert float(slider.input_value()) > 2
    number.fill("9")
    number.press("Enter")
    assert page.page.inner_text("#problem") == "Temperature goes from 0 to 4."
    assert float(number.input_value()) <= 4
    number.fill("0")
    number.press("Enter")
    assert page.page.inner_text("#problem") == ""
    audio, _ = page.record(1, tmp_path / "new.wav")
    assert not audio.any()  # the toy is silent at 0

    sentence = page.open("none.onnx", toy("none.onnx", controls=[]).read_bytes())
    assert sentence == "This file needs inputs that this page does not know: temperature."


def test_a_deterministic_model_has_no_temperature(open_page: Callable[..., Page], toy: Toy) -> None:
    page = open_page(toy(deterministic=True))
    assert page.page.get_by_role("slider").count() == 1  # the volume
    page.press("Play")
    page.page.wait_for_selector("text=/real time/")
    assert page.page.inner_text("#problem") == ""


def test_the_keyboard_and_a_narrow_window(open_page: Callable[..., Page], exported: Path) -> None:
    page = open_page(exported, width=400)
    wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.page.evaluate(wider) == 0
    focused = "document.activeElement.id"
    assert page.page.evaluate(focused) == "play"
    page.page.keyboard.press("Space")
    assert page.page.get_by_role("status").inner_text() == "Playing."
    page.page.keyboard.press("Tab")
    assert page.page.evaluate(focused) == "restart"
    page.page.evaluate("document.activeElement.blur()")
    page.page.keyboard.press("Space")
    assert page.page.get_by_role("status").inner_text() == "Paused."
    unnamed = """[...document.querySelectorAll("button, input, select")].filter(each =>
        !each.labels?.length && !each.textContent.trim() && !each.ariaLabel).map(e => e.id)"""
    assert page.page.evaluate(unnamed) == []


def test_nothing_is_open_without_a_model(browser: Any, tmp_path: Path) -> None:
    """The page as it lies on a disk, without its server: it says what to do."""
    page = browser.new_page()
    page.goto((web_page.FOLDER / "index.html").as_uri())
    page.set_input_files("#model", {"name": "x.onnx", "mimeType": "", "buffer": b"x"})
    page.wait_for_selector("text=keras-rawaudio-generate FILE --web")
    page.context.close()
