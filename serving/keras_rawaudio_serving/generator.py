"""An exported generator in ONNX Runtime: its session, its state, and its checks."""

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ServingError
from .metadata import Metadata, check_graph, declared, parse_metadata
from .model_file import read_model

# Streams per processor thread from which CUDA is faster (docs/how-to/generate.md).
CUDA_STREAMS_PER_THREAD = 16

States = list[dict[str, np.ndarray]]


class Generator:
    """The graph of an exported file, with the state of each stream.

    The states go on from call to call. Threads divide the streams between them, because streams
    are independent and one step is too small to be divided. On CUDA all streams go together.

    Args:
        path: the ONNX file.
        streams: rows of the batch.
        provider: "cpu", "cuda", or "auto": CUDA where it is available and `cuda_pays`.
        threads: processor threads.

    Attributes:
        metadata: from the file, checked against its graph.
        provider: "cpu" or "cuda", as in use.
        scores: whether the graph can give `bits`.
        states: for each group of streams, each state tensor by name.

    Raises:
        ServingError: see `read_model`, `parse_metadata` and `check_graph`; or no such provider.
    """

    def __init__(self, path: Path, streams: int, provider: str, threads: int) -> None:
        if provider not in ("auto", "cpu", "cuda"):
            raise ServingError(f"unknown provider {provider!r}: choose auto, cpu or cuda")
        self.path, self.streams = path, streams
        groups = min(threads, streams)
        self.provider = "cuda" if provider == "cuda" else "cpu"
        self._session = open_session(path, self.provider, max(1, threads // groups))
        try:
            properties = self._session.get_modelmeta().custom_metadata_map
            inputs = declared(self._session.get_inputs())
            outputs = declared(self._session.get_outputs())
        except UnicodeDecodeError:
            raise ServingError(f"{path} holds names that are not UTF-8: export it again") from None
        self.metadata = parse_metadata(properties, str(path))
        check_graph(self.metadata, inputs, outputs, str(path))
        pays = provider == "auto" and cuda_pays(self.metadata, streams, threads)
        if pays and cuda_is_available():
            with contextlib.suppress(ServingError):  # listed, but without a driver or a card
                self._session = open_session(path, "cuda", 1)
                self.provider = "cuda"
        groups = 1 if self.provider == "cuda" else groups
        edges = np.linspace(0, streams, groups + 1).astype(int)
        self._groups = [slice(a, b) for a, b in pairwise(edges)]
        self._pool = ThreadPoolExecutor(groups) if groups > 1 else None
        self._inputs = inputs.keys()
        self.scores = "bits" in outputs
        self._outputs = ["audio", *(f"{s.name}_next" for s in self.metadata.states)]
        self.reset()

    def reset(self) -> None:
        """Fresh states."""
        self.states: States = [
            {
                s.name: np.full((g.stop - g.start, *s.shape), s.initial, np.float32)
                for s in self.metadata.states
            }
            for g in self._groups
        ]

    def set_state(self, name: str, values: np.ndarray) -> None:
        """Set a state tensor of all streams: float32 (streams, ...)."""
        for group, states in zip(self._groups, self.states, strict=True):
            states[name] = np.ascontiguousarray(values[group])

    def empty(self, samples: int = 0) -> np.ndarray:
        """float32 zeros (streams, samples), or (streams, samples, channels) for several."""
        channels = self.metadata.channels
        last = (channels,) if channels > 1 else ()
        return np.zeros((self.streams, samples, *last), np.float32)

    def advance(self, forced: np.ndarray, noise: np.ndarray, temperature: np.ndarray) -> np.ndarray:
        """Read the `forced` samples, then generate one for each row of `noise`.

        Args:
            forced: float32 (streams, P) or (streams, P, channels), P whole frames.
            noise: float32 (streams, N, noise_per_sample) in [0, 1), N whole frames.
            temperature: float32 (streams,).

        Returns:
            float32 (streams, N) or (streams, N, channels).

        Raises:
            ServingError: the graph fails, or gives other shapes than it says, or NaN.
        """

        def run(group: int) -> np.ndarray:
            rows = self._groups[group]
            audio, self.states[group] = self.step(
                self.states[group], forced[rows], noise[rows], temperature[rows]
            )
            return audio

        return self._each_group(run)

    def step(
        self,
        states: dict[str, np.ndarray],
        forced: np.ndarray,
        noise: np.ndarray,
        temperature: np.ndarray,
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """As `advance`, for any number of streams whose states the caller holds.

        Args:
            states: by name, each (streams, ...).
            forced: float32 (streams, P[, channels]), audio that is read first.
            noise: float32 (streams, N, noise_per_sample) in [0, 1).
            temperature: float32 (streams,).

        Returns:
            The audio, float32 (streams, N[, channels]), and the states after it.

        Raises:
            ServingError: the graph fails, or gives other shapes than it says, or NaN.
        """
        audio, *after = self._run(self._outputs, forced, noise, temperature, states)
        expected = [state.shape for state in states.values()]
        if audio.shape[1:] != (noise.shape[1], *forced.shape[2:]) or expected != [
            state.shape for state in after
        ]:
            raise ServingError(f"{self.path} gives tensors of wrong shapes: export it again")
        if not np.isfinite(audio).all():
            raise ServingError("the model gave NaN or infinite samples: train it again, or longer")
        return audio, dict(zip(states, after, strict=True))

    def score(self, audio: np.ndarray, states: States, temperature: np.ndarray) -> np.ndarray:
        """The bits that generated audio takes: minus the binary logarithm of its likelihood.

        Args:
            audio: float32 (streams, N[, channels]), as `advance` gave it.
            states: the states before it.
            temperature: float32 (streams,), as the audio was generated.

        Returns:
            float64 (streams,), the sum over all samples.

        Raises:
            ServingError: the graph fails.
        """
        none = np.empty((self.streams, 0, self.metadata.noise_per_sample), np.float32)
        score = np.array(True)

        def read(group: int) -> np.ndarray:
            rows = self._groups[group]
            (bits,) = self._run(
                ["bits"], audio[rows], none[rows], temperature[rows], states[group], score=score
            )
            return bits.reshape(len(bits), -1).sum(axis=1, dtype=np.float64)

        return self._each_group(read)

    def _run(
        self,
        outputs: list[str],
        forced: np.ndarray,
        noise: np.ndarray,
        temperature: np.ndarray,
        states: dict[str, np.ndarray],
        **more: np.ndarray,
    ) -> list[np.ndarray]:
        feeds = {"forced": forced, "noise": noise, "temperature": temperature, **states}
        # A deterministic graph may have no use for, and so no input for, the temperature.
        feeds = {name: value for name, value in feeds.items() if name in self._inputs}
        try:
            return [np.asarray(value) for value in self._session.run(outputs, feeds | more)]
        except Exception as error:  # onnxruntime's own have no common class
            raise ServingError(f"{self.path} fails in onnxruntime: {_one_line(error)}") from None

    def _each_group(self, run: Callable[[int], np.ndarray]) -> np.ndarray:
        if self._pool is None:
            return run(0)
        return np.concatenate(list(self._pool.map(run, range(len(self._groups)))))


def cuda_is_available() -> bool:
    """Whether the installed onnxruntime could use CUDA."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def cuda_pays(metadata: Metadata, streams: int, threads: int) -> bool:
    """Whether so many streams are generated faster on CUDA than by so many processor threads.

    A recurrent step is too small for a GPU until many streams share it. Models of codes never
    gain, because their Fourier transforms run on the processor.

    Example:
        >>> text = ('{"format_version": 1, "sample_rate": 16000, "frame": 16, "states": [],'
        ...         ' "noise_per_sample": 1, "deterministic": false}')
        >>> metadata = parse_metadata({"keras_rawaudio": text}, "generator.onnx")
        >>> [cuda_pays(metadata, streams, threads=4) for streams in (63, 64)]
        [False, True]
    """
    return metadata.raw.get("head") != "codes" and streams >= CUDA_STREAMS_PER_THREAD * threads


def open_session(path: Path, provider: str, threads: int) -> Any:
    """An `onnxruntime.InferenceSession` of a file that `read_model` lets through.

    Args:
        path: the ONNX file.
        provider: "cpu" or "cuda".
        threads: processor threads within a step.

    Raises:
        ServingError: a bad file, or CUDA that is not available.
    """
    model = _path_or_bytes(path)
    import onnxruntime

    if provider == "cuda" and not cuda_is_available():
        raise ServingError(
            "this onnxruntime has no CUDA: install onnxruntime-gpu, or use --provider cpu"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4  # errors come as exceptions; nothing more on stderr
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.load_model_format", "ONNX")  # whatever its name is
    # TF32 keeps 10 bits of each factor, and long filters need more.
    cuda = ("CUDAExecutionProvider", {"use_tf32": "0"})
    wanted = [*([cuda] if provider == "cuda" else []), "CPUExecutionProvider"]
    try:
        # Without onnxruntime's own fallback, which writes to stdout, where audio may be going.
        session = onnxruntime.InferenceSession(model, options, providers=wanted, enable_fallback=0)
    except Exception as error:  # onnxruntime's own have no common class
        text = _one_line(error)
        if type(error).__name__ == "InvalidProtobuf" or "No graph was found" in text:
            raise ServingError(f"{path} is not an ONNX file") from None
        raise ServingError(f"cannot open {path} with onnxruntime: {text}") from None
    if provider == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        raise ServingError("CUDA did not start (driver or libraries missing): use --provider cpu")
    return session


def _path_or_bytes(path: Path) -> str | bytes:
    """What ONNX Runtime opens: the path, for it copies bytes twice. It takes no path but UTF-8."""
    data = read_model(path)
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return data
    return str(path)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
