"""The seed: an excerpt of an audio file, at the model's rate and in its channels."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np

from .errors import ServingError
from .metadata import MAX_SAMPLE_RATE, MAX_SECONDS
from .resample import resample

DEFAULT_SEED_SECONDS = 1.0
_MARGIN_SECONDS = 0.05  # read round the seed, so that resampling sees no edge


@dataclass(frozen=True)
class Seed:
    """A seed in [-1, 1], and how many seconds the file lacked.

    `audio` is float32 (samples,), or (samples, channels) of several channels.
    """

    audio: np.ndarray
    missing_seconds: float


def file_name(path: str | Path) -> str | bytes:
    """A name for libsndfile: as bytes where the system's names need not be Unicode."""
    return str(path) if os.name == "nt" else os.fsencode(path)


def read_seed(
    path: str | Path,
    sample_rate: int,
    start: float = 0.0,
    seconds: float | None = None,
    channels: int = 1,
) -> Seed:
    """Read a seed: decoded, brought to the model's channels, resampled, cut by sample index.

    A file with as many channels as the model keeps them. Any other is mixed to mono, and then
    stands in each of the model's channels.

    Args:
        path: WAV, FLAC, OGG, MP3: whatever libsndfile reads.
        sample_rate: the model's rate.
        start: where the seed starts in the file, in seconds.
        seconds: its length; by default one second, or what the file has where that is less. Where
            the file ends sooner than asked, the seed is shorter and says by how much.
        channels: the model's.

    Raises:
        ServingError: no such file, not audio, empty, `start` beyond the end, NaN in it.
    """
    _check_stretch(start, seconds)
    wanted = DEFAULT_SEED_SECONDS if seconds is None else seconds
    stretch = _read_stretch(path, sample_rate, start, wanted)
    data, rate = stretch.data, stretch.sample_rate
    if data.shape[1] != channels:
        data = np.repeat(data.mean(axis=1, dtype=np.float32)[:, None], channels, axis=1)
    if not np.isfinite(data).all():
        raise ServingError(f"seed audio {path} holds NaN or infinite samples in that stretch")
    skip = stretch.before * sample_rate // rate
    length = max(1, round(min(wanted, stretch.seconds) * sample_rate))
    audio = np.stack([resample(one, rate, sample_rate) for one in data.T], axis=1)
    audio = np.clip(audio[skip : skip + length], -1.0, 1.0)
    missing = max(0.0, wanted - stretch.seconds) if seconds is not None else 0.0
    return Seed(
        audio if channels > 1 else audio[:, 0],
        missing if missing * sample_rate >= 0.5 else 0.0,
    )


@dataclass(frozen=True)
class _Stretch:
    """A part of a file, with a margin on both sides.

    Attributes:
        data: float32 (samples, channels).
        sample_rate: the file's.
        before: samples of the margin before the part.
        seconds: the length of the part.
    """

    data: np.ndarray
    sample_rate: int
    before: int
    seconds: float


def _check_stretch(start: float, seconds: float | None) -> None:
    if not 0 <= start <= MAX_SECONDS:
        raise ServingError(f"the seed's start is {start:g} s: it must be 0 to {MAX_SECONDS:g}")
    if seconds is not None and not 0 < seconds <= MAX_SECONDS:
        raise ServingError(
            f"the seed's length is {seconds:g} s: "
            f"it must be more than 0 and at most {MAX_SECONDS:g}"
        )


def _read_stretch(path: str | Path, sample_rate: int, start: float, seconds: float) -> _Stretch:
    import soundfile

    if not Path(path).is_file():
        raise ServingError(f"no such seed audio: {path}")
    try:
        open(path, "rb").close()  # libsndfile keeps the reason of the system to itself
        with silent_stderr(), soundfile.SoundFile(file_name(path)) as file:
            rate, total = file.samplerate, file.frames
            first = round(start * rate)
            if total == 0:
                raise ServingError(f"seed audio {path} is empty")
            if rate > MAX_SAMPLE_RATE:
                raise ServingError(
                    f"seed audio {path} claims {rate} Hz, at most {MAX_SAMPLE_RATE} can be"
                )
            if first >= total:
                raise ServingError(
                    f"the seed starts at {start:g} s, beyond the end of {path} ({total / rate:g} s)"
                )
            last = min(total, first + round(seconds * rate))
            # Before the part, a stretch that is whole at both rates.
            margin = round(_MARGIN_SECONDS * rate)
            step = rate // gcd(rate, sample_rate)
            before = min(first, margin + step) // step * step
            file.seek(first - before)
            data = file.read(last - first + before + margin, dtype="float32", always_2d=True)
    except OSError as error:
        raise ServingError(f"cannot read seed audio {path}: {error.strerror}") from None
    except (soundfile.SoundFileError, RuntimeError, TypeError) as error:  # TypeError: .raw
        text = getattr(error, "error_string", str(error)) or type(error).__name__
        raise ServingError(f"cannot read seed audio {path}: {text.splitlines()[0]}") from None
    return _Stretch(data, rate, before, (last - first) / rate)


def seed_of_streams(audio: np.ndarray, streams: int, channels: int) -> np.ndarray:
    """A seed for each stream: `(streams, samples)`, with a last axis for several channels.

    Args:
        audio: `(samples,)` for all streams and channels. Of a mono model also
            `(streams, samples)`; of one with several channels `(samples, channels)` or
            `(streams, samples, channels)`.
        streams: of the sampler.
        channels: of the model.

    Raises:
        ServingError: wrong shape, or NaN.

    Example:
        >>> seed_of_streams(np.zeros(8, np.float32), streams=2, channels=1).shape
        (2, 8)
    """
    each = audio
    if channels > 1 and audio.ndim == 1:
        each = np.repeat(audio[:, None], channels, axis=1)
    last = (channels,) if channels > 1 else ()
    if each.ndim == 1 + len(last):
        each = each[None]
    fits = each.ndim == 2 + len(last) and each.shape[2:] == last
    if not fits or len(each) not in (1, streams):
        names = ", channels" if last else ""
        raise ServingError(
            f"a seed of shape {audio.shape} for {streams} streams of {channels} "
            f"channels: give (samples{names}) or (streams, samples{names})"
        )
    if not np.isfinite(each).all():
        raise ServingError("the seed holds NaN or infinite samples")
    return np.broadcast_to(each, (streams, *each.shape[1:]))


@contextmanager
def silent_stderr() -> Iterator[None]:
    """For libraries in C that print notes; what matters comes as an error."""
    try:
        saved = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
