"""The sampler: an exported generator, its state and its noise."""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ServingError
from .metadata import Metadata, parse_metadata
from .noise import Noise

DEFAULT_BLOCK_SECONDS = 0.5
FIRST_BLOCK_SECONDS = 0.1
# A recurrent step is too small for a GPU until many streams share it.
CUDA_STREAMS = 64
# One block in so many is scored: it is read again, which takes about half as long as drawing it.
SCORED_BLOCKS = 4


class Sampler:
    """Plays a generator that keras-rawaudio exported, on one or more independent streams.

    The state goes on from call to call: many short calls give the same samples as one long one.

    Args:
        path: the ONNX file.
        streams: how many independent streams.
        temperature: of the draws, one value or one a stream; 1 is the model as trained, less is
            calmer. May be changed between blocks through the attribute of the same name.
        random_seed: same seed, same audio, bit for bit (same file, settings and machine); stream i
            has a sequence of its own, the same however many there are. Default: a fresh one.
        provider: "cpu", "cuda", or "auto": CUDA only where it is there and pays (64 streams).
        threads: processor threads; several streams are divided between them.
        score: whether to find out how likely the model holds what it draws, see `bits`.

    Attributes:
        metadata: what the file says about itself.
        sample_rate, frame: from the metadata.
        random_seed, streams, provider: as in use.

    Raises:
        ServingError: no such file, not ONNX, not ours, an unknown format version, bad arguments.

    Example:
        >>> sampler = Sampler.load("generator.onnx", streams=2, random_seed=7)  # doctest: +SKIP
        >>> sampler.prime(seed_audio)                                           # doctest: +SKIP
        >>> for block in sampler.stream(seconds=30):                            # doctest: +SKIP
        ...     play(block)  # float32 (streams, samples) in [-1, 1]
    """

    _left: np.ndarray  # made, not yet given out: (streams, less than a block)

    def __init__(
        self,
        path: str | Path,
        *,
        streams: int = 1,
        temperature: float | Sequence[float] = 1.0,
        random_seed: int | None = None,
        provider: str = "auto",
        threads: int = 1,
        score: bool = False,
    ) -> None:
        if streams < 1:
            raise ServingError(f"streams is {streams}: it must be 1 or more")
        if threads < 1:
            raise ServingError(f"threads is {threads}: it must be 1 or more")
        if random_seed is not None and random_seed < 0:
            raise ServingError(f"the random seed is {random_seed}: it must be 0 or more")
        self.streams = streams
        self.temperature = temperature
        # Streams are independent, so threads divide the batch: a step is too small to be divided.
        groups = min(threads, streams)
        edges = np.linspace(0, streams, groups + 1).astype(int)
        self._groups = [slice(a, b) for a, b in pairwise(edges)]
        self._pool = ThreadPoolExecutor(groups) if groups > 1 else None
        self._session = _open_session(Path(path), provider, streams, max(1, threads // groups))
        self.provider = "cuda" if "CUDA" in self._session.get_providers()[0] else "cpu"
        properties = self._session.get_modelmeta().custom_metadata_map
        self.metadata: Metadata = parse_metadata(properties, str(path))
        self.sample_rate = self.metadata.sample_rate
        self.frame = self.metadata.frame
        self._inputs = {i.name for i in self._session.get_inputs()}
        self._scores = score and "bits" in {o.name for o in self._session.get_outputs()}
        self._outputs = ["audio", *(f"{s.name}_next" for s in self.metadata.states)]
        missing = {"forced", "noise", *(s.name for s in self.metadata.states)} - self._inputs
        missing |= set(self._outputs) - {o.name for o in self._session.get_outputs()}
        if missing:
            raise ServingError(f"{path} lacks {', '.join(sorted(missing))}: export it again")
        self.random_seed = secrets.randbits(32) if random_seed is None else random_seed
        self._noise = Noise(self.random_seed, streams)
        self._fresh_state()

    @classmethod
    def load(cls, path: str | Path, **options: Any) -> "Sampler":
        """Open an exported generator; the same arguments as the class."""
        return cls(path, **options)

    @property
    def temperature(self) -> np.ndarray:
        """float32 (streams,); set one value for all, or one a stream."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float | Sequence[float] | np.ndarray) -> None:
        values = np.atleast_1d(np.asarray(value, np.float32))
        if values.ndim != 1 or len(values) not in (1, self.streams):
            raise ServingError(
                f"{values.size} temperatures for {self.streams} streams: give one, or one a stream"
            )
        for one in values:
            if not (np.isfinite(one) and one > 0):
                raise ServingError(f"temperature is {one:g}: it must be more than 0")
        self._temperature = np.array(np.broadcast_to(values, (self.streams,)))

    @property
    def bits(self) -> np.ndarray | None:
        """float64 (streams,): bits that a sample cost the model at temperature 1, so far.

        From every fourth block. None without `score`, or where the file cannot say: fewer bits are
        likelier audio.
        """
        return self._bits / self._scored if self._scores and self._scored else None

    def reset(self, random_seed: int | None = None) -> None:
        """Back to the beginning: fresh state, and the noise again from its start.

        Args:
            random_seed: a new one; by default the one in use.
        """
        self.random_seed = self.random_seed if random_seed is None else random_seed
        self._noise = Noise(self.random_seed, self.streams)
        self._fresh_state()

    def prime(self, audio: np.ndarray) -> None:
        """Set a fresh state and read a seed: all of it, and none of it is ever given out.

        Args:
            audio: float (samples,) for all streams or (streams, samples), in [-1, 1], at the
                model's rate (`read_seed` and `resample` bring it there).

        Raises:
            ServingError: wrong shape, or NaN.
        """
        audio = np.asarray(audio, np.float32)
        if audio.ndim not in (1, 2) or (audio.ndim == 2 and len(audio) != self.streams):
            raise ServingError(
                f"a seed of shape {audio.shape} for {self.streams} streams: give (samples,) or "
                f"({self.streams}, samples)"
            )
        if not np.isfinite(audio).all():
            raise ServingError("the seed holds NaN or infinite samples")
        self._fresh_state()
        # Forced samples come in whole frames. The zeros go to the left, where they are what a fresh
        # stream has heard so far anyway; the seed's end then meets the first new sample exactly.
        audio = np.broadcast_to(audio, (self.streams, audio.shape[-1]))
        audio = np.pad(audio, ((0, 0), (-audio.shape[-1] % self.frame, 0)))
        step = self._in_frames(DEFAULT_BLOCK_SECONDS)
        for start in range(0, audio.shape[-1], step):
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
            float32 (streams, samples) in the units of the training audio (nominally [-1, 1]).

        Raises:
            ServingError: seconds or block not above 0; the model gave NaN.
        """
        if seconds is not None and not (np.isfinite(seconds) and seconds > 0):
            raise ServingError(f"seconds is {seconds:g}: it must be more than 0")
        if not (np.isfinite(block_seconds) and block_seconds > 0):
            raise ServingError(f"the block is {block_seconds:g} s: it must be more than 0")
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
            block_seconds: what one run of the graph makes.

        Returns:
            float32 (streams, round(seconds * sample_rate)).
        """
        return np.concatenate(list(self.stream(seconds, block_seconds)), axis=1)

    def _stream(self, samples: int | None, block: int) -> Iterator[np.ndarray]:
        size = min(block, self._in_frames(FIRST_BLOCK_SECONDS))
        while samples is None or samples > 0:
            if not self._left.shape[1]:
                whole = size if samples is None else min(size, samples + -samples % self.frame)
                self._left = self._advance(np.empty((self.streams, 0), np.float32), whole)
                size = min(block, 2 * size)
            # Whole frames are made; what the caller didn't ask for waits for the next call.
            count = self._left.shape[1] if samples is None else min(samples, self._left.shape[1])
            out, self._left = self._left[:, :count], self._left[:, count:]
            samples = None if samples is None else samples - count
            yield out

    def _in_frames(self, seconds: float) -> int:
        """`seconds` in samples, rounded up to whole frames."""
        return max(1, -(-round(seconds * self.sample_rate) // self.frame)) * self.frame

    def _fresh_state(self) -> None:
        self._left = np.empty((self.streams, 0), np.float32)
        self._blocks = self._scored = 0
        self._bits = np.zeros(self.streams)
        self._states = [
            {
                s.name: np.full((g.stop - g.start, *s.shape), s.initial, np.float32)
                for s in self.metadata.states
            }
            for g in self._groups
        ]

    def _advance(self, forced: np.ndarray, samples: int) -> np.ndarray:
        """Read `forced`, then draw `samples`; both in whole frames."""
        per_sample = self.metadata.noise_per_sample
        if self.metadata.deterministic:
            noise = np.zeros((self.streams, samples, per_sample), np.float32)
        else:
            noise = self._noise.draw(samples, per_sample)

        def run(group: int) -> np.ndarray:
            audio, *states = self._run(group, self._outputs, forced, noise, self._states[group])
            self._states[group] = dict(zip(self._states[group], states, strict=True))
            return audio

        before = list(self._states)
        audio = self._each_group(run)
        if not np.isfinite(audio).all():
            raise ServingError("the model gave NaN or infinite samples: train it again, or longer")
        if self._scores and samples:
            if self._blocks % SCORED_BLOCKS == 0:
                self._score(audio, before)
            self._blocks += 1
        return audio

    def _score(self, audio: np.ndarray, before: list[dict[str, np.ndarray]]) -> None:
        """Read what was drawn from the states that it was drawn from."""
        none = np.empty((self.streams, 0, self.metadata.noise_per_sample), np.float32)

        def read(group: int) -> np.ndarray:
            (bits,) = self._run(group, ["bits"], audio, none, before[group], score=np.array(True))
            return bits.sum(axis=1, dtype=np.float64)

        self._bits += self._each_group(read)
        self._scored += audio.shape[1]

    def _run(
        self,
        group: int,
        outputs: list[str],
        forced: np.ndarray,
        noise: np.ndarray,
        states: dict[str, np.ndarray],
        **more: np.ndarray,
    ) -> list[np.ndarray]:
        rows = self._groups[group]
        feeds = {
            "forced": forced[rows],
            "noise": noise[rows],
            "temperature": self._temperature[rows],
            **states,
        }
        # A deterministic graph may have no use for, and so no input for, the temperature.
        feeds = {name: value for name, value in feeds.items() if name in self._inputs}
        return [np.asarray(value) for value in self._session.run(outputs, feeds | more)]

    def _each_group(self, run: Callable[[int], np.ndarray]) -> np.ndarray:
        if self._pool is None:
            return run(0)
        return np.concatenate(list(self._pool.map(run, range(len(self._groups)))))


def cuda_is_there() -> bool:
    """Whether the installed onnxruntime could use CUDA."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _open_session(path: Path, provider: str, streams: int, threads: int) -> Any:
    if provider not in ("auto", "cpu", "cuda"):
        raise ServingError(f"unknown provider {provider!r}: choose auto, cpu or cuda")
    if not path.exists():
        raise ServingError(f"no such model: {path}")
    if path.is_dir() or not os.access(path, os.R_OK):
        raise ServingError(f"cannot read the model: {path} is not a readable file")
    import onnxruntime

    available = cuda_is_there()
    if provider == "cuda" and not available:
        raise ServingError(
            "this onnxruntime has no CUDA: install onnxruntime-gpu, or use --provider cpu"
        )
    use_cuda = provider == "cuda" or (provider == "auto" and available and streams >= CUDA_STREAMS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # errors come as exceptions; no second telling on stderr
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    wanted = ["CUDAExecutionProvider"] * use_cuda + ["CPUExecutionProvider"]
    try:
        # Without onnxruntime's own fallback, which talks on stdout, where audio may be going.
        session = onnxruntime.InferenceSession(
            str(path), options, providers=wanted, enable_fallback=0
        )
    except Exception as error:  # onnxruntime's own have no common class
        if provider == "auto" and use_cuda:
            return _open_session(path, "cpu", streams, threads)
        text = " ".join(str(error).split())[:200]
        unread = type(error).__name__ == "InvalidProtobuf" or "No graph was found" in text
        if unread or path.stat().st_size == 0:  # of an empty file, releases say different things
            raise ServingError(f"{path} is not an ONNX file") from None
        raise ServingError(f"cannot open {path} with onnxruntime: {text}") from None
    if provider == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise ServingError("CUDA did not start (driver or libraries missing): use --provider cpu")
    return session
