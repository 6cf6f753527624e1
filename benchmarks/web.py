"""How fast the page plays exported files in Chromium: a JSON line for each, a table on stderr.

python benchmarks/web.py exported/generator.onnx --seconds 60 --streams 1 4
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import threading
from pathlib import Path
from typing import Any

from common import machine, print_line, print_table, run_main, say

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
# `eager`: the memory is measured when it is asked for, not when the browser finds time.
FLAGS = ["--no-sandbox", "--enable-blink-features=ForceEagerMeasureMemory"]
MEMORY = "performance.measureUserAgentSpecificMemory().then(found => found.bytes / 1e6)"
SETTLE_SECONDS = 5  # before memory is measured for the first time
COLUMNS = (
    "model",
    "what",
    "streams",
    "seconds",
    "speed_median",
    "speed_least",
    "speed_by_cpu",
    "gaps",
    "memory_mb_begin",
    "memory_mb_end",
)


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add = parser.add_argument
    add("models", type=Path, nargs="+", metavar="FILE", help="exported files")
    add("--seconds", type=int, default=60, help="of playing, for each setting (60)")
    add("--streams", type=int, nargs="+", default=[1], choices=(1, 2, 3, 4))
    add("--screenshot", type=Path, metavar="FILE", help="of the last setting's page, a PNG")
    return parser


def main(options: argparse.Namespace) -> None:
    from playwright.sync_api import sync_playwright

    from keras_rawaudio.errors import UserError

    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if chromium is None:
        raise UserError(f"this needs a Chromium on the path: one of {', '.join(CHROMIUM)}")
    rows = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        for model in options.models:
            for streams in options.streams:
                say(f"{model}: {streams} streams, {options.seconds} s")
                row = {"benchmark": "web", "model": str(model), "streams": streams}
                row |= play(browser, model, streams, options)
                rows.append(row | {"browser": browser.version, "machine": machine()})
                print_line(rows[-1])
        browser.close()
    print_table(rows, COLUMNS)


def play(browser: Any, model: Path, streams: int, options: argparse.Namespace) -> dict[str, Any]:
    """Play a model on the page, as a user would, and read its meter once per second.

    Returns:
        `speed_median` and `speed_least` of the meter, in times real time by the clock;
        `speed_by_cpu`, seconds of audio per second of the page's processor time (its drawing too),
        which other programs change less; `gaps`, and memory before and after.
    """
    from keras_rawaudio_serving.web_page import page_server

    from keras_rawaudio.errors import UserError

    with page_server(model) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page(viewport={"width": 1000, "height": 950})
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.wait_for_selector("#play:visible, #problem:not(:empty)", timeout=120_000)
        if problem := page.inner_text("#problem"):
            raise UserError(f"{model}: {problem}")
        page.select_option("#streams", str(streams))
        page.click("#play")
        page.wait_for_selector("#meter:not(:empty)", timeout=120_000)
        memory, speeds = [], []
        cpu = processor_seconds(browser)
        for second in range(options.seconds):
            if second == min(SETTLE_SECONDS, options.seconds - 1):
                memory.append(page.evaluate(MEMORY))
            page.wait_for_timeout(1000)
            meter = page.inner_text("#meter")
            speeds.append(float(meter.split()[0]))
        found = re.search(r"(\d+) gap", meter)
        memory.append(page.evaluate(MEMORY))
        cpu = processor_seconds(browser) - cpu
        what = page.inner_text("#facts")
        if options.screenshot:
            page.screenshot(path=options.screenshot)
        page.close()
        server.shutdown()
    return {
        "what": what,
        "seconds": options.seconds,
        "speed_median": statistics.median(speeds),
        "speed_least": min(speeds),
        "speed_by_cpu": round(options.seconds / cpu, 2),
        "gaps": int(found[1]) if found else None,
        "memory_mb_begin": round(memory[0], 1),
        "memory_mb_end": round(memory[1], 1),
    }


def processor_seconds(browser: Any) -> float:
    """Of all pages so far."""
    session = browser.new_browser_cdp_session()
    found = session.send("SystemInfo.getProcessInfo")["processInfo"]
    session.detach()
    return sum(each["cpuTime"] for each in found if each["type"] == "renderer")


if __name__ == "__main__":
    sys.exit(run_main(arguments(), main))
