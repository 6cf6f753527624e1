"""The page in a real Chromium: it plays exported files, and says what is wrong with others."""

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from keras_rawaudio_serving import Sampler, web_page
from keras_rawaudio_serving.audio import read_seed
from keras_rawaudio_serving.web_page import bundle, page_server

Toy = Callable[..., Path]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (web_page.FOLDER / "index.html").exists(), reason="make web builds it"),
]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the default recipe's kind, exported."""
    import keras

    from keras_rawaudio.exporters.onnx_model import export_onnx
    from keras_rawaudio.generation import generator_state_spec
    from keras_rawaudio.models import AudioModel

    from ..small_models import far_from_fresh

    keras.utils.set_random_seed(0)
    tier = {"frame_size": 32, "units": 12, "input": "codes", "clock_harmonics": 3}
    sizes = {"codebook_size": 8, "filters": 3, "lpc_order": 16, "hidden_units": 8}
    head = {"kind": "predictive", "num_mixtures": 2, **sizes}
    model = far_from_fresh(AudioModel([tier], head, {"name": "peak", "peak": 0.9}), spread=0.3)
    spec = generator_state_spec(model)
    metadata = {
        "format_version": 1,
        "sample_rate": 8000,
        "frame": model.frame,
        "noise_per_sample": model.head.noise_per_sample,
        "deterministic": False,
        "states": [{"name": n, "shape": s, "initial": v} for n, (s, v) in spec.items()],
    }
    path = tmp_path_factory.mktemp("exported") / "generator.onnx"
    export_onnx(model, metadata, path)
    return path


class Page:
    """The page with a model on it, as a user sees it."""

    def __init__(self, browser: Any, url: str, width: int = 1000) -> None:
        self.asked: list[str] = []
        self.wrong: list[str] = []
        context = browser.new_context(viewport={"width": width, "height": 900})
        self.page = page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.wrong.append(message.text))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.goto(url)
        self.wait()

    def wait(self) -> None:
        """Until a model is open, or the page shows what is wrong."""
        self.page.wait_for_selector("#play:visible, #problem:not(:empty)")

    def open(self, name: str, data: bytes) -> str:
        """Choose a file; returns what the page complains of."""
        file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
        self.page.evaluate("document.getElementById('problem').textContent = ''")
        self.page.evaluate("document.getElementById('instrument').hidden = true")
        self.page.set_input_files("#model", file)
        self.wait()
        return str(self.page.inner_text("#problem"))

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def recorded(self) -> float:
        """Seconds, as the page's meter shows them."""
        found = re.search(r"recorded ([\d.]+) s", self.page.inner_text("#meter"))
        return float(found[1]) if found else 0.0

    def record(self, seconds: float, path: Path) -> tuple[np.ndarray, int]:
        """Play from the beginning and save that much: (samples, channels), and the rate."""
        self.press("Record")
        self.press("Play")
        # By the audio, not by the clock: a busy machine may take longer.
        while self.recorded() < seconds:
            self.page.wait_for_timeout(50)
        with self.page.expect_download() as download:
            self.press("Stop and save")
        download.value.save_as(path)
        self.press("Pause")
        return soundfile.read(path, dtype="float32", always_2d=True)  # type: ignore[no-any-return]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Page]]:
    """open_page(model, width=1000) -> Page, from a server as `--web` starts it."""
    stack: list[Any] = []

    def make(model: Path, **options: int) -> Page:
        server = page_server(model)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        stack.append((server, thread))
        return Page(browser, f"http://127.0.0.1:{server.server_port}/", **options)

    yield make
    for context in browser.contexts:
        context.close()
    for server, thread in stack:
        server.shutdown()
        thread.join()
        server.server_close()


def check_same(audio: np.ndarray, model: Path, seed: np.ndarray | None = None) -> None:
    """At least half a second, equal to the Python sampler's of random seed 7."""
    sampler = Sampler.load(model, random_seed=7, provider="cpu")
    assert len(audio) > sampler.sample_rate / 2
    if seed is not None:
        sampler.prime(seed)
    expected = sampler.generate(len(audio) / sampler.sample_rate)[0].reshape(audio.shape)
    np.testing.assert_allclose(audio, expected, atol=1e-5)


