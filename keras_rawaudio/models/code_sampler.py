"""Draws the codes of a block, band after band."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_rawaudio.models.code_prior import KEY_WIDTH, CodePrior
from keras_rawaudio.models.controls import DENSITY, HOLD
from keras_rawaudio.models.repetition_penalty import REPEATED, RepetitionPenalty
from keras_rawaudio.models.section_chain import SECTION, SectionChain
from keras_rawaudio.models.spectral_codec import CODES, SpectralCodec

AGE = "age"  # the state that counts blocks since the prior's state began; those read are one


class CodeSampler:
    """Draws codes from the logits of a prior.

    A block with which the prior's state begins anew is drawn in its section: probabilities are
    multiplied by how much more frequent a code is there. If its memory ended, the block may be
    drawn near the one before, too: probabilities are weighted by a Gaussian around its entries.

    Args:
        codec: has the entries.
        prior: compares its queries with their keys.
        bias: `(bands, codebook_size)`, added to the logits where the generator draws.
        min_p: `(bands,)`, the least probability of a code that is drawn, as a share of the
            greatest.
        nearness: `()`, the variance of that Gaussian, over that of soft targets; 0: there is none.
        sections: says how much more frequent codes are in each; None for a model without.
        penalty: what is repeated becomes less probable by; None for a model without.

    Example:
        >>> from keras_rawaudio.models import SpectralModel
        >>> model = SpectralModel(8000, codebook_size=16, units=8)  # codes of three bands
        >>> hidden, noise, keys = ops.zeros((2, 8)), ops.zeros((2, 3)), model.sampler.drawing_keys()
        >>> tuple(model.sampler.draw(hidden, noise, ops.ones((2, 1)), keys).shape)
        (2, 3)

    Reference:
        Nguyen et al. 2025, "Turning up the heat: min-p sampling for creative and coherent LLM
        outputs".
    """

    def __init__(
        self,
        codec: SpectralCodec,
        prior: CodePrior,
        bias: Any,
        min_p: Any,
        nearness: Any,
        sections: SectionChain | None = None,
        penalty: RepetitionPenalty | None = None,
    ) -> None:
        self.codec, self.prior, self.bias = codec, prior, bias
        self.min_p, self.nearness = min_p, nearness
        self.sections, self.penalty = sections, penalty

    def entry_keys(self) -> list[Any]:
        """What queries are compared with: keys and biases of the entries of each band."""
        bands = range(self.codec.bands)
        return [self.prior.keys(band, self.codec.scaled_entries(band)) for band in bands]

    def drawing_keys(self) -> list[Any]:
        """`entry_keys` as the generator draws with them, and the entries' onset strengths.

        All of it is computed once, before the blocks.
        """
        both = zip(self.entry_keys(), self.codec.onset_strengths(), strict=True)
        return [
            (key, bias + self.bias[band], onset) for band, ((key, bias), onset) in enumerate(both)
        ]

    def draw(
        self,
        hidden: Any,
        noise: Any,
        temperature: Any,
        keys: list[Any],
        state: dict[str, Any] | None = None,
    ) -> Any:
        """Codes `(B, bands)` int32 of a block.

        Args:
            hidden: `(B, units)`.
            noise: `(B, bands)` or more columns, in [0, 1): where in each cumulative
                distribution.
            temperature: `(B, 1)`.
            keys: from `drawing_keys`.
            state: `codes` of the block before with the `age` of the prior's state, the `section`,
                what was `repeated`, and the controls `density` and `hold`; None, or what is not
                there: as trained.
        """
        state = state or {}
        lower_bands = ops.zeros((ops.shape(hidden)[0], KEY_WIDTH))
        codes = []
        for band in range(self.codec.bands):
            logits = self.prior.logits(band, hidden, lower_bands, keys[band])
            if AGE in state:
                logits = logits + self._nearness(band, state)
                if self.sections and SECTION in state:
                    ratio = self.sections.log_ratio(band, state[SECTION])
                    logits = logits + ops.where(state[AGE] == 1, ratio, 0.0)
            if self.penalty and REPEATED in state:
                logits = logits - self.penalty.of(band, state)
            if DENSITY.name in state:
                logits = logits + state[DENSITY.name] * keys[band][2]
            scaled = logits / temperature
            weights = ops.exp(scaled - ops.max(scaled, axis=-1, keepdims=True))
            weights = ops.where(weights < self.min_p[band], 0.0, weights)
            cumulative = ops.cumsum(weights, axis=-1)
            quantile = noise[:, band : band + 1] * cumulative[:, -1:]
            below = ops.cast(cumulative <= quantile, "int32")
            # Rounding may leave nothing above the last entry.
            code = ops.minimum(ops.sum(below, axis=-1), self.codec.codebook_size - 1)
            if HOLD.name in state:
                before = ops.cast(state[CODES][:, band], "int32")
                code = ops.where(state[HOLD.name][:, 0] > 0.5, before, code)
            codes.append(code)
            if band < self.codec.bands - 1:
                entry = ops.take(self.codec.scaled_entries(band), code, axis=0)
                lower_bands = lower_bands + self.prior.embed(band, entry)
        return ops.stack(codes, axis=1)

    def _nearness(self, band: int, state: dict[str, Any]) -> Any:
        """Logits `(B, codebook_size)` of what a state that begins anew goes on with, or 0."""
        before = ops.cast(state[CODES][:, band], "int32")
        first = ops.logical_and(state[AGE] == 1, state[CODES][:, :1] >= 0)
        first = ops.logical_and(first, self.nearness > 0)
        logits = self.codec.nearness(band, ops.maximum(before, 0))
        return ops.where(first, logits / ops.maximum(self.nearness, 1.0), 0.0)
