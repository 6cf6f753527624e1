"""How long free-running draws of codes follow one place of the train part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.dsp.spectra import mel_filters
from keras_rawaudio.metrics.patch_index import PatchIndex
from keras_rawaudio.metrics.reference import COPY, SIMILARITY_MARGIN
from keras_rawaudio.models.spectral_model import SpectralModel
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.code_draws import CodeDraws

NOTED_COPY = 4.0  # seconds; longer copies have a line on the console and in the report
STREAMS, SECONDS = 8, 60.0
EVERY = 0.5  # seconds from one stretch that is sought to the next
HELDOUT_SECONDS = 120.0  # of the validation part that is sought likewise
MEL_BANDS = 40


class CopyMeter:
    """Measures copies as the report does, on the log mel spectra of codes instead of audio.

    What the validation part has in common with the train part is no copy.

    Args:
        model: draws as it is at each call.
        data: codes of the train part, and of the validation part.

    Attributes:
        limit: the correlation from which on two seconds are a copy.
    """

    def __init__(self, model: SpectralModel, data: CodeCorpus) -> None:
        self.model, self.mel = model, _mel_power(model)
        hop = model.block / model.rate
        train, heldout = (
            [self._log_mel(codes) for codes in data.read_once(part, model.frame)]
            for part in ("train", "validation")
        )
        self.index = PatchIndex(train, hop)
        blocks = round(SECONDS / hop)
        self.draws = CodeDraws(model, STREAMS, min(blocks, max(map(len, train))))
        found = self.index.matches_of(_first(heldout, round(HELDOUT_SECONDS / hop)), EVERY)
        best = max((match.best()[0] for match in found), default=0.0)
        self.limit = max(COPY, best + SIMILARITY_MARGIN)

    def longest(self, seed: int) -> float:
        """Draw, and find the longest stretch in seconds that follows one place; 0 for none."""
        codes = self.draws(np.random.default_rng(seed)).transpose(1, 0, 2)
        matches = self.index.matches_of([self._log_mel(stream) for stream in codes], EVERY)
        copies = [match.longest_copy(self.limit) for match in matches]
        return max((copy.seconds for copy in copies if copy), default=0.0)

    def _log_mel(self, codes: np.ndarray) -> np.ndarray:
        """Natural log of mel-band power `(blocks, 40)` of codes `(blocks, bands)` from 0."""
        power = sum(mel[code] for mel, code in zip(self.mel, codes.T, strict=True))
        return np.log(power + 1e-8).astype(np.float32)


def _mel_power(model: SpectralModel) -> list[np.ndarray]:
    """The power that each entry of a band adds to the mel bands: `(codebook_size, 40)` each."""
    codec = model.spectral_codec
    spectra = codec.spectra
    filters = mel_filters(model.rate, spectra.fft_size, MEL_BANDS)
    scale = (HOPS / spectra.fft_size) ** 2  # a sine of full scale reads 1
    first, powers = 0, []
    for magnitudes in codec.magnitudes:
        power = np.square(np.asarray(magnitudes, np.float32)).mean(axis=1) * scale
        powers.append(power @ filters[first : first + power.shape[1]])
        first += power.shape[1]
    return powers


def _first(segments: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    """The first frames of segments, `most` in all."""
    taken, left = [], most
    for segment in segments:
        taken.append(segment[:left])
        left -= len(taken[-1])
    return taken
