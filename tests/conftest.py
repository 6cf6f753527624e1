"""What holds for every test."""

import os
import random
import shutil
import signal

import pytest
from hypothesis import HealthCheck, settings

# How long an example takes says what else the machine is doing, nothing about the code.
settings.register_profile(
    "no deadline", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("no deadline")

# Shells start what they run in the background with Ctrl-C ignored, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """The same numbers in each run: Keras takes the seed of a layer without one from `random`."""
    random.seed(0)


@pytest.fixture(scope="module")
def browser():
    """A Chromium with a microphone that beeps; skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path")
    flags = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    if getattr(os, "geteuid", lambda: 1)() == 0:
        flags.append("--no-sandbox")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()
