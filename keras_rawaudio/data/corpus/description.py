"""`corpus.json`, which describes a prepared corpus: read, or refused where it is not whole."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from keras_rawaudio.data.corpus.settings import PARTS, is_sample_rate
from keras_rawaudio.errors import UserError

FORMAT_VERSION = 1
DESCRIPTION = "corpus.json"
MOST_SAMPLES = 1 << 62  # they are counted in 64 bits


def read_description(text: str | bytes, folder: Path | str) -> dict[str, Any]:
    """What `corpus.json` says.

    Args:
        text: of the file.
        folder: where it lies, for messages.

    Raises:
        UserError: it is another file, of an unknown version, or damaged.
    """
    try:
        description: dict[str, Any] = json.loads(text)
        version = description["format_version"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{folder} is not a prepared corpus (see {DESCRIPTION})") from error
    if version != FORMAT_VERSION or version is True:
        raise UserError(
            f"the corpus {folder} is of format {version}, this program reads {FORMAT_VERSION}; "
            "prepare it again"
        )
    if not _is_whole(description):
        raise UserError(f"the corpus {folder} is damaged ({DESCRIPTION}); delete the folder")
    return description


def _is_whole(description: dict[str, Any]) -> bool:
    """Whether `corpus.json` holds what a corpus reads, each of its kind."""
    try:
        sources = [source["path"] for source in description["sources"]]
        segments = [description["parts"][part]["segments"] for part in PARTS]
        counts = [s[k] for part in segments for s in part for k in ("samples", "start", "source")]
        return (
            is_sample_rate(description["sample_rate"])
            and isinstance(description["settings"], dict)
            and description.get("channels", 1) in (1, 2)
            and all(isinstance(text, str) for text in (description["fingerprint"], *sources))
            and all(PurePath(path).parts for path in sources)
            and all(type(count) is int and 0 <= count < MOST_SAMPLES for count in counts)
            and all(sum(s["samples"] for s in part) for part in segments)
            and all(s["source"] < len(sources) for part in segments for s in part)
        )
    except (KeyError, TypeError, AttributeError):
        return False
