"""Collapse: has free-running audio turned to silence, noise, one tone or a loop, and when?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from keras_rawaudio.listening.health import health
from keras_rawaudio.listening.prominence import tone_by_window
from keras_rawaudio.listening.spectra import log_mel, mono

if TYPE_CHECKING:
    from keras_rawaudio.listening.reference import Reference

NOISE_TONE = 7.7  # prominence of white noise, dB
HOP_SECONDS = 0.016
SHORTEST_LOOP = 0.1
LASTING = 0.8  # share of the seconds from the start on that must be ill
EXACT_LOOP = 0.1  # difference from one lap to the next, 1 for unrelated sounds


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
    """Judge free-running audio second by second against the piece that it learned from.

    The first of these that holds for 80 % of the seconds from some second to the end (one second
    anywhere for bursts):
        bursts: 3 dB louder than the piece's loudest 1 %;
        silence: quieter than the piece's quietest 1 % (and 6 dB under it, or under -60 dB);
        one endless tone: spectral change under half of the piece's least 1 %, in sounding seconds;
        noise: flatter than 99 % of the piece, or tone no further from that of white noise than a
        quarter of the way to the piece's own, and under the piece's own lowest 1 %;
        loops: sounds after a lap differ from those before it by under a tenth of what unrelated
        sounds do, and by under half of what the piece's own laps do (`loop_difference`).

    How it fails: a piece that is itself noise, drone or loop is compared with itself, so these
    are then not found; a collapse in the last second of the audio goes unseen.

    Args:
        audio: mono `(n,)`, two seconds or more to be worth it.
        rate: samples a second.
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
        [tone_by_window(audio[i * rate : (i + 1) * rate], rate)[0] for i in range(len(dead))]
    )
    toneless = NOISE_TONE + (reference.figures["tonal_db"] - NOISE_TONE) / 4
    toneless = min(toneless, reference.figures["lowest_tonal_db"])
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


def loop_differences(audio: np.ndarray, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """How much the sound differs from itself some lag later, for lags up to half of the audio.

    Formula: mean squared difference of log mel spectra (20 bands, every 16 ms) at that lag, over
    twice their variance: 0 for an exact loop, about 1 for unrelated sounds.

    Returns:
        `(lags in frames, differences)`; empty for audio that never changes.
    """
    mel = log_mel(audio, rate, bands=20, hop=HOP_SECONDS).astype(np.float64)
    mel -= mel.mean(axis=0)
    n = len(mel)
    energy = np.square(mel).sum(axis=1)
    lags = np.arange(round(SHORTEST_LOOP / HOP_SECONDS), n // 2)
    if len(lags) == 0 or energy.mean() < 1e-6:
        return lags[:0], np.zeros(0)
    spectrum = np.fft.rfft(mel, 2 * n, axis=0)
    products = np.fft.irfft(np.square(np.abs(spectrum)).sum(axis=1))[:n]
    upto = np.concatenate([[0.0], np.cumsum(energy)])
    squares = upto[n - lags] + upto[n] - upto[lags] - 2 * products[lags]
    return lags, np.maximum(squares, 0) / (n - lags) / (2 * energy.mean())


def shortest_lap(lags: np.ndarray, differences: np.ndarray, limit: float) -> int | None:
    """First local minimum of the differences under the limit, in frames.

    The first few lags are alike because sounds last, so a lap must come after unlike ones.
    """
    unlike = np.flatnonzero(differences > max(2 * limit, 0.1))
    if len(unlike) == 0:
        return None
    after = np.flatnonzero(differences[unlike[0] :] < limit) + unlike[0]
    if len(after) == 0:
        return None
    # within the first dip, and laps of a whole number of frames are rare: take its lowest point
    gaps = np.flatnonzero(np.diff(after) > 1)
    dip = after[: gaps[0] + 1] if len(gaps) else after
    return int(lags[dip[differences[dip].argmin()]])


def find_loop(audio: np.ndarray, rate: int, own_limit: float) -> tuple[float, float] | None:
    """Where a loop that lasts to the end starts, and its period, in seconds; None without one.

    Looked for in the last half of the audio, then followed back towards the start.
    """
    limit = min(EXACT_LOOP, own_limit)
    lags, differences = loop_differences(audio[len(audio) // 2 :], rate)
    lap = shortest_lap(lags, differences, limit)
    if lap is None:
        return None
    mel = log_mel(audio, rate, bands=20, hop=HOP_SECONDS).astype(np.float64)
    energy = np.square(mel - mel[len(mel) // 2 :].mean(axis=0)).sum(axis=1)
    usual = energy[len(mel) // 2 :].mean()
    squares = np.square(mel[lap:] - mel[:-lap]).sum(axis=1) / (2 * usual)
    smooth = max(1, round(0.5 / HOP_SECONDS))
    averaged = np.convolve(squares, np.ones(smooth) / smooth, mode="same")
    unlike = np.flatnonzero(averaged > 4 * limit)
    start = int(unlike[-1]) + 1 if len(unlike) else 0
    return start * HOP_SECONDS, lap * HOP_SECONDS


def own_loop_difference(parts: list[np.ndarray], rate: int) -> float:
    """The least difference at any lap within each part (10 s or so), at its 5 % quantile.

    A piece built on an exact loop has next to 0 here, and is then never said to loop.
    """
    return float(np.quantile([_least(part, rate) for part in parts], 0.05))


def _least(part: np.ndarray, rate: int) -> float:
    _, differences = loop_differences(part, rate)
    unlike = np.flatnonzero(differences > 0.2)
    return float(differences[unlike[0] :].min()) if len(unlike) else 1.0
