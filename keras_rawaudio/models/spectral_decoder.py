"""From the codes of a block to its audio."""

from __future__ import annotations

from typing import Any

from keras import ops

from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.layers.phase_retrieval import PhaseRetrieval
from keras_rawaudio.models.spectral_codec import CODES, SpectralCodec

PHASES = ("waiting", "total", "overlap")


class SpectralDecoder:
    """Magnitudes from codes, phases by iteration while it plays.

    Args:
        codec: has the entries.

    Attributes:
        phases: finds the phases.
        delay: samples by which audio comes later than its codes.
    """

    def __init__(self, codec: SpectralCodec) -> None:
        self.codec = codec
        self.phases = PhaseRetrieval(codec.spectra.fft_size, codec.channels)
        self.delay = self.phases.delay

    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes (without the batch) of its state, beside `CODES`."""
        return dict(zip(PHASES, self.phases.state_shapes(), strict=True))

    def block_of_audio(self, codes: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """A block of audio `(B, block, channels)`, `delay` samples late, and the new state.

        Args:
            codes: `(B, bands)` int32 of the new block.
            state: holds those of the block before.
        """
        magnitudes, gains = self.hop_spectra(ops.cast(state[CODES], "int32"), codes)
        phases, hops = [state[name] for name in PHASES], []
        for hop in range(HOPS):
            waiting = ops.unstack(magnitudes[hop], HOPS, axis=1)
            audio, phases = self.phases.hop_of_audio(waiting, gains[hop], phases)
            hops.append(audio)
        after = dict(zip(PHASES, phases, strict=True))
        after[CODES] = ops.cast(codes, "float32")
        return ops.concatenate(hops, axis=1), {**state, **after}

    def hop_spectra(self, before: Any, codes: Any) -> tuple[Any, Any]:
        """What each hop of a block is made from.

        Args:
            before: `(B, bands)` int32 of the block before.
            codes: of the block.

        Returns:
            Magnitudes `(4, B, 4, bins)` of the frames that wait and the new one, and the gains
            `(4, B, channels, bins, 2)` of the oldest.
        """
        (m0, g0), (m1, g1) = self.codec.decode(before), self.codec.decode(codes)
        both = ops.concatenate([m0, m1], axis=1)
        magnitudes = ops.stack([both[:, h + 1 : h + 1 + HOPS] for h in range(HOPS)], axis=0)
        return magnitudes, ops.stack([g0, g0, g0, g1], axis=0)
