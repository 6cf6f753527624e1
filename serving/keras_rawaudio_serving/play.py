"""Sound from the loudspeaker, through the optional sounddevice."""

import queue
import threading
from types import TracebackType

import numpy as np

from .errors import ServingError
from .output import interleaved

_BLOCKS_AHEAD = 4


class Speaker:
    """Plays blocks while the next ones are made: a thread feeds the device from a short queue.

    Args:
        channels: of the device: those of all streams together.
        sample_rate: in Hz.

    Attributes:
        gaps: how often the device ran dry.
    """

    def __init__(self, channels: int, sample_rate: int) -> None:
        try:
            import sounddevice  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise ServingError(
                "--play needs sounddevice: pip install 'keras-rawaudio-serving[play]'"
            ) from None
        except OSError as error:  # the package is there, PortAudio is not
            raise ServingError(f"--play cannot start: {error}") from None
        try:
            self._device = sounddevice.OutputStream(sample_rate, channels=channels, dtype="int16")
        except Exception as error:  # PortAudioError; but also plain ValueError for bad settings
            raise ServingError(f"--play found no sound device that takes this: {error}") from None
        self.gaps = 0
        self._queue: queue.Queue[np.ndarray | None] = queue.Queue(_BLOCKS_AHEAD)
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def __enter__(self) -> "Speaker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()  # until the last block has sounded
            self._device.stop()
        else:
            self._device.abort()
        self._device.close()

    def write(self, block: np.ndarray) -> None:
        """Queue float (streams, samples[, channels]); waits while the queue is full."""
        if not self._thread.is_alive() and self._failure is None:
            self._device.start()  # only now, so that making the first block is no gap
            self._thread.start()
        if self._failure is not None:
            raise ServingError(f"--play stopped: {self._failure}")
        self._queue.put(interleaved(block))

    def _feed(self) -> None:
        block = self._queue.get()
        while block is not None:
            try:
                if self._failure is None:  # after one, only keep the queue moving
                    self.gaps += bool(self._device.write(block))
            except Exception as error:
                self._failure = error
            block = self._queue.get()
