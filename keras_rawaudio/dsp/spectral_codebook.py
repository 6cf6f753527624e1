"""Codebooks of real spectra: one for each frequency band, so that bands combine freely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from keras_rawaudio.dsp.block_spectra import HOPS, BlockSpectra
from keras_rawaudio.dsp.clustering import medoids, nearest
from keras_rawaudio.errors import UserError

BAND_LIMITS = (345.0, 1200.0, 4000.0)  # Hz, between the bands of the product code
FITTED_BLOCKS = 20_000  # at most, evenly spread over the corpus
CHUNK_BLOCKS = 64  # about 3 s
LARGEST, SMALLEST = 1024, 16
BLOCKS_PER_CODE, LEAST_BLOCKS_PER_CODE = 8, 2
GROUPS = 4  # of neighbouring features in a band, from low to high
PHASE_STEPS = 16  # to a turn: two phases fit into a byte
ONSET_WEIGHT = 2.0  # of a group's rise from frame to frame, in the distance of two blocks


@dataclass(frozen=True)
class BandCodebook:
    """Entries of one frequency band: blocks of the corpus that stand for those around them.

    Attributes:
        first, last: bins of the band.
        feature_first, feature_last: features of the band.
        mean: `(4 * features,)` of a block's log magnitudes.
        basis: `(4 * features, components)`: principal components of `onset_matrix`.
        components: `(entries, components)`.
        magnitudes: `(entries, 4, bins)`: the entries' own spectra, scaled by `power_gains`.
        phases: `(entries, 2, bins)` uint8: the entries' own, see `common_phases`.
        stereo_edges: bins at which stereo bands begin, and the last.
        gains: `(entries, stereo bands, channels, 2)`, see `BlockSpectra.channel_gains`.
    """

    first: int
    last: int
    feature_first: int
    feature_last: int
    mean: np.ndarray
    basis: np.ndarray
    components: np.ndarray
    magnitudes: np.ndarray
    phases: np.ndarray
    stereo_edges: np.ndarray
    gains: np.ndarray

    def encode(self, features: np.ndarray) -> np.ndarray:
        """Index of the nearest entry `(n,)` for log magnitudes `(n, 4, width)`."""
        part = features[:, :, self.feature_first : self.feature_last]
        points = (part.reshape(len(part), -1) - self.mean) @ self.basis
        return nearest(points, self.components)


def codebook_size(blocks: int, affordable: float = 0) -> int:
    """Entries for a corpus: a power of two, 16 to 1024.

    Args:
        blocks: of the corpus. An eighth of them are entries, or more, up to half of them.
        affordable: entries that there is training for.

    Example:
        >>> codebook_size(10_000), codebook_size(3_000), codebook_size(3_000, affordable=1_280)
        (1024, 256, 1024)
    """
    wanted = max(blocks / BLOCKS_PER_CODE, min(blocks / LEAST_BLOCKS_PER_CODE, affordable))
    return max(SMALLEST, min(LARGEST, 2 ** int(np.log2(max(1.0, wanted)))))


def band_edges(spectra: BlockSpectra) -> list[tuple[int, int, int, int]]:
    """The bands of the product code, from low to high.

    Args:
        spectra: geometry.

    Returns:
        Of each band its first bin and the one after its last, and likewise its features.

    Example:
        >>> band_edges(BlockSpectra(8000))
        [(0, 23, 0, 23), (23, 77, 23, 77), (77, 257, 77, 160)]
    """
    edges = spectra.band_edges
    frequencies = spectra.frequencies[edges[:-1]]
    limits = [limit for limit in BAND_LIMITS if limit < 0.4 * spectra.rate]
    cuts = [0, *(int(np.searchsorted(frequencies, limit)) for limit in limits), spectra.width]
    return [(int(edges[a]), int(edges[b]), a, b) for a, b in pairwise(cuts)]


def onset_matrix(width: int) -> np.ndarray:
    """What log magnitudes are multiplied by before they are compared, so that onsets count more.

    It keeps them and adds, for each group of neighbouring features, the rise of their mean from
    frame to frame. So the entry that stands for a block has its onset at the same place.

    Args:
        width: features of a frame.

    Returns:
        `(4 * width, 4 * width + 3 * groups)` float32.

    Example:
        >>> onset_matrix(8).shape
        (32, 44)
    """
    added = []
    for group in _feature_groups(width):
        rises = np.zeros((HOPS, width, HOPS - 1), np.float32)
        for frame in range(HOPS - 1):
            rises[frame, group, frame] = -1
            rises[frame + 1, group, frame] = 1
        # The mean over n features stands for all n.
        added.append(ONSET_WEIGHT / np.sqrt(len(group)) * rises.reshape(HOPS * width, -1))
    return np.concatenate([np.eye(HOPS * width, dtype=np.float32), *added], axis=1)


def stretch(segment: np.ndarray, spectra: BlockSpectra, first: int, count: int) -> np.ndarray:
    """Float audio `((count + 1) * block, channels)`: some blocks, and the one before them.

    Args:
        segment: int16 or float `(n,)` or `(n, channels)`; around it is silence.
        spectra: geometry.
        first: number of the first block.
        count: how many.
    """
    block = spectra.block
    part = np.asarray(segment[max(0, first - 1) * block : (first + count) * block])
    audio = part.astype(np.float32).reshape(len(part), -1)
    if part.dtype.kind == "i":
        audio /= np.float32(32768)
    before = 0 if first else block
    return np.pad(audio, ((before, (count + 1) * block - before - len(audio)), (0, 0)))


def fit_codebooks(
    segments: Sequence[np.ndarray],
    spectra: BlockSpectra,
    entries: int,
    components: int = 48,
    seed: int = 0,
) -> list[BandCodebook]:
    """Choose the entries of each band by k-means on principal components.

    The entry of a cluster is the real block nearest to its centre (its medoid): a mean of spectra
    would be a blur. Centres are means of logarithms, and so have less than the mean power, most
    where power changes most. So the entries of a band are scaled to the mean power of the blocks.

    Args:
        segments: stretches of the train part, `(n,)` or `(n, channels)`.
        spectra: geometry.
        entries: of each codebook.
        components: principal components kept, at most.
        seed: of the start.

    Raises:
        UserError: fewer than `2 * entries` blocks of audio.
    """
    rng = np.random.default_rng(seed)
    total = sum(len(s) // spectra.block for s in segments)
    if total < 2 * entries:
        raise UserError(
            f"{total} blocks of {spectra.block} samples are too few for codebooks of {entries}: "
            "use longer audio"
        )
    pieces = [
        (segment, first, min(CHUNK_BLOCKS, len(segment) // spectra.block - first))
        for segment in segments
        for first in range(0, len(segment) // spectra.block, CHUNK_BLOCKS)
    ]
    pieces = pieces[:: -(-total // FITTED_BLOCKS)]
    features = np.concatenate([_features(*piece, spectra) for piece in pieces])
    places = [(segment, first + i) for segment, first, count in pieces for i in range(count)]
    sizes = np.diff(spectra.band_edges)
    books: list[BandCodebook] = []
    for first, last, a, b in band_edges(spectra):
        part = features[:, :, a:b].reshape(len(features), -1)
        mean = part.mean(axis=0)
        centred, onsets = part - mean, onset_matrix(b - a)
        weighted = centred @ onsets
        basis = onsets @ np.linalg.eigh(weighted.T @ weighted)[1][:, ::-1][:, :components]
        points = centred @ basis
        chosen = medoids(points, entries, rng)
        edges = spectra.stereo_edges(first, last)
        sign = -1 if len(books) % 2 else 1  # so that no channel leads in the whole spectrum
        found = [
            spectra.spectra(stretch(segment, spectra, at, 1))
            for segment, at in (places[i] for i in chosen)
        ]
        gains = power_gains(features[:, :, a:b], sizes[a:b], points, chosen)
        power = np.stack([p[1, :, first:last] for p, _ in found])
        channels = np.stack([c[1] for _, c in found])
        channel_gains = spectra.channel_gains(channels, edges, sign)
        books.append(
            BandCodebook(
                first,
                last,
                a,
                b,
                mean,
                basis,
                points[chosen],
                np.sqrt(power * np.repeat(gains, sizes[a:b])).astype(np.float32),
                common_phases(channels[..., first:last], channel_gains, edges),
                edges,
                channel_gains,
            )
        )
    return books


def encode(segment: np.ndarray, spectra: BlockSpectra, books: Sequence[BandCodebook]) -> np.ndarray:
    """Codes of a stretch of audio.

    Args:
        segment: `(n,)` or `(n, channels)`, integers or floats.
        spectra: geometry.
        books: one for each band.

    Returns:
        `(blocks, bands)` int32.
    """
    return encode_shifted(segment, spectra, books, (0,))[0]


def encode_shifted(
    segment: np.ndarray, spectra: BlockSpectra, books: Sequence[BandCodebook], shifts: Sequence[int]
) -> list[np.ndarray]:
    """Codes of a stretch of audio for several places at which blocks begin.

    The frames are the same for all, and are computed once.

    Args:
        segment: `(n,)` or `(n, channels)`, integers or floats.
        spectra: geometry.
        books: one for each band.
        shifts: how many hops late the blocks begin, each 0 to 3.

    Returns:
        For each shift `(blocks, bands)` int32.
    """
    blocks = len(segment) // spectra.block
    whole = [(len(segment) - shift * spectra.hop) // spectra.block for shift in shifts]
    codes = [[np.zeros((0, len(books)), np.int32)] for _ in shifts]
    more = int(max(shifts) > 0)  # the last block of a shift ends in the next one
    for first in range(0, blocks, CHUNK_BLOCKS):
        count = min(CHUNK_BLOCKS, blocks - first)
        frames = _features(segment, first, count + more, spectra).reshape(-1, spectra.width)
        for found, shift, limit in zip(codes, shifts, whole, strict=True):
            n = max(0, min(count, limit - first))
            features = frames[shift : shift + HOPS * n].reshape(n, HOPS, spectra.width)
            found.append(np.stack([book.encode(features) for book in books], axis=1))
    return [np.concatenate(found).astype(np.int32) for found in codes]


def power_gains(
    features: np.ndarray, sizes: np.ndarray, points: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """What the power of entries is multiplied by, so that codes have the mean power of the blocks.

    Args:
        features: log magnitudes `(n, 4, width)` of a band.
        sizes: `(width,)`: bins of each feature.
        points: `(n, d)`: blocks as they are compared.
        chosen: `(entries,)`: the blocks that are entries.

    Returns:
        `(width,)`, the same for the features of a group.
    """
    power = np.exp(2 * features).mean(axis=1) * sizes
    coded = power[chosen][nearest(points, points[chosen])]
    gains = np.ones(len(sizes), np.float32)
    for group in _feature_groups(len(sizes)):
        gains[group] = power[:, group].sum() / coded[:, group].sum()
    return gains


def common_phases(spectra: np.ndarray, gains: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Phases of the one spectrum that comes nearest to all channels when it is given their gains.

    Args:
        spectra: complex `(n, 4, channels, bins)`.
        gains: `(n, stereo bands, channels, 2)`, see `BlockSpectra.channel_gains`.
        edges: bins at which stereo bands begin, and the last.

    Returns:
        `(n, 2, bins)` uint8: two frames to a byte, the first in its upper half, in sixteenths of a
        turn.
    """
    each = np.repeat(gains[..., 0] - 1j * gains[..., 1], np.diff(edges), axis=1)
    common = np.einsum("nfcb,nbc->nfb", spectra, each)
    steps = np.round(np.angle(common) * (PHASE_STEPS / (2 * np.pi))).astype(np.int32) % PHASE_STEPS
    return (PHASE_STEPS * steps[:, ::2] + steps[:, 1::2]).astype(np.uint8)


def _feature_groups(width: int) -> list[np.ndarray]:
    """Indices of neighbouring features, group by group."""
    return np.array_split(np.arange(width), min(GROUPS, width))


def _features(segment: np.ndarray, first: int, count: int, spectra: BlockSpectra) -> np.ndarray:
    """Log magnitudes `(count, 4, width)` of some blocks."""
    return spectra.features(spectra.power(stretch(segment, spectra, first, count)))[1:]
