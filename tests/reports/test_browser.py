"""The pages in a real Chromium: they render, the players play, nothing is fetched."""

import pytest

PLAYERS = """() => Promise.all([...document.querySelectorAll("audio")].map(async player => {
    player.muted = true;
    await player.play();
    await new Promise(resolve => player.addEventListener("timeupdate", resolve, { once: true }));
    player.pause();
    return [player.readyState, player.duration, player.error];
}))"""
PICTURES = "[...document.images].map(image => [image.complete, image.naturalWidth])"
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1200, 400])
def test_the_report_of_a_run(run, browser, width):
    page = browser.new_page(viewport={"width": width, "height": 800})
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(run.report.as_uri())
    assert page.title() == "run"
    results = page.evaluate(PLAYERS)
    assert len(results) >= 9
    for ready, duration, error in results:
        assert ready >= 3, "HAVE_FUTURE_DATA"
        assert error is None
        assert 0.5 < duration < 4
    assert all(done and drawn > 500 for done, drawn in page.evaluate(PICTURES))
    assert len(page.evaluate(PICTURES)) == 4
    assert page.evaluate(WIDER) == 0
    assert [url for url in asked if not url.startswith("data:")] == [run.report.as_uri()]
    assert wrong == []
    page.close()
