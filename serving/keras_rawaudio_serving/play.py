"""Sound from the loudspeaker: a ring buffer between the sampler and a device."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from .command import missing_extra
from .errors import ServingError
from .output import interleaved, to_pcm16

STALL_SECONDS = 5.0


class Device(Protocol):
    """What `Speaker` needs of a device; `AudioDevice` is the real one."""

    sample_rate: int

    def start(self, fill: Callable[[np.ndarray], None]) -> None: ...

    def stop(self) -> None: ...

    def abort(self) -> None: ...


class Speaker:
    """Plays blocks while the next ones are made.

    A device takes samples out of a ring buffer in a thread of its own. It waits for nothing: what
    is not there in time is silence, and counts as an underrun. One thread writes, one reads, and
    each moves its own index, so that no lock is needed.

    Args:
        device: where it sounds.
        channels: those of all streams together.
        sample_rate: of the blocks, in Hz. Where the device plays at another, soxr converts.
        latency: seconds of audio made ahead. More outlasts longer pauses of the machine; less
            lets a control be noticed sooner.

    Attributes:
        underruns: how often audio was missing.

    Raises:
        ServingError: the device needs another rate and soxr is missing.

    Example:
        >>> from types import SimpleNamespace
        >>> device = SimpleNamespace(sample_rate=16000, start=lambda fill: None)
        >>> speaker = Speaker(device, channels=1, sample_rate=16000, latency=0.1)
        >>> speaker.write(np.full((1, 3), 0.5, np.float32))
        >>> out = np.zeros((5, 1), np.int16)
        >>> speaker.fill(out)  # what a device does
        >>> out[:, 0].tolist(), speaker.underruns
        ([16384, 16384, 16384, 0, 0], 1)
    """

    def __init__(self, device: Device, channels: int, sample_rate: int, latency: float) -> None:
        self.underruns = 0
        self._device = device
        self._resampler: Any = None
        if device.sample_rate != sample_rate:
            self._resampler = _resampler(sample_rate, device.sample_rate, channels)
        size = max(1, round(latency * device.sample_rate))
        self._ring = np.zeros((size, channels), np.int16)
        self._written = self._read = 0
        self._started = self._ending = False

    def __enter__(self) -> "Speaker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None and self._started:
                self._finish()
                self._device.stop()
                return
        except BaseException:
            self._device.abort()
            raise
        self._device.abort()

    def write(self, block: np.ndarray) -> None:
        """Queue float (streams, samples[, channels]); waits while the buffer is full.

        Raises:
            ServingError: the device has taken nothing for some seconds.
        """
        if self._resampler is None:
            self._queue(interleaved(block))
        else:
            self._resample(np.moveaxis(block, 1, 0).reshape(block.shape[1], -1))

    def fill(self, out: np.ndarray) -> None:
        """Write the next samples into int16 (samples, channels), which the device plays."""
        count = min(len(out), self._written - self._read)
        start = self._read % len(self._ring)
        head = min(count, len(self._ring) - start)
        out[:head] = self._ring[start : start + head]
        out[head:count] = self._ring[: count - head]
        out[count:] = 0
        self._read += count
        self.underruns += count < len(out) and not self._ending

    def _finish(self) -> None:
        if self._resampler is not None:
            self._resample(np.zeros((0, self._ring.shape[1]), np.float32), last=True)
        self._ending = True
        self._wait(lambda: self._read == self._written)

    def _resample(self, audio: np.ndarray, last: bool = False) -> None:
        audio = self._resampler.resample_chunk(np.ascontiguousarray(audio, np.float32), last)
        self._queue(to_pcm16(audio))

    def _queue(self, samples: np.ndarray) -> None:
        while len(samples):
            self._wait(lambda: self._written - self._read < len(self._ring))
            start = self._written % len(self._ring)
            room = min(len(self._ring) - self._written + self._read, len(self._ring) - start)
            part, samples = samples[:room], samples[room:]
            self._ring[start : start + len(part)] = part
            self._written += len(part)
            if not self._started:
                self._started = True
                self._device.start(self.fill)

    def _wait(self, ready: Callable[[], bool]) -> None:
        read, since = self._read, time.monotonic()
        while not ready():
            if self._read != read:
                read, since = self._read, time.monotonic()
            if time.monotonic() - since > STALL_SECONDS:
                raise ServingError("--play stopped: the sound device takes no more audio")
            time.sleep(min(0.005, len(self._ring) / self._device.sample_rate / 8))


def _resampler(source_rate: int, target_rate: int, channels: int) -> Any:
    try:
        import soxr
    except ImportError as error:
        raise missing_extra(f"--play at {target_rate} Hz", "play", error) from None
    return soxr.ResampleStream(source_rate, target_rate, channels, dtype="float32")
