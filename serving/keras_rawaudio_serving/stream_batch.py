"""Streams that begin and end at any time, advanced together in one run of the graph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .control_values import ControlValues
from .generator import Generator
from .metadata import MUSIC, TEMPERATURE, Metadata
from .music import random_music
from .noise import Noise


class Stream:
    """One stream of a `StreamBatch`: its state, its noise and its controls.

    Args:
        metadata: of the exported file.
        random_seed: the same seed gives the audio that a `Sampler` of one stream gives.
    """

    def __init__(self, metadata: Metadata, random_seed: int) -> None:
        self.noise = Noise(random_seed, 1)
        self.states = {s.name: np.full(s.shape, s.initial, np.float32) for s in metadata.states}
        if metadata.labels:
            (self.states[MUSIC],) = random_music(metadata.labels, random_seed, 1)
        self.temperature = TEMPERATURE.default
        self.late = metadata.delay  # samples still to come that belong to what was read before
        self._values = ControlValues(metadata, 1)

    def set_control(self, name: str, value: float) -> None:
        """Turn a control; it holds from the next block on.

        Raises:
            ServingError: no such control, or a value out of its range.
        """
        checked = self._values.check(name, [value])
        if name == TEMPERATURE.name:
            self.temperature = float(checked[0])
            return
        self._values.set(name, checked)
        for state, (row,) in self._values.states():
            self.states[state] = row.copy()


class StreamBatch:
    """An exported generator, and streams of it that share each run of the graph.

    One run for many streams costs much less than a run for each.

    Args:
        path: the ONNX file.
        threads: processor threads of a run.

    Attributes:
        metadata: of the file.

    Raises:
        ServingError: as `Sampler`.

    Example:
        >>> batch = StreamBatch("generator.onnx")                    # doctest: +SKIP
        >>> first, second = batch.open(7), batch.open(8)             # doctest: +SKIP
        >>> audio = batch.advance([first, second], 4000)             # doctest: +SKIP
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        self._generator = Generator(Path(path), 1, "cpu", threads)
        self.metadata = self._generator.metadata
        # What a caller sets comes back unchanged, and may have been set anew meanwhile.
        self._settable = {MUSIC, *(control.name for control in self.metadata.controls)}

    def open(self, random_seed: int) -> Stream:
        """A new stream."""
        return Stream(self.metadata, random_seed)

    def advance(self, streams: Sequence[Stream], samples: int) -> list[np.ndarray]:
        """Generate the next samples of some streams.

        Args:
            streams: of this batch, one or more.
            samples: of each, rounded up to whole frames.

        Returns:
            For each, float32 (samples,) or (samples, channels); less at a stream's start, by the
            file's delay.

        Raises:
            ServingError: the graph fails, or gives NaN.
        """
        samples = -(-samples // self.metadata.frame) * self.metadata.frame
        per_sample, channels = self.metadata.noise_per_sample, self.metadata.channels
        last = (channels,) if channels > 1 else ()
        states = {n: np.stack([s.states[n] for s in streams]) for n in streams[0].states}
        noise = np.concatenate([stream.noise.draw(samples, per_sample) for stream in streams])
        temperature = np.array([stream.temperature for stream in streams], np.float32)
        forced = np.zeros((len(streams), 0, *last), np.float32)
        audio, after = self._generator.step(states, forced, noise, temperature)
        made = []
        for row, stream in enumerate(streams):
            for name in states.keys() - self._settable:
                stream.states[name] = after[name][row]
            late, stream.late = stream.late, max(0, stream.late - samples)
            made.append(audio[row, late:])
        return made
