"""Audio as blocks of short-time spectra, sized in milliseconds so that any rate will do."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

WINDOW_SECONDS = 0.05
HOPS = 4  # in a window, and in a block
LINEAR_LIMIT = 4000.0  # Hz; above it, features are bands
FLOOR_DB = -80.0  # of a full-scale sine
STEREO_LOWEST = 40.0  # Hz
STEREO_BANDS_PER_OCTAVE = 2.5


class BlockSpectra:
    """Frames of a causal short-time Fourier transform, four to a block.

    Frame `j` is `fft_size` samples under a Hann window and ends with sample `(j + 1) * hop`. A
    block is four frames, `fft_size` samples of new audio. A frame's power is the mean over
    channels, so that what is out of phase between them does not cancel.

    Args:
        rate: samples per second.
        channels: 1 or 2.

    Attributes:
        fft_size: the power of two nearest to 50 ms.
        hop: a quarter of it.
        block: samples in a block.
        bins: frequencies of a spectrum.
        width: log-magnitude features of a frame: bins up to 4 kHz, bands above.
        band_edges: first bin of each feature, and the end.

    Example:
        >>> spectra = BlockSpectra(44100)
        >>> spectra.fft_size, spectra.hop, spectra.block, spectra.bins
        (2048, 512, 2048, 1025)
        >>> spectra.features(spectra.power(np.zeros((4096, 1), np.float32))).shape
        (2, 4, 250)
    """

    def __init__(self, rate: int, channels: int = 1) -> None:
        self.rate, self.channels = rate, channels
        self.fft_size = 2 ** round(np.log2(WINDOW_SECONDS * rate))
        self.hop = self.fft_size // HOPS
        self.block = HOPS * self.hop
        self.bins = self.fft_size // 2 + 1
        self.frequencies = np.arange(self.bins) * rate / self.fft_size
        self.window = np.hanning(self.fft_size + 1)[:-1].astype(np.float32)
        self.floor = self.fft_size / 4 * 10 ** (FLOOR_DB / 20)
        split = min(LINEAR_LIMIT, rate / 4)
        linear = int(np.searchsorted(self.frequencies, split))
        bands = 64 if rate > 16000 else 32
        upper = np.searchsorted(self.frequencies, np.geomspace(split, rate / 2, bands + 1))
        self.band_edges = np.unique([*range(linear), *upper[:-1], self.bins])
        self.width = len(self.band_edges) - 1

    def power(self, audio: np.ndarray) -> np.ndarray:
        """Power of each frame, the mean over channels.

        Args:
            audio: float `(n, channels)`; what lies before it is silence, what does not fill a block
                at its end is left out.

        Returns:
            `(blocks, 4, bins)` float32.
        """
        return self.spectra(audio)[0]

    def spectra(self, audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`power`, and the complex spectra of each channel `(blocks, 4, channels, bins)`."""
        from scipy import fft

        lead = self.fft_size - self.hop
        blocks = len(audio) // self.block
        padded = np.pad(audio[: blocks * self.block], ((lead, 0), (0, 0)))
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.fft_size, axis=0)
        spectra = fft.rfft(frames[:: self.hop] * self.window, axis=-1).astype(np.complex64)
        spectra = spectra[: blocks * HOPS].reshape(blocks, HOPS, -1, self.bins)
        return np.square(np.abs(spectra)).mean(axis=2), spectra

    def features(self, power: np.ndarray) -> np.ndarray:
        """Log magnitudes `(..., width)` of power spectra `(..., bins)`, floored at -80 dB."""
        return np.log(np.sqrt(power @ self.band_matrix) + self.floor).astype(np.float32)

    @property
    def band_matrix(self) -> np.ndarray:
        """`(bins, width)`: the mean of each feature's bins."""
        sizes = np.diff(self.band_edges)
        owner = np.repeat(np.arange(self.width), sizes)
        matrix = np.zeros((self.bins, self.width), np.float32)
        matrix[np.arange(self.bins), owner] = 1 / sizes[owner]
        return matrix

    def stereo_edges(self, first: int, last: int) -> np.ndarray:
        """Bins at which the stereo bands between two bins begin, and the last."""
        low = max(STEREO_LOWEST, self.frequencies[first])
        octaves = np.log2(max(1.0, self.frequencies[last - 1] / low))
        count = max(1, round(octaves * STEREO_BANDS_PER_OCTAVE))
        inner = np.geomspace(low, max(low + 1.0, self.frequencies[last - 1]), count + 1)[1:-1]
        edges = np.searchsorted(self.frequencies, inner)
        return np.unique([first, *edges.clip(first + 1, last - 1), last])

    def channel_gains(self, spectra: np.ndarray, edges: np.ndarray, sign: int = 1) -> np.ndarray:
        """What turns the common spectrum into each channel's, one complex gain per stereo band.

        Gains keep each channel's power, and by opposite phases the correlation between two.
        Neighbouring bands overlap in a spectrum under a window. So their phases have one sign:
        opposite ones cancel.

        Args:
            spectra: complex `(n, 4, channels, bins)`.
            edges: from `stereo_edges`.
            sign: of the left channel's phase, 1 or -1.

        Returns:
            `(n, bands, channels, 2)`: real and imaginary part.
        """
        n, _, channels, _ = spectra.shape
        bands = len(edges) - 1
        gains = np.zeros((n, bands, channels, 2), np.float32)
        if channels == 1:
            gains[..., 0] = 1.0
            return gains
        tiny = self.floor**2
        for band, (a, b) in enumerate(pairwise(edges)):
            part = spectra[..., a:b]
            left, right = np.square(np.abs(part)).sum(axis=(1, 3)).T + tiny
            both = (part[:, :, 0] * part[:, :, 1].conj()).real.sum(axis=(1, 2))
            turn = sign * np.arccos(np.clip(both / np.sqrt(left * right), -1, 1)) / 2
            for channel, (energy, angle) in enumerate(((left, turn), (right, -turn))):
                size = np.sqrt(2 * energy / (left + right))
                gains[:, band, channel, 0] = size * np.cos(angle)
                gains[:, band, channel, 1] = size * np.sin(angle)
        return gains
