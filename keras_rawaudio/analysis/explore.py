"""What a piece is like: its pictures and its figures, in a folder."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from keras_rawaudio.analysis import pictures
from keras_rawaudio.analysis.pulsation import Pulsations, pulsations
from keras_rawaudio.analysis.survey import LEVELS_PER_SECOND, Survey, survey
from keras_rawaudio.analysis.views import SpectrogramView, add_block, chosen_minutes, zooms
from keras_rawaudio.data.corpus.decoding import AudioFile, decode, open_audio
from keras_rawaudio.errors import UserError
from keras_rawaudio.files import refuse_input, refuse_unwritable, replacing

FILES = "waveforms.png", "minutes.png", "overview.png", "explore.json"


def explore(path: Path, out: Path) -> dict[str, Any]:
    """Look at a piece, in memory that does not grow with its length.

    The piece is decoded twice: for its figures, then, its length known, for its pictures.

    Args:
        path: an audio file, mixed to mono and taken at its own rate.
        out: the folder to write `explore.json`, `waveforms.png`, `minutes.png` and `overview.png`
            into; it is made where it does not exist.

    Returns:
        What is in `explore.json`.

    Raises:
        UserError: no such file, no audio, or a folder that cannot be written, or where one of its
            files is the audio.
    """
    audio = open_audio(path)
    for name in FILES:
        refuse_unwritable(out / name)
        refuse_input(out / name, path)
    rate = audio.sample_rate
    try:
        found = survey(lambda: decode(audio, rate), rate)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    pulsating = pulsations(found.level, LEVELS_PER_SECOND)
    whole = zooms(found.head, found.samples, rate)
    minutes = chosen_minutes(found.samples, rate)
    spectrogram = SpectrogramView(found.samples, rate)
    position = 0
    for block in decode(audio, rate):
        add_block([*whole, *minutes, spectrogram], position, block)
        position += len(block)
    if position != found.samples:
        raise UserError(f"{path} changed while it was read; try again")
    report = figures(audio, found, pulsating)
    with ExitStack() as stack:  # all files are replaced, or none
        new = [stack.enter_context(replacing(out / name)) for name in FILES]
        pictures.waveforms(whole, rate, new[0])
        pictures.waveforms(minutes, rate, new[1])
        pictures.overview(found, spectrogram.decibels(), pulsating, path.name, new[2])
        new[3].write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return report


def figures(audio: AudioFile, found: Survey, pulsating: Pulsations) -> dict[str, Any]:
    """A survey as plain JSON; levels once per second, `None` where nothing pulsates or sounds."""
    whole = len(found.level) // LEVELS_PER_SECOND * LEVELS_PER_SECOND
    power = np.square(found.level[:whole]).reshape(-1, LEVELS_PER_SECOND).mean(axis=1)
    return {
        "file": str(audio.path),
        "sample_rate": found.sample_rate,
        "channels": audio.channels,
        "samples": found.samples,
        "seconds": round(found.samples / found.sample_rate, 3),
        "peak": found.peak,
        "mean": found.mean,
        "standard_deviation": found.deviation,
        "minimum": found.minimum,
        "maximum": found.maximum,
        "range": found.maximum - found.minimum,
        "silent_head_samples": found.head,
        "silent_tail_samples": found.samples - found.end,
        "fade_out_samples": found.end - found.fade,
        "level_decibels": [_rounded(10 * np.log10(p)) if p else None for p in power],
        "pulsations": {
            "seconds": [_rounded(value) for value in pulsating.seconds],
            "per_minute": [_rounded(value) for value in pulsating.per_minute],
            "strength": [_rounded(value) for value in pulsating.strength],
        },
    }


def _rounded(value: float) -> float | None:
    return round(float(value), 2) if np.isfinite(value) else None
