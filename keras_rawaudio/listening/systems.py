"""What a listening test compares: a run folder, an exported file, or audio files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_rawaudio.data.corpus.decoding import AudioFile, decode, find_files, open_audio
from keras_rawaudio.errors import UserError
from keras_rawaudio.training.run_folder import RunFolder

Prompt = Callable[[int, int, int], np.ndarray]
"""Real audio that each stream goes on from: `(streams, rate in Hz, channels)` to `(streams, n)`, or
`(streams, n, 2)`."""

Draw = Callable[[int, float, Prompt, int], np.ndarray]
"""`(streams, seconds, prompt, random seed)` to `(streams, samples)`, with channels last if two."""


@dataclass(frozen=True)
class AudioFiles:
    """Audio that is there already: one file, or all files of a folder.

    Args:
        files: from `open_audio`.
    """

    files: Sequence[AudioFile]

    @classmethod
    def open(cls, source: Path) -> AudioFiles:
        """Read the headers.

        Raises:
            UserError: no such file, no audio in the folder, or a file that cannot be decoded.
        """
        return cls([open_audio(path) for path in find_files(source)])

    @property
    def sample_rate(self) -> int:
        return min(file.sample_rate for file in self.files)

    @property
    def channels(self) -> int:
        return min(2, *(file.channels for file in self.files))

    def read(self, rate: int, channels: int) -> list[np.ndarray]:
        """Each file as float32 `(n,)` or `(n, 2)` at a rate in Hz."""
        nothing = np.zeros((0, 2)[:channels], np.float32)
        return [np.concatenate([nothing, *decode(f, rate, channels)]) for f in self.files]


@dataclass(frozen=True)
class Model:
    """A trained model that audio is drawn from, at temperature 1.

    Args:
        sample_rate: in Hz.
        channels: 1 or 2.
        draw: how.
    """

    sample_rate: int
    channels: int
    draw: Draw


def open_system(path: Path) -> AudioFiles | Model:
    """Open what a path holds.

    Args:
        path: a run folder, a folder with `generator.onnx`, an ONNX file, an audio file, or a folder
            of audio files.

    Raises:
        UserError: none of these, or damaged.
    """
    if (path / "run.json").is_file():
        return _trained(RunFolder.open(path))
    if path.suffix.lower() == ".onnx" or (path / "generator.onnx").is_file():
        return _exported(path / "generator.onnx" if path.is_dir() else path)
    return AudioFiles.open(path)


def _trained(run: RunFolder) -> Model:
    from keras_rawaudio.generation import ReferenceSampler
    from keras_rawaudio.models import Refiner
    from keras_rawaudio.training.model_files import load_model

    model = load_model(run)
    if isinstance(model, Refiner):
        raise UserError(f"{run.path} is a refiner's run: it revises audio and generates none")
    rate = int(run.describe()["sample_rate"])

    def draw(streams: int, seconds: float, prompt: Prompt, random_seed: int) -> np.ndarray:
        start = prompt(streams, rate, model.channels)
        samples = round(seconds * rate)
        sampler = ReferenceSampler(model)
        return sampler.generate(samples, start, streams=streams, random_seed=random_seed)

    return Model(rate, model.channels, draw)


def _exported(path: Path) -> Model:
    try:
        from keras_rawaudio_serving import Sampler, ServingError
    except ImportError:
        raise UserError(
            f"playing {path} needs the sampler: pip install ./serving, or give the run folder"
        ) from None
    try:
        metadata = Sampler.load(path).metadata
    except ServingError as error:
        raise UserError(str(error)) from None

    def draw(streams: int, seconds: float, prompt: Prompt, random_seed: int) -> np.ndarray:
        try:
            sampler = Sampler.load(path, streams=streams, random_seed=random_seed)
            sampler.prime(prompt(streams, metadata.sample_rate, metadata.channels))
            audio: np.ndarray = np.concatenate([*sampler.stream(seconds)], axis=1)
        except ServingError as error:
            raise UserError(str(error)) from None
        return audio

    return Model(metadata.sample_rate, metadata.channels, draw)
