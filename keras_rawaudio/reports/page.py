"""One self-contained HTML page: what is on it, and how it is written."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.files import refuse_unwritable, replacing, write_errors
from keras_rawaudio.metrics.findings import HEALTHY
from keras_rawaudio.training.run_folder import RunFolder

TEMPLATE = Path(__file__).with_name("page.html")
# What page.html has in its first bytes, and no other page.
MARK, HEAD = b'content="keras-rawaudio, a report"', 1000


@dataclass(frozen=True)
class Picture:
    """A PNG `(bytes)` and its caption."""

    image: bytes
    caption: str

    @property
    def uri(self) -> str:
        return _uri("image/png", self.image)


@dataclass(frozen=True)
class Player:
    """Audio `(n,)` or `(n, channels)` with a play button, its name and its findings."""

    name: str
    audio: np.ndarray
    rate: int
    findings: Sequence[str] = ()

    @property
    def seconds(self) -> float:
        return len(self.audio) / self.rate

    @property
    def uri(self) -> str:
        """FLAC: lossless, about half the size of a WAV, and every browser plays it."""
        import soundfile

        file = io.BytesIO()
        soundfile.write(file, np.clip(self.audio, -1, 1), self.rate, "PCM_16", format="FLAC")
        return _uri("audio/flac", file.getvalue())


@dataclass(frozen=True)
class Table:
    """A header and rows of words; the first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in this order."""

    title: str
    words: str = ""
    findings: Sequence[tuple[str, Sequence[str]]] = ()
    players: Sequence[Player] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


def write_page(path: Path, title: str, words: str, sections: Sequence[Section]) -> None:
    """Write a page, whole or not at all.

    Args:
        path: the HTML file; its folder is made where there is none.
        title: over everything.
        words: one line under it.
        sections: in order.

    Raises:
        UserError: it cannot be written, or its name is not a page's.

    Example:
        >>> path = Path(tempfile.mkdtemp()) / "page.html"
        >>> write_page(path, "A & B", "two letters", [Section("Table", tables=[Table("ab", [])])])
        >>> "<h1>A &amp; B</h1>" in path.read_text()
        True
    """
    import jinja2

    refuse_other_files(path)
    templates = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = templates.from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(title=title, words=words, sections=sections, healthy=HEALTHY)
    with replacing(path) as partial:
        # The name of a file may be no Unicode.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def refuse_other_files(path: Path) -> None:
    """Refuse to write a page in the place of a log, a recipe, a recording.

    Raises:
        UserError: its name does not end in .html, or there is something that is no file.
    """
    refuse_unwritable(path)
    if path.suffix.lower() != ".html":
        raise UserError(f"cannot write {path}: the name of a page ends in .html; choose another")


def refuse_other_pages(path: Path, run: Path | None = None) -> None:
    """Refuse to write a page in the place of one that is something else.

    Args:
        path: of the page.
        run: the folder of the run that it shows, if it shows one run.

    Raises:
        UserError: as `refuse_other_files`; or there is a page that no report made, such as an
            exported one, or another run's own report.
    """
    refuse_other_files(path)
    there = RunFolder(path.parent)
    if path.name == there.report.name and there.description.is_file():
        if run is not None and path.parent.resolve() == run.resolve():
            return
        raise UserError(f"cannot write {path}: it is that run's own report; choose another place")
    if path.is_file():
        with path.open("rb") as file:
            if MARK not in file.read(HEAD):
                raise UserError(f"cannot write {path}: it is no report; choose another place")


def drawn(draw: Callable[[Path], None], words: str) -> Picture:
    """The picture that `draw` writes to the path it is given."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        with write_errors(path, "make room there, or let TMPDIR name another folder"):
            draw(path)
        return Picture(path.read_bytes(), words)


def _uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
