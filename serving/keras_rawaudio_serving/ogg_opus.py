"""An endless Ogg/Opus stream, page by page."""

from typing import Any

import numpy as np

from .command import missing_extra
from .errors import ServingError

RATES = (8000, 12000, 16000, 24000, 48000)  # in Hz, that Opus knows


class OggOpusEncoder:
    """Audio in, Ogg pages out; libsndfile encodes.

    Args:
        channels: 1 or 2.
        sample_rate: in Hz. Rates that Opus does not know are converted to 48 kHz by soxr.

    Attributes:
        headers: the pages that a stream begins with, from the first `encode` on. Whoever begins to
            read later gets them first, and then any page.

    Raises:
        ServingError: more channels, or no Opus in libsndfile, or soxr is missing.

    Example:
        >>> encoder = OggOpusEncoder(channels=1, sample_rate=16000)
        >>> pages = encoder.encode(np.zeros(48000, np.float32))
        >>> pages[0][:4], encoder.headers[28:36]
        (b'OggS', b'OpusHead')

    Reference:
        RFC 3533 (Ogg pages) and RFC 7845 (Opus in Ogg).
    """

    def __init__(self, channels: int, sample_rate: int) -> None:
        import soundfile

        if channels > 2:
            raise ServingError(f"the model has {channels} channels: a stream has 1 or 2")
        self.headers = b""
        self._resampler: Any = None
        rate = sample_rate if sample_rate in RATES else 48000
        if rate != sample_rate:
            try:
                import soxr
            except ImportError as error:
                raise missing_extra(f"a model of {sample_rate} Hz", "serve", error) from None
            self._resampler = soxr.ResampleStream(sample_rate, rate, channels, dtype="float32")
        self._sink = _Sink()
        try:
            self._file = soundfile.SoundFile(
                self._sink, "w", rate, channels, format="OGG", subtype="OPUS"
            )
        except (soundfile.SoundFileError, ValueError) as error:
            raise ServingError(f"libsndfile writes no Opus here: {error}") from None

    def encode(self, audio: np.ndarray) -> list[bytes]:
        """Encode float32 (samples,) or (samples, channels).

        Returns:
            The pages that became complete, a second of audio each; often none.
        """
        audio = np.clip(audio, -1, 1).reshape(len(audio), -1)
        if self._resampler is not None:
            audio = self._resampler.resample_chunk(np.ascontiguousarray(audio, np.float32))
        self._file.write(audio)
        pages = []
        for page in self._sink.take():
            # Pages of headers alone have position 0.
            if page[6:14] == bytes(8):
                self.headers += page
            else:
                pages.append(page)
        return pages

    def close(self) -> None:
        """End the stream."""
        self._file.close()


class _Sink:
    """A file that keeps nothing: it is written once, in order, and emptied page by page."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._position = 0

    def write(self, data: Any) -> int:
        self._data += data
        self._position += len(data)
        return len(data)

    def take(self) -> list[bytes]:
        """Remove the whole pages and return them."""
        pages = []
        while len(self._data) >= 27:
            segments = self._data[26]
            end = 27 + segments + sum(self._data[27 : 27 + segments])
            if len(self._data) < end:
                break
            pages.append(bytes(self._data[:end]))
            del self._data[:end]
        return pages

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._position  # libsndfile asks for the length and goes back to the end

    def read(self, size: int = -1) -> bytes:
        return b""

    def flush(self) -> None: ...
