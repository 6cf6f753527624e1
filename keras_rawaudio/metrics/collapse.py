"""Collapse: has free-running audio turned to silence, noise, one tone or a loop, and when?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_rawaudio.dsp.spectra import mono
from keras_rawaudio.metrics.health import health
from keras_rawaudio.metrics.loops import find_loop
from keras_rawaudio.metrics.reference import Reference
from keras_rawaudio.metrics.tonal_prominence import tonal_prominence_by_window

NOISE_TONE = 7.7  # prominence of white noise, dB
LASTING = 0.8  # share of the seconds from the start on that must be ill


@dataclass(frozen=True)
class Verdict:
    """What became of the audio.

    Attributes:
        kind: "silence", "noise", "one endless tone", "loops", "bursts" or "healthy".
        start: second at which it starts; None when healthy.
        period: seconds a lap, for loops.
    """

    kind: str
    start: float | None = None
    period: float | None = None

    @property
    def healthy(self) -> bool:
        return self.kind == "healthy"

    def __str__(self) -> str:
        """The verdict in words: "turns to noise after 4 s", "healthy"."""
        if self.kind == "healthy" or self.start is None:
            return self.kind
        when = "from the start" if self.start < 1 else f"after {self.start:.0f} s"
        if self.kind == "bursts":
            return f"bursts {when}"
        if self.kind == "loops":
            return f"loops every {self.period:.2f} s {when}"
        return f"turns to {self.kind} {when}" if self.start >= 1 else f"{self.kind} {when}"


def verdict(audio: np.ndarray, rate: int, reference: Reference) -> Verdict:
    """Compare free-running audio, second by second, with the piece that it learned from.

    The first of these that holds for 80 % of the seconds from some second to the end (one second
    anywhere for bursts):
        bursts: 3 dB louder than the piece's loudest 1 %;
        silence: 20 dB under the piece's quietest 1 %, or under -60 dB where that is from 6 to 20
            dB under it;
        one endless tone: spectral change under half of the piece's least 1 %, in sounding seconds;
        noise: flatter than 99 % of the piece, or tone no further from that of white noise than a
        quarter of the way to the piece's own, and under the piece's own lowest 1 %;
        loops: sounds after a lap differ from those before it by under a tenth of what unrelated
        sounds do, and by under half of what the piece's own laps do (`loop_difference`).

    How it fails: a piece that is itself noise, drone or loop is compared with itself, so these
    are then not found; a collapse in the last second of the audio goes unseen.

    Args:
        audio: mono `(n,)`, two seconds or more to be worth it.
        rate: samples per second.
        reference: the piece.
    """
    audio = mono(audio)
    limits = reference.figures["thresholds"]
    seconds = health(audio, rate)
    loud = np.flatnonzero(seconds.level > limits["loudest"])
    if len(loud):
        return Verdict("bursts", float(loud[0]))
    quiet = min(limits["quietest"] - 6, max(limits["quietest"] - 20, -60))
    dead = seconds.level < quiet
    tones = np.array(
        [
            tonal_prominence_by_window(audio[i * rate : (i + 1) * rate], rate)[0]
            for i in range(len(dead))
        ]
    )
    toneless = NOISE_TONE + (reference.figures["tonal_prominence_db"] - NOISE_TONE) / 4
    toneless = min(toneless, reference.figures["tonal_prominence_db_by_second"]["low"])
    ill = {
        "silence": dead,
        "one endless tone": ~dead & (seconds.change < limits["least_change"] / 2),
        "noise": ~dead & ((seconds.flatness > limits["flattest"]) | (tones < toneless)),
    }
    for kind, which in ill.items():
        start = lasting_start(which)
        if start is not None:
            return Verdict(kind, float(start))
    found = find_loop(audio, rate, reference.figures["loop_difference"] / 2)
    return Verdict("loops", *found) if found else Verdict("healthy")


def lasting_start(ill: np.ndarray) -> int | None:
    """First ill second from which 80 % of the rest (and the last but one) is ill; None without.

    Example:
        >>> lasting_start(np.array([False, True, False, False, True, True, True, True]))
        4
    """
    for start in np.flatnonzero(ill):
        rest = ill[start:]
        if rest.mean() >= LASTING and rest[-2:].any() and len(rest) >= min(2, len(ill)):
            return int(start)
    return None
