"""The sampler: new audio from an exported generator, block by block."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .audio import seed_of_streams
from .control_values import ControlValues
from .errors import ServingError
from .generator import Generator, States
from .metadata import MAX_SECONDS, MAX_STREAMS, MUSIC, TEMPERATURE, Metadata
from .music import random_music
from .noise import Noise

DEFAULT_BLOCK_SECONDS = 0.5
FIRST_BLOCK_SECONDS = 0.1
# One block in so many is scored: it is read again, which takes about half as long as drawing it.
SCORED_BLOCKS = 4


class Sampler:
    """Generates audio with an exported model, in one or more independent streams.

    The state goes on from call to call: many short calls give the same samples as one long one.

    Args:
        path: the ONNX file.
        streams: how many independent streams.
        temperature: of sampling, 0.1 to 2, one value or one per stream; 1 is the model as trained,
            less is calmer. May be changed between blocks through the attribute of the same name.
        controls: values of the file's other controls by name, see `set_control`.
        music: of a file that was trained on several, which one: a name, or weights such as
            `night=0.7,day=0.3`; one for all streams, or one per stream. Default: one at random for
            each stream, by its share of the train part; after `prime`, what the seed leads to.
        random_seed: same seed, same audio, bit for bit (same file, settings and machine); stream i
            has a sequence of its own, the same however many there are. Default: a fresh one.
        provider: "cpu", "cuda", or "auto": CUDA where it is available and faster, from 16
            streams per thread on.
        threads: processor threads; several streams are divided between them.
        score: whether to compute the likelihood of generated audio, see `bits`.

    Attributes:
        metadata: of the file.
        sample_rate, frame, channels: from the metadata.
        controls: what may be turned, by name.
        random_seed, streams, provider: as in use.

    Raises:
        ServingError: no such file, not ONNX, not ours, an unknown format version, bad arguments.

    Example:
        >>> sampler = Sampler.load("generator.onnx", streams=2, random_seed=7)  # doctest: +SKIP
        >>> sampler.prime(seed_audio)                                           # doctest: +SKIP
        >>> for block in sampler.stream(seconds=30):                            # doctest: +SKIP
        ...     play(block)  # float32 (streams, samples[, channels]), not clipped
    """

    _left: np.ndarray  # generated, not yet given out: less than a block
    _late: int  # samples at the start that belong to what was read

    def __init__(
        self,
        path: str | Path,
        *,
        streams: int = 1,
        temperature: float | Sequence[float] = 1.0,
        controls: Mapping[str, float] | None = None,
        music: Sequence[str] | None = None,
        random_seed: int | None = None,
        provider: str = "auto",
        threads: int = 1,
        score: bool = False,
    ) -> None:
        for name, count, most in (("streams", streams, MAX_STREAMS), ("threads", threads, 1024)):
            if not 1 <= count <= most:
                raise ServingError(f"{name} is {count}: it must be from 1 to {most}")
        if random_seed is not None and random_seed < 0:
            raise ServingError(f"the random seed is {random_seed}: it must be 0 or more")
        self.streams = streams
        self.temperature = temperature
        self._generator = Generator(Path(path), streams, provider, threads)
        self.provider = self._generator.provider
        self.metadata: Metadata = self._generator.metadata
        self.sample_rate = self.metadata.sample_rate
        self.frame = self.metadata.frame
        self.channels = self.metadata.channels
        self._scores = score and self._generator.scores
        self.random_seed = secrets.randbits(32) if random_seed is None else random_seed
        self._noise = Noise(self.random_seed, streams)
        self._control_values = ControlValues(self.metadata, streams, music)
        self.controls = self._control_values.known
        self._reset_state()
        for name, value in (controls or {}).items():
            self.set_control(name, [value])

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> "Sampler":
        """Open an exported generator; the same arguments as the class."""
        return cls(path, **options)

    @property
    def temperature(self) -> np.ndarray:
        """float32 (streams,); set one value for all, or one per stream."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float | Sequence[float] | np.ndarray) -> None:
        values = np.atleast_1d(np.asarray(value, float))
        if values.ndim != 1 or len(values) not in (1, self.streams):
            raise ServingError(
                f"{values.size} temperatures for {self.streams} streams: give one or one per stream"
            )
        TEMPERATURE.check(values)
        self._temperature = np.array(np.broadcast_to(values, (self.streams,)), np.float32)

    @property
    def music(self) -> np.ndarray | None:
        """float32 (streams, labels), the weights of the music that was named; None: unnamed."""
        return self._control_values.music

    def check_control(self, name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
        """Float32 (streams,) of one value for all streams, or one per stream.

        Raises:
            ServingError: no such control, a wrong number of values, or one out of range.
        """
        return self._control_values.check(name, values)

    def control(self, name: str) -> np.ndarray:
        """float32 (streams,): what a control of the file is set to."""
        return self.temperature if name == TEMPERATURE.name else self._control_values.get(name)

    def set_control(self, name: str, values: Sequence[float] | np.ndarray) -> None:
        """Turn a control; it holds from the next block on, and through `reset`.

        Raises: as `check_control`.
        """
        checked = self.check_control(name, values)
        if name == TEMPERATURE.name:
            self._temperature = checked
            return
        self._control_values.set(name, checked)
        for state, value in self._control_values.states():
            self._generator.set_state(state, value)

    @property
    def bits(self) -> np.ndarray | None:
        """float64 (streams,): negative log-likelihood in bits per sample at temperature 1, so far.

        From every fourth block. None without `score`, or where the file has no likelihood.
        """
        return self._bits / self._scored if self._scores and self._scored else None

    def reset(self, random_seed: int | None = None) -> None:
        """Back to the beginning: fresh state, and the noise again from its start.

        Args:
            random_seed: a new one; by default the one in use.
        """
        self.random_seed = self.random_seed if random_seed is None else random_seed
        self._noise = Noise(self.random_seed, self.streams)
        self._reset_state()

    def prime(self, audio: np.ndarray) -> None:
        """Start from a fresh state and read a seed, none of which is given out.

        Args:
            audio: float in [-1, 1] at the model's rate (`read_seed` and `resample` bring it there):
                (samples,) for all streams and channels. Of a mono model also (streams, samples);
                of one with several channels (samples, channels) or (streams, samples, channels).

        Raises:
            ServingError: wrong shape, or NaN.
        """
        audio = seed_of_streams(np.asarray(audio, np.float32), self.streams, self.channels)
        self._reset_state(seeded=True)
        # Forced samples come in whole frames. Zeros go to the left, as in a fresh state's history.
        # The seed's end then meets the first new sample exactly.
        padding = [(0, 0), (-audio.shape[1] % self.frame, 0), (0, 0)][: audio.ndim]
        audio = np.pad(audio, padding)
        step = self._in_frames(DEFAULT_BLOCK_SECONDS)
        for start in range(0, audio.shape[1], step):
            self._advance(audio[:, start : start + step], samples=0)

    def stream(
        self, seconds: float | None = None, block_seconds: float = DEFAULT_BLOCK_SECONDS
    ) -> Iterator[np.ndarray]:
        """New audio, block by block as it is made.

        The first block is short (0.1 s) and later ones grow to the size asked, so that sound starts
        at once and a player never runs dry while the next one is made.

        Args:
            seconds: how long; without end by default. The number of samples is exactly
                round(seconds * sample_rate).
            block_seconds: rounded up to whole frames.

        Yields:
            float32 (streams, samples), or (streams, samples, channels) of a model with several
            channels, as loud as the training audio. Not clipped: some models pass beyond [-1, 1].

        Raises:
            ServingError: seconds or block not above 0; the model gave NaN.
        """
        for name, value in (("seconds", seconds), ("the block", block_seconds)):
            if value is not None and not 0 < value <= MAX_SECONDS:
                raise ServingError(
                    f"{name} is {value:g} s: it must be more than 0 and at most {MAX_SECONDS:g}"
                )
        samples = None if seconds is None else round(seconds * self.sample_rate)
        if samples == 0:
            raise ServingError(
                f"{seconds:g} s is less than one sample at {self.sample_rate} Hz: ask for more"
            )
        return self._stream(samples, self._in_frames(block_seconds))

    def generate(self, seconds: float, block_seconds: float = DEFAULT_BLOCK_SECONDS) -> np.ndarray:
        """New audio, all at once.

        Args:
            seconds: how long.
            block_seconds: length of one run of the graph.

        Returns:
            float32 (streams, round(seconds * sample_rate)), and a last axis for several channels.
        """
        return np.concatenate(list(self.stream(seconds, block_seconds)), axis=1)

    def _stream(self, samples: int | None, block: int) -> Iterator[np.ndarray]:
        size = min(block, self._in_frames(FIRST_BLOCK_SECONDS))
        while samples is None or samples > 0:
            if not self._left.shape[1]:
                whole = size if samples is None else min(size, samples + -samples % self.frame)
                # The first audio comes late: what was read has to sound to its end.
                late, self._late = self._late, 0
                whole += -(-late // self.frame) * self.frame
                self._left = self._advance(self._generator.empty(), whole)[:, late:]
                size = min(block, 2 * size)
            # Whole frames are made; what the caller didn't ask for waits for the next call.
            count = self._left.shape[1] if samples is None else min(samples, self._left.shape[1])
            out, self._left = self._left[:, :count], self._left[:, count:]
            samples = None if samples is None else samples - count
            yield out

    def _in_frames(self, seconds: float) -> int:
        """`seconds` in samples, rounded up to whole frames."""
        return max(1, -(-round(seconds * self.sample_rate) // self.frame)) * self.frame

    def _reset_state(self, seeded: bool = False) -> None:
        self._generator.reset()
        labels = self.metadata.labels
        if labels and not seeded:
            chosen = random_music(labels, self.random_seed, self.streams)
            self._generator.set_state(MUSIC, chosen)
        for name, value in self._control_values.states():
            self._generator.set_state(name, value)
        self._left = self._generator.empty()
        self._late = self.metadata.delay
        self._blocks = self._scored = 0
        self._bits = np.zeros(self.streams)

    def _advance(self, forced: np.ndarray, samples: int) -> np.ndarray:
        """Read `forced`, then generate `samples`; both in whole frames."""
        per_sample = self.metadata.noise_per_sample
        if self.metadata.deterministic:
            noise = np.zeros((self.streams, samples, per_sample), np.float32)
        else:
            noise = self._noise.draw(samples, per_sample)
        before = list(self._generator.states)
        audio = self._generator.advance(forced, noise, self._temperature)
        if self._scores and samples:
            if self._blocks % SCORED_BLOCKS == 0:
                self._score(audio, before)
            self._blocks += 1
        return audio

    def _score(self, audio: np.ndarray, before: States) -> None:
        self._bits += self._generator.score(audio, before, self._temperature)
        self._scored += audio[0].size
