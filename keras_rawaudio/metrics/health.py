"""Health of each second against the piece's own: level, offset, clipping, flatness, change."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from keras_rawaudio.dsp.spectra import magnitudes, mono
from keras_rawaudio.errors import UserError

FRAME_SECONDS = 0.064
SILENCE_DECIBELS = -80.0
LOUDER_DECIBELS = 3.0
OFFSET_MARGIN = 0.01  # of full scale, over what the piece has
CLIPPED_MARGIN = 1e-3  # of the samples
CLIPPED_RUN = 3  # samples in a row at the top make a flat one
STEP = 1 / 32768


@dataclass(frozen=True)
class Health:
    """One value per second of each; all `(seconds,)` float64."""

    level: np.ndarray
    flatness: np.ndarray
    change: np.ndarray
    offset: np.ndarray
    clipped: np.ndarray


def health(audio: np.ndarray, rate: int) -> Health:
    """Level, flatness, change, offset and clipping of each second.

    Formulas, over frames of 64 ms (Hann window, no overlap):
        level: RMS of the second in dB of full scale, -120 at least.
        flatness: geometric mean over arithmetic mean of the power spectrum (0 to 1), mean over the
            second's frames; 0 in digital silence. White noise has 0.56 (e to the minus Euler's
            constant), a tone next to nothing. Source: Johnston 1988, Wiener entropy.
        change: half the sum of absolute differences of successive magnitude spectra, each divided
            by its sum (0 to 1), mean over the second's frames; 0 for a steady tone or silence, 0.3
            for white noise, 1 when nothing stays.
        offset: mean of the samples (DC), in full scale; 0 for anything that swings about zero.
        clipped: share of samples in flat tops, see `flat_tops`.

    How they fail: level knows no loudness; flatness calls low-passed noise tonal (see `prominence`)
    and a click flat; change calls noise lively; a bass note under a hertz is an offset.

    Args:
        audio: mono `(n,)`; a last second shorter than half is left out, unless it is the only one.
        rate: samples per second.

    Returns:
        Each of them per second.

    Example:
        >>> sine = np.sin(2 * np.pi * 100 * np.arange(16000) / 8000)
        >>> health(sine, 8000).level.round(2).tolist()  # dB
        [-3.01, -3.01]
    """
    values = mono(audio)
    seconds = max(1, round(len(values) / rate))
    size = max(16, round(FRAME_SECONDS * rate))
    levels, flatnesses, changes, offsets, clipped = [], [], [], [], []
    flat = flat_tops(values)
    for second in range(seconds):
        part = values[second * rate : (second + 1) * rate]
        offsets.append(float(part.mean(dtype=np.float64)))
        clipped.append(float(flat[second * rate : (second + 1) * rate].mean()))
        level = 10 * np.log10(np.mean(np.square(part, dtype=np.float64)) + 1e-12)
        spectra = np.concatenate(list(magnitudes(part, size, size)))
        levels.append(level)
        if level < SILENCE_DECIBELS:
            flatnesses.append(0.0)
            changes.append(0.0)
            continue
        power = spectra[:, 1:-1] ** 2 + 1e-14
        flatnesses.append(float((np.exp(np.log(power).mean(1)) / power.mean(1)).mean()))
        shape = spectra / (spectra.sum(axis=1, keepdims=True) + 1e-9)
        steps = np.abs(np.diff(shape, axis=0)).sum(axis=1) / 2
        changes.append(float(steps.mean()) if len(steps) else 0.0)
    return Health(*map(np.array, (levels, flatnesses, changes, offsets, clipped)))


def flat_tops(audio: np.ndarray) -> np.ndarray:
    """Which samples are clipped: three or more in a row at the greatest size that occurs.

    Formula: |x| within a 16-bit step of its greatest value, for three samples in a row at least.
    The greatest value, not full scale, since a codec may clip at the piece's own peak.

    Known answers: none of noise or silence; all of a square wave; `1 - 2 asin(1 / a) / pi` of a
    sine of amplitude `a` that is cut at 1.

    How it fails: clipping that was filtered or turned into MP3 since is not flat any more; the
    crest of a very low pure tone (under a 300th of the rate) is.

    Args:
        audio: mono float `(n,)`.

    Returns:
        `(n,)` bool.

    Example:
        >>> flat_tops(np.array([0.0, 0.5, 0.5, 0.5, 0.2])).tolist()
        [False, True, True, True, False]
    """
    size = np.abs(audio)
    if size.max() < 2 * STEP:
        return np.zeros(len(audio), bool)
    top = np.concatenate([[0], (size >= size.max() - STEP).astype(np.int8), [0]])
    turns = np.diff(top)
    flat = np.zeros(len(audio) + 1, np.int8)
    begins, ends = np.flatnonzero(turns == 1), np.flatnonzero(turns == -1)
    lasting = ends - begins >= CLIPPED_RUN
    flat[begins[lasting]] = 1
    flat[ends[lasting]] = -1
    return np.asarray(np.cumsum(flat)[:-1] > 0)


def join(parts: Iterable[Health]) -> Health:
    """The seconds of several stretches, one after the other."""
    listed = list(parts)
    names = [field.name for field in fields(Health)]
    return Health(*(np.concatenate([getattr(p, name) for p in listed]) for name in names))


def thresholds(train: Health) -> dict[str, float]:
    """What counts as ill, from the train part's own seconds.

    Returns:
        `quietest`: level that 1 % of its seconds lie under; `loudest`: level that 1 % lie over,
        plus 3 dB; `flattest`: flatness that 1 % lie over; `least_change`: change that 1 % lie
        under (these two leave out its silent seconds); `largest_offset`, `most_clipped`: what 1 %
        lie over, plus 0.01 of full scale and one sample in a thousand.

    Raises:
        UserError: all of the train part is silent.
    """
    sounding = train.level > SILENCE_DECIBELS
    if not sounding.any():
        raise UserError("the train part is silent; there is nothing to compare with")
    return {
        "quietest": float(np.quantile(train.level, 0.01)),
        "loudest": float(np.quantile(train.level, 0.99)) + LOUDER_DECIBELS,
        "flattest": float(np.quantile(train.flatness[sounding], 0.99)),
        "least_change": float(np.quantile(train.change[sounding], 0.01)),
        "largest_offset": float(np.quantile(np.abs(train.offset), 0.99)) + OFFSET_MARGIN,
        "most_clipped": float(np.quantile(train.clipped, 0.99)) + CLIPPED_MARGIN,
    }


def ill_seconds(seconds: Health, limits: dict[str, float]) -> dict[str, np.ndarray]:
    """Which seconds are `dead`, `loud`, `noisy`, ...

    Args:
        seconds: of some audio.
        limits: from `thresholds`.

    Returns:
        For each kind `(seconds,)` bool.

    Example:
        >>> sine = np.sin(2 * np.pi * 100 * np.arange(16000) / 8000)
        >>> quiet = np.concatenate([sine, 0.1 * sine])
        >>> ill_seconds(health(quiet, 8000), thresholds(health(sine, 8000)))["dead"].tolist()
        [False, False, True, True]
    """
    return {
        "dead": seconds.level < limits["quietest"],
        "loud": seconds.level > limits["loudest"],
        "noisy": seconds.flatness > limits["flattest"],
        "stuck": seconds.change < limits["least_change"],
        "offset": np.abs(seconds.offset) > limits["largest_offset"],
        "clipped": seconds.clipped > limits["most_clipped"],
    }


def shares(seconds: Health, limits: dict[str, float]) -> dict[str, float]:
    """`dead_share`, `loud_share`, `noisy_share`, ...: part of the seconds that are so.

    At most about 0.01 each on the train part itself, by construction; its silent seconds are stuck
    besides.
    """
    return {f"{name}_share": float(v.mean()) for name, v in ill_seconds(seconds, limits).items()}
