"""How long free-running draws of codes follow one place of the train part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_rawaudio.metrics.patch_index import PatchIndex
from keras_rawaudio.metrics.reference import copy_limit
from keras_rawaudio.models.code_mel import log_mel_of_codes, mel_powers
from keras_rawaudio.models.copy_detector import READINGS
from keras_rawaudio.models.spectral_model import SpectralModel
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.code_draws import CodeDraws

NOTED_COPY = 4.0  # seconds; longer copies have a line on the console and in the report
STREAMS, SECONDS = 16, 60.0
EVERY = 0.5  # seconds from one stretch that is sought to the next
MEL_BANDS = 40  # as in the report
HELDOUT_SECONDS = 120.0  # of the validation part that is sought likewise


class CopyMeter:
    """Measures copies as the report does, on the log mel spectra of codes instead of audio.

    What the validation part has in common with the train part is no copy, unless it is exact.

    Args:
        model: draws as it is at each call.
        data: codes of the train part, and of the validation part.

    Attributes:
        limit: the correlation from which on two seconds are a copy.
    """

    def __init__(self, model: SpectralModel, data: CodeCorpus) -> None:
        self.model, powers = model, mel_powers(model.spectral_codec, MEL_BANDS)
        hop = model.block / model.rate
        train, heldout = (
            [log_mel_of_codes(codes, powers) for codes in data.read(part, model.frame, READINGS)]
            for part in ("train", "validation")
        )
        self.powers = powers
        begins = np.cumsum([0, *map(len, train[::READINGS])])[:-1]
        shifts = np.arange(READINGS) / READINGS
        self.index = PatchIndex(train, hop, np.add.outer(begins, shifts).ravel() * hop)
        blocks = round(SECONDS / hop)
        self.draws = CodeDraws(model, STREAMS, min(blocks, max(map(len, train))))
        found = self.index.matches_of(_first(heldout, round(HELDOUT_SECONDS / hop)), EVERY)
        best = max((match.best()[0] for match in found), default=0.0)
        self.limit = copy_limit(best)

    def longest(self, seed: int) -> np.ndarray:
        """Draw, and find in each stream the longest stretch that follows one place.

        Returns:
            `(16,)` seconds, 0 for none.
        """
        codes = self.draws(np.random.default_rng(seed)).transpose(1, 0, 2)
        spectra = [log_mel_of_codes(stream, self.powers) for stream in codes]
        matches = self.index.matches_of(spectra, EVERY)
        copies = [match.longest_copy(self.limit) for match in matches]
        return np.array([copy.seconds if copy else 0.0 for copy in copies])


def _first(segments: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    """The first frames of segments, `most` in all."""
    taken, left = [], most
    for segment in segments:
        taken.append(segment[:left])
        left -= len(taken[-1])
    return taken
