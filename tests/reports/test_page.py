import base64
import io
import re

import numpy as np
import pytest
import soundfile

from keras_rawaudio.errors import UserError
from keras_rawaudio.reports.page import (
    Picture,
    Player,
    Section,
    Table,
    drawn,
    refuse_other_pages,
    write_page,
)

NOISE = np.random.default_rng(0).normal(size=4000).astype(np.float32) / 10


def test_all_that_is_loaded_lies_in_the_page(tmp_path):
    section = Section(
        "A",
        players=[Player("noise", NOISE, 8000)],
        pictures=[Picture(b"\x89PNG", "words")],
        tables=[Table(["a"], [["b"]])],
    )
    write_page(tmp_path / "page.html", "title", "words", [section])
    text = (tmp_path / "page.html").read_text()
    loaded = re.findall(r"(?:src|href)=\"([^\"]*)\"", text)
    assert len(loaded) == 3
    assert all(uri.startswith("data:") for uri in loaded)
    assert not re.search(r"https?:|@import|url\(|<script", text)


@pytest.mark.parametrize("audio", [NOISE, np.stack([NOISE, NOISE[::-1]], axis=1)])
def test_players_hold_the_very_samples(audio):
    player = Player("noise", audio, 8000)
    assert player.seconds == 0.5
    uri = player.uri
    data = base64.b64decode(uri.removeprefix("data:audio/flac;base64,"))
    held, rate = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate == 8000
    np.testing.assert_allclose(held, audio, atol=1 / 32768)
    assert len(data) < 2 * audio.size


def test_names_are_text_and_never_markup(tmp_path):
    evil = "<script>alert(1)</script>&'\""
    section = Section(
        evil,
        evil,
        [(evil, [evil])],
        [Player(evil, NOISE, 8000, [evil])],
        [Picture(b"\x89PNG", evil)],
        [Table([evil], [[evil], [evil]])],
    )
    write_page(tmp_path / "page.html", evil, evil, [section])
    text = (tmp_path / "page.html").read_text()
    assert "<script" not in text
    assert "&'\"" not in text


def test_a_page_is_written_whole_or_not_at_all(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_page(tmp_path / "file" / "page.html", "", "", [])
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        write_page(tmp_path / "folder.html", "", "", [])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.html"]


def test_a_page_takes_no_place_of_another_kind_of_file(tmp_path):
    for name in ("log.csv", "run.json", "song.wav", "page"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UserError, match=r"the name of a page ends in \.html"):
            write_page(tmp_path / name, "", "", [])
        assert (tmp_path / name).read_text() == "mine"
    write_page(tmp_path / "PAGE.HTML", "", "", [])


def test_a_report_takes_no_place_of_another_page(tmp_path):
    """Neither of one that no report made, nor of another run's own report."""
    page = tmp_path / "report.html"
    page.write_text("<p>mine")
    with pytest.raises(UserError, match="it is no report"):
        refuse_other_pages(page)
    page.unlink()
    write_page(page, "", "", [])
    refuse_other_pages(page)
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(UserError, match="that run's own report"):
        refuse_other_pages(page)
    refuse_other_pages(page, tmp_path)


def test_a_name_that_is_no_unicode_is_written_in_escapes(tmp_path):
    write_page(tmp_path / "page.html", "caf\udce9", "", [])
    assert "<h1>caf\\udce9</h1>" in (tmp_path / "page.html").read_text()


def test_a_picture_that_cannot_be_written_names_its_folder():
    """On a full disk the line did not say where."""

    def full(path):
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match=r"picture\.png: No space left on device; .*TMPDIR"):
        drawn(full, "")
