"""Generated files beside the real one: no model, no run folder, only audio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_rawaudio.data.corpus.decoding import decode, open_audio
from keras_rawaudio.errors import UserError
from keras_rawaudio.metrics.brackets import compare_with_piece
from keras_rawaudio.metrics.diversity import own_diversity
from keras_rawaudio.metrics.reference import HELDOUT_SHARE, Reference
from keras_rawaudio.reports.distances import distances_section
from keras_rawaudio.reports.evaluated_audio import evaluate_streams, measures, spectrograms
from keras_rawaudio.reports.page import Player, Section, refuse_other_pages, write_page

SEED_SECONDS = 1.0
PLAYER_SECONDS = 60.0  # of each file, so that a page stays some megabytes
SPECTROGRAM_SECONDS = 20.0
SHORTEST = 1.0


@dataclass(frozen=True)
class Seed:
    """Where the seed of the generated files lies.

    Attributes:
        path: its audio file.
        start: in seconds.
        seconds: its length; None: 1, or the rest of the file where that is less.
        kept: whether the generated files begin with it.
    """

    path: Path
    start: float = 0.0
    seconds: float | None = None
    kept: bool = False


def evaluate_audio(
    real: Path, generated: Sequence[Path], out: Path, seed: Seed | None = None
) -> list[tuple[str, list[str]]]:
    """Compare generated files with the recording they were learned from, and write a page.

    All are decoded at the lowest of their rates, and to mono where one of them is mono.

    Args:
        real: the recording.
        generated: one file or more.
        out: the HTML file.
        seed: what they went on from.

    Returns:
        Name and findings in words of each file.

    Raises:
        UserError: a file that cannot be read or is too short, or a page that cannot be written.
    """
    refuse_other_pages(out)
    files = [open_audio(path) for path in (real, *generated)]
    rate = min(file.sample_rate for file in files)
    channels = min(2, *(file.channels for file in files))
    piece, *others = (_read(path, rate, channels) for path in (real, *generated))
    prompt, after = _seed(seed, rate, channels) if seed else (piece[:0],) * 2
    if seed and seed.kept:
        others = [audio[len(prompt) :] for audio in others]
    for path, audio in zip((real, *generated), (piece, *others), strict=True):
        if len(audio) < SHORTEST * rate:
            raise UserError(f"{path} is too short to judge: give a second or more")
    reference = Reference.from_recording(piece, rate)
    named = [*zip(_names(generated), others, strict=True)]
    evaluated = evaluate_streams(named, reference, prompt, after)
    shown = round(min(SPECTROGRAM_SECONDS, max(map(len, others)) / rate) * rate)
    if seed:
        beside, title = np.concatenate([prompt, after[:shown]]), f"real: {seed.path.name}"
    else:
        middle = max(0, len(piece) - shown) // 2
        beside, title = piece[middle : middle + shown], f"real: {real.name}, from its middle"
    panels = [(title, beside)] + [
        (one.name, np.concatenate([prompt, one.audio[:shown]])) for one in evaluated
    ]
    limit = round(PLAYER_SECONDS * rate)
    players = [Player(title, beside, rate)]
    if seed:
        players.append(Player("seed", prompt, rate))
    players += [Player(one.name, one.audio[:limit], rate, one.findings) for one in evaluated]
    found = [(one.name, one.findings) for one in evaluated]
    border = round(len(piece) * (1 - HELDOUT_SHARE))
    distances = compare_with_piece(
        [one.audio for one in evaluated], [piece[:border]], [piece[border:]], rate
    )
    usual = min(len(one.audio) for one in evaluated) / rate
    write_page(
        out,
        ", ".join(one.name for one in evaluated),
        f"evaluated beside {real.name}: {'mono' if channels == 1 else 'stereo'}, {rate} Hz",
        [
            Section("Verdict", findings=found),
            Section("Listen", f"Up to {PLAYER_SECONDS:g} s of each.", players=players),
            spectrograms(panels, rate, len(prompt) / rate),
            measures(evaluated, reference, own_diversity([piece], rate, len(evaluated), usual)),
            *([distances_section(distances)] if distances else []),
        ],
    )
    return found


def _names(paths: Sequence[Path]) -> list[str]:
    """Names of files; their paths where two have one name."""
    names = [path.name for path in paths]
    return [str(p) if names.count(p.name) > 1 else p.name for p in paths]


def _read(path: Path, rate: int, channels: int) -> np.ndarray:
    nothing = np.zeros((0, 2)[:channels], np.float32)
    return np.concatenate([*decode(open_audio(path), rate, channels), nothing])


def _seed(seed: Seed, rate: int, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """The seed, and what follows it in its file."""
    audio = _read(seed.path, rate, channels)[round(seed.start * rate) :]
    cut = round((SEED_SECONDS if seed.seconds is None else seed.seconds) * rate)
    if len(audio) == 0:
        raise UserError(f"{seed.path} ends before the seed begins, at {seed.start:g} s")
    return audio[:cut], audio[cut:]
