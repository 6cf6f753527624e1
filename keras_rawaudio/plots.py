"""Pictures: spectrograms of real beside generated audio, and learning curves.

Matplotlib by its object interface with the Agg canvas: no window, no global state, any thread.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np

from keras_rawaudio.dsp.spectra import magnitudes, mono
from keras_rawaudio.errors import UserError, one_line

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

    from keras_rawaudio.metrics.over_time import Track

Drawing = TypeVar("Drawing", bound=Callable[..., None])
COLUMNS = 1400  # more are averaged: pictures are not wider
RANGE_DECIBELS = 80.0
ACROSS = 3  # panels of measures side by side
WORDS = {
    "bits_per_sample": "bits per sample",
    "bits_per_code": "bits per code",
    "variance_unexplained": "fraction of variance unexplained",
}


# What training minimises is not always what is measured.
TRAINING = {
    "bits_per_sample": "training",
    "bits_per_code": "training (soft targets)",
    "variance_unexplained": "training (the loss, in its own unit)",
}


def in_default_style(draw: Drawing) -> Drawing:
    """Let a function draw as Matplotlib does by default, whatever a `matplotlibrc` says."""

    @functools.wraps(draw)
    def drawn(*args: Any, **options: Any) -> Any:
        import matplotlib.style

        with matplotlib.style.context("default"):
            return draw(*args, **options)

    return cast(Drawing, drawn)


@in_default_style
def spectrogram_figure(
    panels: Sequence[tuple[str, np.ndarray]],
    rate: int,
    path: str | PathLike[str],
    mark_seconds: float | None = None,
) -> None:
    """Draw waveform and spectrogram of each panel, one under the other, on one scale.

    Levels are in dB of full scale (a sine of amplitude 1 reads 0), over 80 dB down from the loudest
    bin of all panels, under a 64 ms Hann window.

    Args:
        panels: pairs of a title and audio `(n,)` or `(n, channels)`; the mono mix is drawn.
        rate: in Hz, of all panels.
        path: where to write; the ending says the format (PNG without one).
        mark_seconds: where to draw a line, for the end of the seed; None for none.

    Raises:
        UserError: no panels, or bad audio.
        OSError: the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "noise.png"
        >>> noise = np.random.default_rng(0).normal(size=8000) / 10
        >>> spectrogram_figure([("noise", noise)], 8000, path, mark_seconds=0.5)
        >>> path.stat().st_size > 1000
        True
    """
    if not panels:
        raise UserError("nothing to draw: give one audio or more")
    figure = new_figure(11, 0.4 + 3.1 * len(panels))
    grid = figure.add_gridspec(2 * len(panels), 1, height_ratios=[1, 4] * len(panels))
    drawn = [(title, mono(audio)) for title, audio in panels]
    images = [spectrogram(audio, rate) for _, audio in drawn]
    top = max(float(image.max()) for image in images)
    shown, spectra_axes = None, []
    for row, ((title, audio), image) in enumerate(zip(drawn, images, strict=True)):
        seconds = len(audio) / rate
        spectrum = figure.add_subplot(grid[2 * row + 1])
        wave = figure.add_subplot(grid[2 * row], sharex=spectrum)
        _waveform(wave, audio, rate)
        wave.set_title(one_line(title), loc="left", fontsize=10, parse_math=False)
        shown = spectrum.imshow(
            image.T,
            origin="lower",
            aspect="auto",
            extent=(0, seconds, 0, rate / 2000),
            vmin=top - RANGE_DECIBELS,
            vmax=top,
            cmap="magma",
            interpolation="nearest",
        )
        spectrum.set(xlim=(0, seconds), ylim=(0, rate / 2000))
        spectrum.set_ylabel("frequency (kHz)")
        if row == len(panels) - 1:
            spectrum.set_xlabel("time (s)")
        if mark_seconds is not None and 0 < mark_seconds < seconds:
            spectrum.axvline(mark_seconds, color="white", linewidth=1.2, linestyle="--")
            wave.axvline(mark_seconds, color="black", linewidth=1.2, linestyle="--")
            spectrum.annotate(
                "seed ends",
                (mark_seconds, 0.97),
                xycoords=("data", "axes fraction"),
                xytext=(4, 0),
                textcoords="offset points",
                va="top",
                color="white",
                fontsize=8,
            )
        spectra_axes.append(spectrum)
    assert shown is not None
    bar = figure.colorbar(shown, ax=spectra_axes, pad=0.01, aspect=30)
    bar.set_label("level (dB of full scale)")
    save_figure(figure, path)


def spectrogram(audio: np.ndarray, rate: int) -> np.ndarray:
    """Levels in dB of full scale, `(columns, bins)`; at most 1400 columns, of mean power.

    Args:
        audio: mono `(n,)`.
        rate: samples per second.
    """
    audio = mono(audio)
    size = max(32, 2 * round(0.032 * rate))
    hop = max(1, size // 4)
    frames = 1 + max(0, len(audio) - size) // hop
    together = math.ceil(frames / COLUMNS)
    columns, rest = [], np.zeros((0, size // 2 + 1))
    for block in magnitudes(np.pad(audio, size // 2), size, hop):
        power = np.concatenate([rest, block**2])
        whole = len(power) // together * together
        columns.append(power[:whole].reshape(-1, together, power.shape[1]).mean(axis=1))
        rest = power[whole:]
    if not any(len(c) for c in columns):
        columns.append(rest.mean(axis=0, keepdims=True))
    levels: np.ndarray = 10 * np.log10(np.concatenate(columns) + 1e-12)
    return levels.astype(np.float32)


@in_default_style
def learning_curve(
    rows: Sequence[Mapping[str, Any]],
    path: str | PathLike[str],
    baselines: Mapping[str, float] | None = None,
) -> None:
    """Draw training and validation against minutes, beside the baselines.

    Args:
        rows: one per validation, as in `log.csv`: `minutes`, `train_loss` (nats or squared error),
            and `bits_per_sample` or `variance_unexplained` of the validation part.
        path: where to write.
        baselines: figures in the unit of the measure, drawn as lines (those far over the curve are
            only listed).

    Raises:
        UserError: no rows, or rows without a measure.
        OSError: the file cannot be written.
    """
    measure = next((name for name in WORDS if rows and name in rows[0]), None)
    if measure is None:
        raise UserError("no learning curve to draw: the log holds no validation yet")
    minutes = np.array([float(row["minutes"]) for row in rows])
    value = np.array([float(row[measure]) for row in rows])
    train = np.array([float(row.get("train_loss", np.nan)) for row in rows])
    if measure.startswith("bits"):
        train = train / math.log(2)
    figure = new_figure(8, 4.5)
    axes = figure.add_subplot()
    alone = "o" if len(rows) == 1 else None
    axes.plot(minutes, train, color="tab:gray", linewidth=1, marker=alone, label=TRAINING[measure])
    axes.plot(minutes, value, color="tab:blue", linewidth=2, marker=alone, label="validation")
    best = int(np.nanargmin(value)) if np.isfinite(value).any() else 0
    axes.plot(minutes[best], value[best], "o", color="tab:blue")
    axes.annotate(
        f"{value[best]:.3f}",
        (minutes[best], value[best]),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        color="tab:blue",
    )
    finite = value[np.isfinite(value)]
    ceiling = 2 * float(finite.max()) if len(finite) else math.inf
    beyond = []
    for number, (name, figure_of_it) in enumerate(sorted((baselines or {}).items())):
        label = one_line(f"{name.replace('_', ' ')}: {figure_of_it:.3g}")
        if figure_of_it > ceiling:
            beyond.append(label)
            continue
        colour = f"C{number % 9 + 1}"
        axes.axhline(figure_of_it, color=colour, linewidth=1, linestyle="--", label=label)
    axes.set_xlabel("minutes of training")
    axes.set_ylabel(WORDS[measure])
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    note = "not shown, above: " + ", ".join(beyond) if beyond else None
    _without_formulas(axes.legend(loc="upper right", fontsize=8, title=note, title_fontsize=7))
    save_figure(figure, path)


@in_default_style
def tracks_figure(
    streams: Sequence[tuple[str, Sequence[Track]]], path: str | PathLike[str]
) -> None:
    """Draw each measure over time in a panel of its own, the piece's own range shaded.

    Args:
        streams: pairs of a name and its tracks; tracks of one name share a panel, and the range of
            the first of them is what is shaded.
        path: where to write.

    Raises:
        UserError: no tracks.
        OSError: the file cannot be written.
    """
    panels: dict[str, list[tuple[str, Track]]] = {}
    for stream, tracks in streams:
        for track in tracks:
            panels.setdefault(track.name, []).append((stream, track))
    if not panels:
        raise UserError("no measures to draw: give one audio or more")
    across = min(ACROSS, len(panels))
    rows = math.ceil(len(panels) / across)
    figure = new_figure(11, 0.5 + 1.9 * rows)
    grid = figure.add_gridspec(rows, across)
    last = max(float(track.seconds[-1]) for lot in panels.values() for _, track in lot)
    lines: dict[str, Any] = {}
    for number, (name, lot) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[divmod(number, across)])
        own = lot[0][1]
        axes.axhspan(own.low, own.high, color="tab:green", alpha=0.15, linewidth=0)
        for stream, track in lot:
            colour = lines[stream].get_color() if stream in lines else f"C{len(lines)}"
            lines[stream] = axes.plot(
                track.seconds, track.values, marker=".", markersize=4, color=colour, linewidth=1.2
            )[0]
        axes.set_title(name, loc="left", fontsize=9)
        axes.tick_params(labelsize=7)
        axes.set_xlim(0, last * 1.05 + 0.5)
        axes.grid(alpha=0.25)
        if number >= len(panels) - across:
            axes.set_xlabel("time (s)", fontsize=8)
    legend = figure.legend(
        list(lines.values()),
        [one_line(name) for name in lines],
        loc="outside upper left",
        ncols=4,
        fontsize=8,
        frameon=False,
    )
    _without_formulas(legend)
    save_figure(figure, path)


def _without_formulas(legend: Legend) -> None:
    """Show `$` in a name as it is: what stands between two of them need not be a formula."""
    for text in (*legend.get_texts(), legend.get_title()):
        text.set_parse_math(False)


def _waveform(axes: Any, audio: np.ndarray, rate: int) -> None:
    """The least and the greatest sample of each column."""
    each = math.ceil(len(audio) / COLUMNS)
    padded = np.pad(audio, (0, -len(audio) % each), mode="edge").reshape(-1, each)
    time = np.arange(len(padded)) * each / rate
    axes.fill_between(time, padded.min(axis=1), padded.max(axis=1), color="tab:blue", step="post")
    peak = max(float(np.abs(audio).max()), 1e-4)
    axes.set(ylim=(-1.05 * peak, 1.05 * peak), ylabel="amplitude")
    axes.tick_params(labelbottom=False, labelsize=7)
    axes.yaxis.label.set_size(7)


def new_figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: str | PathLike[str]) -> None:
    ending = Path(path).suffix.lstrip(".").lower()
    figure.savefig(path, format=ending or "png")
