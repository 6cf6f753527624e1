"""Audio in real time: the sampler in a thread of its own, and an encoder behind it."""

import threading
import time
from collections.abc import Callable

from .live_controls import LiveControls
from .ogg_opus import OggOpusEncoder
from .sampler import Sampler

BLOCK_SECONDS = 0.2
AHEAD_SECONDS = 2.0
STALL_SECONDS = 10.0


class Producer:
    """Generates, encodes and publishes, never more than two seconds ahead of the clock.

    Args:
        sampler: of one stream.
        controls: of the sampler, applied between blocks.
        publish: takes a page and the stream's headers, in the producer's thread.
        fail: called once, if the sampler fails.

    Attributes:
        seconds: of audio made so far.
        busy: seconds that making it took.
        late: how often the sampler fell behind the clock by more than two seconds.
        error: why it stopped by itself, or None. Whatever it is, `fail` was called.
    """

    def __init__(
        self,
        sampler: Sampler,
        controls: LiveControls,
        publish: Callable[[bytes, bytes], None],
        fail: Callable[[], None],
    ) -> None:
        self.seconds = self.busy = 0.0
        self.late = 0
        self.error: Exception | None = None
        self._sampler, self._controls = sampler, controls
        self._publish, self._fail = publish, fail
        self._encoder = OggOpusEncoder(sampler.channels, sampler.sample_rate)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._last = time.monotonic()

    def start(self) -> None:
        """Begin."""
        self._last = time.monotonic()
        self._thread.start()

    def stop(self) -> None:
        """End after the block that is being made."""
        self._stopping.set()
        self._thread.join()

    @property
    def healthy(self) -> bool:
        """Whether it runs and has made a block in the last ten seconds."""
        return self._thread.is_alive() and time.monotonic() - self._last < STALL_SECONDS

    def _run(self) -> None:
        try:
            self._produce()
        except Exception as error:  # else the thread would end, and nobody would know
            self.error = error
            self._fail()
        finally:
            self._encoder.close()

    def _produce(self) -> None:
        clock = time.monotonic()
        blocks = self._sampler.stream(block_seconds=BLOCK_SECONDS)
        while not self._stopping.is_set():
            began = time.monotonic()
            self._controls.apply()
            (audio,) = next(blocks)
            pages = self._encoder.encode(audio)
            self._last = time.monotonic()
            self.busy += self._last - began
            self.seconds += len(audio) / self._sampler.sample_rate
            for page in pages:
                self._publish(page, self._encoder.headers)
            ahead = clock + self.seconds - self._last
            if ahead < -AHEAD_SECONDS:
                self.late += 1
                clock -= ahead  # what was missed is not made up for
            self._stopping.wait(max(0.0, ahead - AHEAD_SECONDS))
