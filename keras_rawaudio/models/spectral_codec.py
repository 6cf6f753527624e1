"""A codec of spectra: blocks of audio to codes, codes to magnitudes and channel gains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.dsp.block_spectra import HOPS, BlockSpectra
from keras_rawaudio.dsp.spectral_codebook import (
    PHASE_STEPS,
    BandCodebook,
    band_edges,
    fit_codebooks,
)
from keras_rawaudio.models.distributions import first_argmax

CODES = "codes"  # the state of a generator that holds the codes of the block before
SOFTNESS = 0.06  # of targets, of the median squared distance between nearest entries


@keras.saving.register_keras_serializable("keras_rawaudio")
class SpectralCodec(keras.layers.Layer):
    """A product code: each frequency band of a block is one entry of that band's codebook.

    Nothing of it learns: `fit` takes the entries from the train part.

    Args:
        rate: samples per second.
        channels: 1 or 2.
        codebook_size: entries of each band.
        components: principal components that stand for a band of a block.

    Attributes:
        spectra: the geometry.
        bands: codes of a block.

    Example:
        >>> codec = SpectralCodec(8000, codebook_size=16)
        >>> noise = np.random.default_rng(0).normal(size=60000).astype("float32") / 10
        >>> codec.fit([noise])
        >>> codes = codec.encode(noise[None, :1024, None])
        >>> magnitudes, gains = codec.decode(codes)
        >>> tuple(codes.shape), tuple(magnitudes.shape), tuple(gains.shape)
        ((1, 3), (1, 4, 257), (1, 1, 257, 2))
    """

    def __init__(
        self,
        rate: int,
        channels: int = 1,
        codebook_size: int = 1024,
        components: int = 48,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.trainable = False
        self.rate, self.channels = rate, channels
        self.codebook_size, self.components = codebook_size, components
        self.spectra = BlockSpectra(rate, channels)
        self._edges = band_edges(self.spectra)
        self.bands = len(self._edges)
        self.stereo = [self.spectra.stereo_edges(a, b) for a, b, *_ in self._edges]
        self.build()

    def build(self, input_shape: Any = None) -> None:
        K, P = self.codebook_size, self.components
        self.mean, self.basis, self.entries = [], [], []
        self.magnitudes, self.phases, self.gains = [], [], []
        for band, (first, last, a, b) in enumerate(self._edges):

            def weight(name: str, *shape: int, band: int = band, dtype: str = "float32") -> Any:
                return self.add_weight(
                    shape,
                    initializer="zeros",
                    dtype=dtype,
                    trainable=False,
                    autocast=False,
                    name=f"band{band}_{name}",
                )

            self.mean.append(weight("mean", HOPS * (b - a)))
            self.basis.append(weight("basis", HOPS * (b - a), P))
            self.entries.append(weight("entries", K, P))
            # Most of a model's memory: in 16 bits magnitudes are right to 0.005 dB.
            sizes = (K, HOPS, last - first)
            self.magnitudes.append(weight("magnitudes", *sizes, dtype="float16"))
            sizes = (K, HOPS // 2, last - first)
            # Bytes, in a type that workers can exchange: TensorFlow's collectives carry no uint8.
            self.phases.append(weight("phases", *sizes, dtype="float16"))
            stereo = len(self.stereo[band]) - 1
            self.gains.append(weight("gains", K, stereo, self.channels, 2))
        self.scale = self.add_weight((self.bands,), initializer="ones", trainable=False)
        self.softness = self.add_weight((self.bands,), initializer="ones", trainable=False)
        self.built = True

    def fit(self, segments: Sequence[np.ndarray]) -> None:
        """Take the codebooks from stretches of audio, `(n,)` or `(n, channels)`."""
        books = fit_codebooks(segments, self.spectra, self.codebook_size, self.components)
        for band, book in enumerate(books):
            missing = ((0, 0), (0, self.components - book.basis.shape[1]))
            self.mean[band].assign(book.mean)
            self.basis[band].assign(np.pad(book.basis, missing))
            self.entries[band].assign(np.pad(book.components, missing))
            self.magnitudes[band].assign(book.magnitudes)
            self.phases[band].assign(book.phases)
            self.gains[band].assign(book.gains)
        self.scale.assign([1 / book.components.std(axis=0).mean() for book in books])
        near = [_nearest_distance(book.components) for book in books]
        self.softness.assign([SOFTNESS * max(d, 1e-9) for d in near])

    def books(self) -> list[BandCodebook]:
        """The codebooks as NumPy arrays, for encoding a corpus."""
        weights = zip(
            self.mean,
            self.basis,
            self.entries,
            self.magnitudes,
            [ops.cast(phases, "uint8") for phases in self.phases],
            self.stereo,
            self.gains,
            strict=True,
        )
        return [
            BandCodebook(*edges, *(np.asarray(value) for value in values))
            for edges, values in zip(self._edges, weights, strict=True)
        ]

    def encode(self, audio: Any) -> Any:
        """Codes `(B, bands)` int32 of one block.

        Args:
            audio: `(B, 2 * block, channels)`: the block, and the one before it.
        """
        size, hop = self.spectra.fft_size, self.spectra.hop
        starts = range(hop, size + 1, hop)
        frames = ops.stack([audio[:, s : s + size] for s in starts], axis=1)
        frames = ops.transpose(frames, (0, 1, 3, 2)) * self.spectra.window
        re, im = ops.rfft(frames)
        return self.encode_power(ops.mean(re * re + im * im, axis=2))

    def encode_power(self, power: Any) -> Any:
        """Codes `(B, bands)` int32 of power spectra `(B, 4, bins)`."""
        features = ops.log(
            ops.sqrt(ops.matmul(power, self.spectra.band_matrix)) + self.spectra.floor
        )
        codes = []
        for band, (_, _, a, b) in enumerate(self._edges):
            part = ops.reshape(features[:, :, a:b], (-1, HOPS * (b - a)))
            point = ops.matmul(part - self.mean[band], self.basis[band])
            entries = self.entries[band]
            offset = 0.5 * ops.sum(ops.square(entries), axis=1)
            codes.append(first_argmax(ops.matmul(point, ops.transpose(entries)) - offset))
        return ops.cast(ops.stack(codes, axis=1), "int32")

    def decode(self, codes: Any) -> tuple[Any, Any]:
        """Magnitudes `(B, 4, bins)` and channel gains `(B, channels, bins, 2)`.

        Args:
            codes: `(B, bands)` int32; -1 is silence.
        """
        magnitudes, gains = [], []
        for band, edges in enumerate(self.stereo):
            index = ops.maximum(codes[:, band], 0)
            there = ops.cast(codes[:, band] >= 0, "float32")[:, None, None]
            own = ops.cast(ops.take(self.magnitudes[band], index, axis=0), "float32")
            magnitudes.append(own * there)
            owner = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
            gains.append(ops.take(ops.take(self.gains[band], index, axis=0), owner, axis=1))
        common = ops.concatenate(magnitudes, axis=-1)
        return common, ops.transpose(ops.concatenate(gains, axis=1), (0, 2, 1, 3))

    def decode_phases(self, codes: Any) -> Any:
        """The entries' own phases `(B, 4, bins)`, as whole numbers in float32.

        There are `PHASE_STEPS` of them to a turn.

        Args:
            codes: `(B, bands)` int32; those below 0 give the phases of the first entry.
        """
        found = [
            # As bytes before they are looked up: the cast is folded, and exported files hold bytes.
            ops.take(ops.cast(phases, "uint8"), ops.maximum(codes[:, band], 0), axis=0)
            for band, phases in enumerate(self.phases)
        ]
        pairs = ops.cast(ops.concatenate(found, axis=-1), "float32")
        first = ops.floor(pairs / PHASE_STEPS)
        both = ops.stack([first, pairs - PHASE_STEPS * first], axis=2)
        return ops.reshape(both, (-1, HOPS, self.spectra.bins))

    def scaled_entries(self, band: int) -> Any:
        """Entries of a band `(codebook_size, components)`, of a mean standard deviation of 1."""
        return self.entries[band] * self.scale[band]

    def onset_strengths(self) -> list[Any]:
        """Of each band's entries `(codebook_size,)`: the rise of the level within their block.

        It is the mean rise of log energy from frame to frame, of mean 0 and deviation 1 over the
        codebook.
        """
        strengths = []
        for magnitudes in self.magnitudes:
            energy = ops.sum(ops.square(ops.cast(magnitudes, "float32")), axis=-1)
            level = ops.log(energy + 1e-6 * ops.max(energy))
            rise = ops.mean(ops.maximum(level[:, 1:] - level[:, :-1], 0.0), axis=-1)
            strengths.append((rise - ops.mean(rise)) / (ops.std(rise) + 1e-6))
        return strengths

    def look_up(self, codes: Any) -> list[Any]:
        """The scaled entries of codes.

        Args:
            codes: `(..., bands)` int32; -1 is none.

        Returns:
            For each band `(..., components)`; zeros for none.
        """
        found = []
        for band in range(self.bands):
            index = codes[..., band]
            there = ops.cast(index >= 0, "float32")[..., None]
            entries = ops.take(self.scaled_entries(band), ops.maximum(index, 0), axis=0)
            found.append(entries * there)
        return found

    def decay(self, seconds: float) -> float:
        """Of what a block counts, from block to block, for a time constant in seconds."""
        return float(np.exp(-self.spectra.block / self.rate / seconds))

    def soft_targets(self, band: int, codes: Any) -> Any:
        """Probabilities over entries `(..., codebook_size)`: those near the true one share it."""
        return ops.softmax(self.nearness(band, codes), axis=-1)

    def nearness(self, band: int, codes: Any) -> Any:
        """Logarithm of a Gaussian of entries around those of `codes`, up to a constant.

        Its variance is `softness`: a share of the median squared distance of nearest entries.

        Args:
            band: which.
            codes: `(...)` int32.

        Returns:
            `(..., codebook_size)`.
        """
        entries = self.entries[band]
        half = 0.5 * ops.sum(ops.square(entries), axis=1)
        products = ops.matmul(ops.take(entries, codes, axis=0), ops.transpose(entries))
        return (products - half) / self.softness[band]

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "rate": self.rate,
            "channels": self.channels,
            "codebook_size": self.codebook_size,
            "components": self.components,
        }


def _nearest_distance(points: np.ndarray) -> float:
    """Median squared distance of points to their nearest neighbours."""
    square = np.square(points).sum(axis=1)
    distances = square[:, None] + square[None] - 2 * points @ points.T
    np.fill_diagonal(distances, np.inf)
    return float(np.median(distances.min(axis=1)))
