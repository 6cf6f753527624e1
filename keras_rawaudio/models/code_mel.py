"""Log mel spectra of codes, without their audio."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.dsp.spectra import mel_filters
from keras_rawaudio.models.spectral_codec import SpectralCodec

POWER_FLOOR = 1e-8  # a sine of full scale has a power of 1


def mel_powers(codec: SpectralCodec, mel_bands: int) -> np.ndarray:
    """What each entry adds to the power of each mel band.

    Args:
        codec: has the entries.
        mel_bands: how many.

    Returns:
        `(bands, codebook_size, mel_bands)`.

    Example:
        >>> mel_powers(SpectralCodec(8000, codebook_size=16), 20).shape
        (3, 16, 20)
    """
    spectra = codec.spectra
    filters = mel_filters(codec.rate, spectra.fft_size, mel_bands)
    scale = (HOPS / spectra.fft_size) ** 2  # a sine of full scale reads 1
    first, powers = 0, []
    for magnitudes in codec.magnitudes:
        power = np.square(np.asarray(magnitudes, np.float32)).mean(axis=1) * scale
        powers.append(power @ filters[first : first + power.shape[1]])
        first += power.shape[1]
    return np.stack(powers)


def log_mel_of_codes(codes: np.ndarray, powers: np.ndarray) -> np.ndarray:
    """Natural log of the mel-band power of blocks.

    Args:
        codes: `(blocks, bands)` from 0.
        powers: by `mel_powers`.

    Returns:
        `(blocks, mel_bands)` float32.

    Example:
        >>> log_mel_of_codes(np.zeros((5, 3), int), np.ones((3, 16, 20))).shape
        (5, 20)
    """
    power = sum(band[code] for band, code in zip(powers, codes.T, strict=True))
    spectra: np.ndarray = np.log(power + POWER_FLOOR).astype(np.float32)
    return spectra
