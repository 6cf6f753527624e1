"""Beats of a clock: where they are in its turn, and which block begins on one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from keras_rawaudio.models.clock import PULSES_PER_TURN

BEATS_PER_TURN = (4, 2, 1)  # where a beat is two, four or eight pulses
# Of onset strengths, in time with the pulses: 0.03 in slow music, 0.2 to 0.4 in music with drums.
LEAST_IN_TIME = 0.1
NO_BEAT = -1.0


def beat_phase(onsets: np.ndarray, turns: np.ndarray) -> float:
    """Where in its turn a clock is on the strongest beat.

    The mean phase of onsets within a pulse says where pulses are. Of two pulses the one with the
    stronger onsets is the beat of the next longer kind, up to one in eight.

    Args:
        onsets: `(n,)`, strengths of onsets at `n` moments.
        turns: `(n,)`, the clock at these moments.

    Returns:
        The phase in turns, in [0, 1); `NO_BEAT` if onsets are not in time with the clock.

    Example:
        >>> turns = np.arange(800) / 80
        >>> onsets = (np.arange(800) % 10 == 3) * np.where(np.arange(800) % 80 == 43, 1.0, 0.5)
        >>> round(beat_phase(onsets, turns) * 80)
        43
    """
    onsets = onsets - onsets.mean() if len(onsets) else onsets
    pulses = PULSES_PER_TURN * turns
    in_time = np.sum(onsets * np.exp(2j * np.pi * pulses))
    if abs(in_time) <= LEAST_IN_TIME * np.abs(onsets).sum():
        return NO_BEAT
    phase = np.angle(in_time) / (2 * np.pi * PULSES_PER_TURN)
    nearest = np.round((turns - phase) * PULSES_PER_TURN).astype(int) % PULSES_PER_TURN
    counts = np.maximum(np.bincount(nearest, minlength=PULSES_PER_TURN), 1)
    # Rounded, so that of equal pulses the first is taken.
    strength = np.round(np.bincount(nearest, onsets, PULSES_PER_TURN) / counts, 6)
    beat = 0  # the number of a pulse
    for count in BEATS_PER_TURN:
        every = PULSES_PER_TURN // count
        beat = max(beat, beat + every // 2, key=lambda n: strength[n::every].sum())
    return float((phase + beat / PULSES_PER_TURN) % 1.0)


def beat_phases(
    rows: Sequence[np.ndarray],
    starts: Sequence[int],
    labels: Sequence[int],
    strengths: Sequence[np.ndarray],
    periods: Sequence[float],
) -> list[float]:
    """`beat_phase` of the clock of each label, from the onsets of its codes.

    Args:
        rows: stretches of the train part, `(blocks * bands,)`, counted from 1.
        starts: where in its own file each begins, in codes.
        labels: of each.
        strengths: onset strengths of each band's entries.
        periods: of each label's clock, in codes; 0 for none.
    """
    bands, found = len(strengths), []
    for label, period in enumerate(periods):
        onsets, turns = [np.zeros(0)], [np.zeros(0)]
        for row, start, of in zip(rows, starts, labels, strict=True):
            if of == label and period:
                codes = row.reshape(-1, bands).T - 1
                each = [s[c] for s, c in zip(strengths, codes, strict=True)]
                onsets.append(np.sum(each, axis=0))
                turns.append((start + np.arange(0, len(row), bands)) / period)
        found.append(beat_phase(np.concatenate(onsets), np.concatenate(turns)))
    return found


def begins_on_beat(phase: Any, speed: Any, beat: Any, longest: Any) -> Any:
    """Whether a block begins nearest to a beat.

    A beat is one pulse or a power of two of them: the longest that lasts no more than `longest`.

    Args:
        phase: `(...)` of the clock where the block begins, in turns.
        speed: of the clock, in turns per block.
        beat: phase of the strongest beat.
        longest: blocks.

    Example:
        >>> phase = ops.arange(16, dtype="float32") / 16
        >>> np.flatnonzero(begins_on_beat(phase, 1 / 16, 2 / 16, 4.5)).tolist()
        [2, 6, 10, 14]
    """
    count = float(PULSES_PER_TURN)
    for fewer in BEATS_PER_TURN:
        count = ops.where(speed * longest * fewer >= 1.0, float(fewer), count)
    return ops.mod((phase - beat + 0.5 * speed) * count, 1.0) < speed * count
