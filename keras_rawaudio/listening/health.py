"""Health: level, spectral flatness and spectral change of each second, against the piece's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from keras_rawaudio.errors import UserError
from keras_rawaudio.listening.spectra import magnitudes, mono

FRAME_SECONDS = 0.064
SILENCE_DECIBELS = -80.0
LOUDER_DECIBELS = 3.0


@dataclass(frozen=True)
class Health:
    """One value a second of each; all `(seconds,)` float64."""

    level: np.ndarray
    flatness: np.ndarray
    change: np.ndarray


def health(audio: np.ndarray, rate: int) -> Health:
    """Level, flatness and change of each second.

    Formulas, over frames of 64 ms (Hann window, no overlap):
        level: RMS of the second in dB of full scale, -120 at least.
        flatness: geometric mean over arithmetic mean of the power spectrum (0 to 1), mean over the
            second's frames; 0 in digital silence. White noise has 0.56 (e to the minus Euler's
            constant), a tone next to nothing. Source: Johnston 1988, Wiener entropy.
        change: half the sum of absolute differences of successive magnitude spectra, each divided
            by its sum (0 to 1), mean over the second's frames; 0 for a steady tone or silence, 0.3
            for white noise, 1 when nothing stays.

    How they fail: level knows no loudness; flatness calls low-passed noise tonal (see `prominence`)
    and a click flat; change calls noise lively.

    Args:
        audio: mono `(n,)`; a last second shorter than half is left out, unless it is the only one.
        rate: samples a second.
    """
    values = mono(audio)
    seconds = max(1, round(len(values) / rate))
    size = max(16, round(FRAME_SECONDS * rate))
    levels, flatnesses, changes = [], [], []
    for second in range(seconds):
        part = values[second * rate : (second + 1) * rate]
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
    return Health(np.array(levels), np.array(flatnesses), np.array(changes))


def join(parts: Iterable[Health]) -> Health:
    """The seconds of several stretches, one after the other."""
    listed = list(parts)
    return Health(
        np.concatenate([p.level for p in listed]),
        np.concatenate([p.flatness for p in listed]),
        np.concatenate([p.change for p in listed]),
    )


def thresholds(train: Health) -> dict[str, float]:
    """What counts as ill, from the train part's own seconds.

    Returns:
        `quietest`: level that 1 % of its seconds lie under; `loudest`: level that 1 % lie over,
        plus 3 dB; `flattest`: flatness that 1 % lie over; `least_change`: change that 1 % lie
        under. The last two leave out its silent seconds.

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
    }


def ill_seconds(seconds: Health, limits: dict[str, float]) -> dict[str, np.ndarray]:
    """Which seconds are `dead`, `loud`, `noisy` or `stuck`: bool `(seconds,)` each."""
    return {
        "dead": seconds.level < limits["quietest"],
        "loud": seconds.level > limits["loudest"],
        "noisy": seconds.flatness > limits["flattest"],
        "stuck": seconds.change < limits["least_change"],
    }


def shares(seconds: Health, limits: dict[str, float]) -> dict[str, float]:
    """`dead_share`, `loud_share`, `noisy_share`, `stuck_share`: part of the seconds that are so.

    About 0.01 each on the train part itself, by construction.
    """
    return {f"{name}_share": float(v.mean()) for name, v in ill_seconds(seconds, limits).items()}
