"""The page in a real Chromium plays what the Python sampler plays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from keras_rawaudio_serving import Sampler, web_page
from keras_rawaudio_serving.audio import read_seed
from keras_rawaudio_serving.web_page import bundle

from keras_rawaudio.models.controls import LEVEL_SLEW_RATE, RAW_RATE

from .conftest import Page

Toy = Callable[..., Path]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (web_page.FOLDER / "index.html").exists(), reason="make web builds it"),
]


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


@pytest.mark.parametrize(("model", "seconds"), [("spectral", 4), ("default", 5)])
def test_same_samples_of_models_of_codes(
    open_page: Callable[..., Page],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    model: str,
    seconds: int,
) -> None:
    """With fresh weights, and trained. The search for phases amplifies rounding; still they are
    the same after seconds."""
    exported = request.getfixturevalue(model)
    page = open_page(exported)
    page.page.get_by_label("Random seed").fill("7")
    audio, rate = page.record(seconds, tmp_path / "new.wav")
    assert (rate, audio.shape[1]) == (44100, 2)
    assert audio.std() > 1e-3
    check_same(audio, exported)


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


def test_a_level_that_jumps_does_not_click(
    open_page: Callable[..., Page], exported: Path, tmp_path: Path
) -> None:
    """What is recorded is the sampler's audio behind a gain that moves by its slope."""
    page = open_page(exported)
    page.page.get_by_label("Random seed").fill("7")
    slider = page.page.get_by_role("slider", name="Level")
    turns = [lambda: slider.press("Home"), lambda: slider.press("End")]
    audio, rate = page.record(0.5, tmp_path / "new.wav", turns)
    plain = Sampler.load(exported, random_seed=7, provider="cpu").generate(len(audio) / rate)[0]
    there = np.flatnonzero(np.abs(plain) > 0.1 * np.abs(plain).max())
    gain = 20 * np.log10(np.abs(audio[there, 0] / plain[there]))
    assert np.all(np.abs(np.diff(gain)) < LEVEL_SLEW_RATE / RAW_RATE * np.diff(there) + 0.2)
    assert gain.min() < -39
    assert gain.max() > 5


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


def test_a_seed_from_the_microphone(open_page: Callable[..., Page], exported: Path) -> None:
    page = open_page(exported)
    page.page.get_by_label("s, for").fill("0.5")
    page.press("From the microphone")
    page.page.wait_for_selector("text=/A seed of 0.[45] s/")
    page.press("None")
    assert "No seed" in page.page.get_by_role("status").inner_text()
