"""The page in a real Chromium, as a user sees it, and exported models for it."""

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving.web_page import page_server

PATIENCE_MS = 60_000


def onnx_file(model: Any, folder: Path, rate: int = 8000) -> Path:
    """The generator of a model as an ONNX file."""
    from keras_rawaudio.exporters.onnx_model import export_onnx
    from keras_rawaudio.generation import generator_state_spec
    from keras_rawaudio.models.controls import TEMPERATURE

    spec = generator_state_spec(model)
    metadata = {
        "format_version": 1,
        "sample_rate": rate,
        "frame": model.block,
        "channels": model.channels,
        "delay": model.delay,
        "noise_per_sample": model.head.noise_per_sample,
        "deterministic": False,
        "controls": [control._asdict() for control in (TEMPERATURE, *model.controls)],
        "states": [{"name": n, "shape": s, "initial": v} for n, (s, v) in spec.items()],
    }
    path = folder / "generator.onnx"
    export_onnx(model, metadata, path)
    return path


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the kind of the recipe `raw`."""
    import keras

    from keras_rawaudio.models import AudioModel

    from ...small_models import far_from_fresh

    keras.utils.set_random_seed(0)
    tier = {"frame_size": 32, "units": 12, "input": "codes", "clock_harmonics": 3}
    sizes = {"codebook_size": 8, "filters": 3, "lpc_order": 16, "hidden_units": 8}
    head = {"kind": "predictive", "num_mixtures": 2, **sizes}
    model = far_from_fresh(AudioModel([tier], head, {"name": "peak", "peak": 0.9}), spread=0.3)
    return onnx_file(model, tmp_path_factory.mktemp("exported"))


@pytest.fixture(scope="module")
def spectral(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model of the kind of the recipe `default`, in stereo at 44.1 kHz."""
    import keras

    from keras_rawaudio.models import SpectralModel

    keras.utils.set_random_seed(0)
    model = SpectralModel(44100, 2, codebook_size=16, components=8, units=12, clock_harmonics=2)
    rng = np.random.default_rng(0)
    bursts = rng.normal(size=(441000, 2)) * np.repeat(rng.random((441, 1)) ** 4, 1000, axis=0) / 3
    model.prepare([bursts.astype(np.float32)])
    return onnx_file(model, tmp_path_factory.mktemp("spectral"), rate=44100)


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe `default` in its own size, trained for a few steps on stereo at 44.1 kHz."""
    from keras_rawaudio.data.corpus.synthesis import synthesise
    from keras_rawaudio.exporters.export import export
    from keras_rawaudio.recipes import load_recipe
    from keras_rawaudio.training import code_balance
    from keras_rawaudio.training.schedule import Budget
    from keras_rawaudio.training.train import train

    folder = tmp_path_factory.mktemp("default")
    left = synthesise(20.0, 44100)
    soundfile.write(folder / "piece.wav", np.stack([left, 0.7 * np.roll(left, 300)], 1), 44100)
    values = {"training.sample_seconds": 0.0, "training.validate_every": 1000.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_balance, "SECONDS", 1.0)
        recipe = load_recipe("default", values)
        train([folder / "piece.wav"], folder / "run", recipe, Budget(epochs=1), cache=folder)
    return export(folder / "run", folder / "exported")


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

    def record(
        self, seconds: float, path: Path, then: Sequence[Callable[[], None]] = ()
    ) -> tuple[np.ndarray, int]:
        """Play from the beginning and save that much: (samples, channels), and the rate.

        After it each of `then` is done, and as much again is recorded.
        """
        self.press("Record")
        self.press("Play")
        self._wait_for(seconds)
        for act in then:
            act()
            self._wait_for(self.recorded() + seconds)
        with self.page.expect_download() as download:
            self.press("Stop and save")
        download.value.save_as(path)
        self.press("Pause")
        return soundfile.read(path, dtype="float32", always_2d=True)  # type: ignore[no-any-return]

    def _wait_for(self, seconds: float) -> None:
        """By the audio, not by the clock: a busy machine may take longer."""
        while self.recorded() < seconds:
            self.page.wait_for_timeout(50)


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
