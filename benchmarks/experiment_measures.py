"""What is measured of audio that a system of an experiment plays by itself."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.ndimage import median_filter
from scipy.signal import correlate, find_peaks

from keras_rawaudio.data.corpus import Corpus
from keras_rawaudio.metrics.beat_strength import beat_strength
from keras_rawaudio.metrics.collapse import verdict
from keras_rawaudio.metrics.reference import Reference
from keras_rawaudio.metrics.tonal_prominence import tonal_prominence

POSITIONS = 4  # in the validation part, where free running begins
PROMPT_SECONDS, GENERATED_SECONDS = 1, 20
MOMENTS = (1, 5, 20)  # the second that ends here is measured
LINES = 10  # of a prompt
PROMINENCE = 10.0  # of a line: power over the median about it
WIDTH = 101  # Hz about a line
TOLERANCE = 5  # Hz between a line and its match


def mean_figures(
    streams: np.ndarray, prompts: np.ndarray, rate: int, reference: Reference
) -> dict[str, float]:
    """Figures of streams, as means over them.

    Args:
        streams: `(POSITIONS, samples)` audio.
        prompts: `(POSITIONS, samples)`, a second or more that came before.
        rate: in Hz.
        reference: what the piece itself scores.

    Returns:
        Tone, level and the share of the prompt's lines at `MOMENTS`; beat; repetition; for how long
        all is well, and what goes wrong: shares of the streams.
    """
    rows = []
    for audio, prompt in zip(streams, prompts, strict=True):
        row: dict[str, float] = {}
        for end in MOMENTS:
            second = audio[(end - 1) * rate : end * rate]
            power = float(np.mean(np.square(second, dtype=np.float64)))
            row[f"tone_{end}"] = tonal_prominence(second, rate)
            row[f"level_{end}"] = 10 * np.log10(power + 1e-12)
            row[f"lines_{end}"] = lines_kept(prompt[-rate:], second, rate)
        row["beat"] = beat_strength(audio, rate)
        row["repetition"] = repetition(audio, rate)
        found = verdict(audio, rate, reference)
        row["healthy"] = float(found.healthy)
        row["good_seconds"] = GENERATED_SECONDS if found.start is None else found.start
        for kind in ("silence", "noise", "one endless tone", "loops", "bursts"):
            row[kind] = float(found.kind == kind)
        rows.append(row)
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def lines(second: np.ndarray, rate: int) -> np.ndarray:
    """Spectral lines of a second of audio, in Hz, the strongest first."""
    power = np.square(np.abs(np.fft.rfft(second * np.hanning(len(second)), rate)))
    power[:20] = 0.0  # too low to be a note
    peaks, _ = find_peaks(power, distance=10)
    median = median_filter(power, WIDTH)
    peaks = peaks[power[peaks] > PROMINENCE * median[peaks]]
    return peaks[np.argsort(-power[peaks])]


def lines_kept(prompt: np.ndarray, second: np.ndarray, rate: int) -> float:
    """Share of the prompt's strongest lines that another second of audio has.

    Example:
        >>> time = np.arange(8000) / 8000
        >>> chord = sum(np.sin(2 * np.pi * f * time) for f in (200, 400, 600, 800))
        >>> lines_kept(chord, np.sin(2 * np.pi * 402 * time), 8000)
        0.25
    """
    given, found = lines(prompt, rate)[:LINES], lines(second, rate)
    if not len(given) or not len(found):
        return 0.0
    nearest = np.abs(given[:, None] - found[None]).min(axis=1)
    return float(np.mean(nearest <= TOLERANCE))


def repetition(audio: np.ndarray, rate: int) -> float:
    """How nearly the last second is the same as one that ended 1/32 to 1 s before: 1 if exactly.

    What is stuck in a fixed point or a short cycle repeats itself, be it loud or soft.

    Example:
        >>> lap = np.random.default_rng(0).normal(size=250)
        >>> round(repetition(np.tile(lap, 80), 8000), 6)
        1.0
    """
    two = audio[-2 * rate :].astype(np.float64)
    earlier, last = two[: -(rate // 32)], two[rate:]
    upto = np.concatenate([[0.0], np.cumsum(np.square(earlier))])
    energy = upto[rate:] - upto[:-rate] + np.sum(np.square(last))
    return float(np.max(2 * correlate(earlier, last, mode="valid") / (energy + 1e-12)))


def seam(audio: np.ndarray, frame: int) -> float:
    """How much larger the steps of a waveform are where frames meet, in dB of power.

    Example:
        >>> seam(np.array([0.0, 1.0, 0.0, 1.0, 2.0, 1.0]), 3)
        0.0
        >>> seam(np.array([0.0, 1.0, 0.0, 10.0, 9.0, 10.0]), 3)
        20.0
    """
    steps = np.square(np.diff(audio.astype(np.float64)))
    between = np.arange(1, len(audio)) % frame == 0
    here, elsewhere = (np.mean(steps[where]) + 1e-12 for where in (between, ~between))
    return round(float(10 * np.log10(here / elsewhere)), 6)


def spread(corpus: Corpus, part: str, length: int) -> np.ndarray:
    """Stretches of a part: `(POSITIONS, length)` float32, evenly spread."""
    whole = max(corpus.segments(part), key=len).astype(np.float32) / 32768
    begins = np.linspace(0, len(whole) - length, POSITIONS).astype(int)
    return np.stack([whole[begin : begin + length] for begin in begins])


def measure_piece(corpus: Corpus) -> dict[str, float]:
    """The same figures of the train part itself, in as many stretches of the same length."""
    rate = corpus.sample_rate
    prompt = PROMPT_SECONDS * rate
    both = spread(corpus, "train", prompt + GENERATED_SECONDS * rate)
    return mean_figures(both[:, prompt:], both[:, :prompt], rate, reference_of(corpus))


@cache
def reference_of(corpus: Corpus) -> Reference:
    """What the piece itself scores."""
    return Reference.from_segments(corpus.segments("train"), [], corpus.sample_rate)