def test_same_samples_as_the_python_sampler(
    open_page: Callable[..., Page], exported: Path, tmp_path: Path
) -> None:
    page = open_page(exported)
    assert page.page.evaluate("crossOriginIsolated")
    page.page.get_by_label("Random seed").fill("7")
    audio, rate = page.record(1.5, tmp_path / "new.wav")
    assert (rate, audio.shape[1]) == (8000, 1)
    assert audio.std() > 1e-3
    check_same(audio, exported)
    assert page.wrong == []
    assert {url.split("/")[2] for url in page.asked if url.startswith("http")} == {
        page.page.url.split("/")[2]
    }


def test_a_seed_from_a_file_and_two_channels(
    open_page: Callable[..., Page], stereo_toy: Toy, tmp_path: Path
) -> None:
    model = stereo_toy(sample_rate=8000)
    rng = np.random.default_rng(0)
    seed = tmp_path / "seed.wav"
    soundfile.write(seed, rng.uniform(-0.5, 0.5, (9000, 2)), 8000, subtype="FLOAT")
    page = open_page(model)
    page.page.get_by_label("Random seed").fill("7")
    page.page.get_by_label("s, for").fill("0.75")
    page.page.set_input_files("#seed-file", seed)
    page.page.wait_for_selector("text=A seed of 0.8 s")
    audio, _ = page.record(1, tmp_path / "new.wav")
    assert audio.shape[1] == 2
    check_same(audio, model, read_seed(seed, 8000, 0, 0.75, channels=2).audio)


def test_streams_are_mixed_at_equal_power(
    open_page: Callable[..., Page], exported: Path, tmp_path: Path
) -> None:
    page = open_page(exported)
    page.page.get_by_label("Random seed").fill("7")
    page.page.get_by_label("Streams").select_option("3")
    audio, _ = page.record(1, tmp_path / "new.wav")
    sampler = Sampler.load(exported, streams=3, random_seed=7, provider="cpu")
    expected = sampler.generate(len(audio) / 8000).sum(axis=0) / np.sqrt(3)
    np.testing.assert_allclose(audio[:, 0], expected, atol=1e-5)


def test_a_bundle_plays_from_a_disk(browser: Any, exported: Path, tmp_path: Path) -> None:
    path = tmp_path / "generator.html"
    path.write_text(bundle(exported), encoding="utf-8")
    page = Page(browser, path.as_uri())
    assert page.page.inner_text("#problem") == ""
    assert "No shared memory" in page.page.inner_text("#notes")
    page.page.get_by_label("Random seed").fill("7")
    audio, _ = page.record(1, tmp_path / "new.wav")
    check_same(audio, exported)
    assert page.wrong == []
    assert [url for url in page.asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]
    page.page.context.close()


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


def test_each_music_has_a_slider(
    open_page: Callable[..., Page], album: Toy, tmp_path: Path
) -> None:
    page = open_page(album())
    names = ("night", "day", "sea")
    sliders = {n: page.page.get_by_role("slider", name=f"Music: {n}") for n in names}
    # The one that it was trained on most is chosen.
    assert [sliders[name].input_value() for name in names] == ["0", "1", "0"]
    number = page.page.get_by_role("spinbutton", name="Music: sea, exact value")
    number.fill("1")
    number.press("Enter")
    audio, _ = page.record(0.5, tmp_path / "new.wav")
    np.testing.assert_allclose(audio, 3, atol=1e-5)
    assert page.wrong == []


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


def test_a_seed_from_the_microphone(open_page: Callable[..., Page], exported: Path) -> None:
    page = open_page(exported)
    page.page.get_by_label("s, for").fill("0.5")
    page.press("From the microphone")
    page.page.wait_for_selector("text=/A seed of 0.[45] s/")
    page.press("None")
    assert "No seed" in page.page.get_by_role("status").inner_text()


def test_nothing_is_open_without_a_model(browser: Any, tmp_path: Path) -> None:
    """The page as it lies on a disk, without its server: it says what to do."""
    page = browser.new_page()
    page.goto((web_page.FOLDER / "index.html").as_uri())
    page.set_input_files("#model", {"name": "x.onnx", "mimeType": "", "buffer": b"x"})
    page.wait_for_selector("text=keras-rawaudio-generate FILE --web")
    page.context.close()
