"""Views of a piece for its pictures, built block by block: waveforms and a spectrogram."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.dsp.spectra import magnitudes
from keras_rawaudio.plots import COLUMNS

ZOOMS = (1, 5, 10, 30, 60, 120, 300)  # seconds
MINUTES = {1: "first", 2: "2nd", 35: "35th", 100: "100th"}
FRAME_SECONDS = 0.064


class WaveformView:
    """The peaks of a waveform: the least and the greatest sample of each column of its picture.

    Args:
        title: over the picture.
        start: the first sample shown.
        stop: the sample after the last.
    """

    def __init__(self, title: str, start: int, stop: int) -> None:
        self.title, self.start, self.stop = title, start, stop
        columns = min(COLUMNS, stop - start)
        self._edges = start + np.arange(columns + 1) * (stop - start) // columns
        self.low = np.full(columns, np.inf)
        self.high = np.full(columns, -np.inf)

    def add(self, position: int, block: np.ndarray) -> None:
        """Add a block whose first sample is the piece's sample `position`."""
        begin, end = max(position, self.start), min(position + len(block), self.stop)
        if begin >= end:
            return
        first = int(np.searchsorted(self._edges, begin, "right")) - 1
        last = int(np.searchsorted(self._edges, end, "left"))
        at = np.maximum(self._edges[first:last], begin) - position
        seen, columns = block[: end - position], slice(first, last)
        self.low[columns] = np.minimum(self.low[columns], np.minimum.reduceat(seen, at))
        self.high[columns] = np.maximum(self.high[columns], np.maximum.reduceat(seen, at))


class SpectrogramView:
    """Mean power of each column and bin, of a piece whose length is known.

    Args:
        samples: of the whole piece.
        sample_rate: in Hz.
    """

    def __init__(self, samples: int, sample_rate: int) -> None:
        self.size = max(32, 2 * round(FRAME_SECONDS / 2 * sample_rate))
        self.hop = self.size // 2
        self._columns = max(1, min(COLUMNS, samples // self.hop))
        self._samples = samples
        self._power = np.zeros((self._columns, self.size // 2 + 1))
        self._frames = np.zeros(self._columns)
        self._rest = np.zeros(0, np.float32)
        self._next = 0  # the first sample of the next frame

    def add(self, position: int, block: np.ndarray) -> None:
        """Add the next block."""
        audio = np.concatenate([self._rest, block])
        if len(audio) < self.size:
            self._rest = audio
            return
        for part in magnitudes(audio, self.size, self.hop):
            middles = self._next + self.hop * np.arange(len(part)) + self.size // 2
            columns = np.minimum(middles * self._columns // self._samples, self._columns - 1)
            np.add.at(self._power, columns, part**2)
            np.add.at(self._frames, columns, 1)
            self._next += self.hop * len(part)
        self._rest = audio[(1 + (len(audio) - self.size) // self.hop) * self.hop :]

    def decibels(self) -> np.ndarray:
        """Levels in dB of full scale: `(columns, bins)`."""
        seen = self._frames > 0
        power = self._power[seen] / self._frames[seen, None]
        levels: np.ndarray = 10 * np.log10(power + 1e-12) if seen.any() else self._power - 120.0
        return levels.astype(np.float32)


def zooms(start: int, samples: int, sample_rate: int) -> list[WaveformView]:
    """The beginning at 1 s to 5 minutes, as far as the piece goes; at least one."""
    fitting = [s for s in ZOOMS if start + s * sample_rate <= samples]
    if not fitting:
        return [WaveformView("all of it", 0, samples)]
    return [WaveformView(_span(s), start, start + s * sample_rate) for s in fitting]


def chosen_minutes(samples: int, sample_rate: int) -> list[WaveformView]:
    """The 1st, 2nd, 35th, 100th, fifth from the end and last minute, where they exist."""
    length = 60 * sample_rate
    count = -(-samples // length)
    words = {k: name for k, name in MINUTES.items() if k <= count}
    for number, name in ((count - 4, "fifth from the end"), (count, "last")):
        if number > 0:
            words[number] = f"{words[number]}, {name}" if number in words else name
    return [
        WaveformView(f"minute {k} ({words[k]})", (k - 1) * length, min(k * length, samples))
        for k in sorted(words)
    ]


def add_block(
    views: Sequence[WaveformView | SpectrogramView], position: int, block: np.ndarray
) -> None:
    """Add a block to all views."""
    for view in views:
        view.add(position, block)


def _span(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
