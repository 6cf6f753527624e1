"""The pictures of an exploration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from keras_rawaudio.analysis.pulsation import PERIODS, Pulsations
from keras_rawaudio.analysis.survey import LEVELS_PER_SECOND, Survey
from keras_rawaudio.analysis.views import WaveformView
from keras_rawaudio.errors import one_line
from keras_rawaudio.plots import (
    COLUMNS,
    RANGE_DECIBELS,
    in_default_style,
    new_figure,
    save_figure,
)

FLOOR = -100.0  # dB; silence has no level


@in_default_style
def waveforms(views: Sequence[WaveformView], sample_rate: int, path: Path) -> None:
    """Waveforms, one under the other, each with its own time and all with one scale."""
    figure = new_figure(11, 0.3 + 1.25 * len(views))
    axes = figure.subplots(len(views), 1, squeeze=False)[:, 0]
    peak = max(max(-float(o.low.min()), float(o.high.max())) for o in views)
    for place, view in zip(axes, views, strict=True):
        length = (view.stop - view.start) / sample_rate
        unit, words = _unit(length)
        edges = np.linspace(0, length / unit, len(view.low) + 1)
        steps = (np.append(values, values[-1]) for values in (view.low, view.high))
        place.fill_between(edges, *steps, color="tab:blue", step="post", linewidth=0.3)
        place.set(xlim=(0, edges[-1]), ylim=(-1.05 * max(peak, 1e-4), 1.05 * max(peak, 1e-4)))
        place.set_title(view.title, loc="left", fontsize=9)
        place.tick_params(labelsize=7)
        place.set_xlabel(words, fontsize=7, labelpad=1)
    save_figure(figure, path)


@in_default_style
def overview(
    found: Survey, spectrogram: np.ndarray, pulsating: Pulsations, title: str, path: Path
) -> None:
    """Spectrogram, level and pulsations per minute, over one time axis."""
    length = found.samples / found.sample_rate
    unit, words = _unit(length)
    figure = new_figure(11, 8)
    spectrum, level, pulses = figure.subplots(3, 1, sharex=True, height_ratios=[3, 2, 1.3])
    top = float(spectrogram.max())
    image = spectrum.imshow(
        spectrogram.T,
        origin="lower",
        aspect="auto",
        extent=(0, length / unit, 0, found.sample_rate / 2000),
        vmin=top - RANGE_DECIBELS,
        vmax=top,
        cmap="magma",
        interpolation="nearest",
    )
    spectrum.set_ylabel("frequency (kHz)")
    spectrum.set_title(one_line(title), loc="left", fontsize=10, parse_math=False)
    figure.colorbar(image, ax=spectrum, pad=0.01).set_label("dB of full scale")

    together = -(-len(found.level) // COLUMNS)
    padded = np.pad(found.level, (0, -len(found.level) % together), mode="edge")
    decibels = 20 * np.log10(padded.reshape(-1, together) + 10 ** (FLOOR / 20))
    time = (np.arange(len(decibels)) + 0.5) * together / LEVELS_PER_SECOND / unit
    level.fill_between(
        time, decibels.min(axis=1), decibels.max(axis=1), color="tab:blue", alpha=0.4, linewidth=0
    )
    level.plot(time, decibels.mean(axis=1), color="tab:blue", linewidth=1)
    level.set(ylabel="level (dB)", ylim=(max(FLOOR, decibels.max() - 80) - 2, decibels.max() + 3))
    spans = [("silent head", 0, found.head), ("fade-out", found.fade, found.end)]
    for name, start, stop in [*spans, ("silent tail", found.end, found.samples)]:
        if stop > start:
            label = f"{name}: {stop - start} samples"
            colour = {"fade-out": "tab:orange"}.get(name, "tab:gray")
            begin, end = (sample / found.sample_rate / unit for sample in (start, stop))
            level.axvspan(begin, end, color=colour, alpha=0.35, linewidth=0, label=label)
    if level.get_legend_handles_labels()[0]:
        level.legend(fontsize=8, loc="lower center")

    points = pulses.scatter(
        pulsating.seconds / unit,
        pulsating.per_minute,
        c=pulsating.strength,
        cmap="viridis",
        vmin=0,
        vmax=1,
        s=14,
    )
    figure.colorbar(points, ax=pulses, pad=0.01).set_label("strength")
    seen = pulsating.per_minute[np.isfinite(pulsating.per_minute)]
    pulses.set(ylabel="pulsations\na minute", xlabel=words, xlim=(0, length / unit))
    pulses.set_ylim(0, 1.2 * float(seen.max()) if len(seen) else 60 / PERIODS[0])
    for place in (level, pulses):
        place.grid(alpha=0.3)
    save_figure(figure, path)


def _unit(seconds: float) -> tuple[float, str]:
    """What a time axis of this length counts: seconds, or minutes."""
    return (1.0, "time (s)") if seconds <= 120 else (60.0, "time (min)")
