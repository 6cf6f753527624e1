"""The page of a listening test: one HTML file that fetches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from keras_rawaudio.listening.design import Key
from keras_rawaudio.reports.page import Player

TEMPLATE = Path(__file__).with_name("page.html")


def page(key: Key, clips: Mapping[str, np.ndarray], level_check: np.ndarray) -> str:
    """The page's text; it holds the questions and the audio, and not where a clip comes from.

    Args:
        key: of the test.
        clips: audio of each id, `(n,)` or `(n, 2)` in [-1, 1].
        level_check: an excerpt of the recording, named as such, by which listeners set the level.
    """
    import jinja2

    test = {
        "test": key.test,
        "trials": [trial.model_dump() for trial in key.trials],
        "level_check": Player("", level_check, key.sample_rate).uri,
        "clips": {name: Player("", clip, key.sample_rate).uri for name, clip in clips.items()},
    }
    templates = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = templates.from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(test=test, questions=len(key.trials))
