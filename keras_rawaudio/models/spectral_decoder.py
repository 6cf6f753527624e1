"""From the codes of blocks to audio."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.dsp.spectral_codebook import PHASE_STEPS
from keras_rawaudio.layers.phase_retrieval import PhaseRetrieval
from keras_rawaudio.models.controls import MOST_DRAWS, PLACE, paced
from keras_rawaudio.models.spectral_codec import CODES, SpectralCodec

ONSET = 1.4  # of a magnitude and the one before it: 3 dB
PHASES = ("waiting", "total", "overlap")
SPECTRA = ("magnitudes", "gains")  # the states that hold the spectra of the frames that wait
CODES_BEFORE = "earlier_codes"  # and the codes of the blocks before the latest
MOST_FRAMES = HOPS * (MOST_DRAWS + 1)  # of the blocks that frames of output lie in


class SpectralDecoder:
    """Magnitudes and first phases from codes; phases are made consistent while it plays.

    An entry has phases of its own. A bin goes on as they do from frame to frame, from where it was
    in the frame before. Where it is `ONSET` times as loud as before, it begins with them.

    At another tempo frames of output lie between those of the codes. Their magnitudes are
    interpolated, and phases go on as in the nearest frame, so that the pitch stays.

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

    def state_spec(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """Shape without the batch and first value of each tensor of its state, beside `CODES`."""
        bins, ahead = self.codec.spectra.bins, self.phases.look_ahead
        shapes = [(ahead, bins), (ahead, self.codec.channels, bins, 2)]
        shapes += self.phases.state_shapes()
        return {
            CODES_BEFORE: ((MOST_DRAWS, self.codec.bands), -1.0),
            PLACE: ((1,), HOPS - 1.0),
            **{n: (shape, 0.0) for n, shape in zip((*SPECTRA, *PHASES), shapes, strict=True)},
        }

    def pace(self, place: Any, tempo: Any, drawn: Any = 1.0) -> tuple[Any, Any]:
        """Places of the frames of the next block of audio, and how many blocks to draw for it.

        Args:
            place: `(B, 1)` of the frame before.
            tempo: `(B, 1)`.
            drawn: 1 where blocks are drawn; 0 where one is read, which is played as it is.

        Returns:
            As `paced`.
        """
        last = HOPS - 1.0
        place, tempo = last + drawn * (place - last), 1.0 + drawn * (tempo - 1.0)
        return paced(place, tempo, HOPS, HOPS)

    def moved(self, codes: Any, before: Any, new: Any, moves: Any) -> tuple[Any, Any]:
        """The latest codes `(B, bands)` and those before, with new ones where `moves` `(B, 1)`."""
        both = ops.concatenate([before[:, 1:], codes[:, None]], axis=1)
        return ops.where(moves, new, codes), ops.where(moves[..., None], both, before)

    def block_of_audio(self, places: Any, state: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """A block of audio `(B, block, channels)`, `delay` samples late, and the new state.

        Args:
            places: `(B, 4)` of its frames, from `pace`.
            state: holds the codes of the blocks that they lie in.
        """
        codes = [state[name] for name in (CODES, CODES_BEFORE)]
        waiting = [state[name] for name in SPECTRA]
        magnitudes, advance, onset, gains, *waiting = self.hop_spectra(places, *codes, *waiting)
        phases, hops = [state[name] for name in PHASES], []
        for hop in range(HOPS):
            each = ops.unstack(magnitudes[hop], self.phases.look_ahead + 1, axis=1)
            audio, phases = self.phases.hop_of_audio(
                each, advance[hop], onset[hop], gains[hop], phases
            )
            hops.append(audio)
        after = dict(zip((*SPECTRA, *PHASES), (*waiting, *phases), strict=True))
        return ops.concatenate(hops, axis=1), {**state, **after, PLACE: places[:, -1:]}

    def hop_spectra(
        self, places: Any, codes: Any, before: Any, magnitudes: Any, gains: Any
    ) -> tuple[Any, Any, Any, Any, Any, Any]:
        """What each hop of a block is made from.

        Args:
            places: `(B, 4)` of the new frames, from `pace`.
            codes: `(B, bands)` of the latest block.
            before: `(B, 2, bands)` of the blocks before it.
            magnitudes: `(B, look_ahead, bins)` of the frames that wait.
            gains: `(B, look_ahead, channels, bins, 2)` of them.

        Returns:
            Magnitudes `(4, B, look_ahead + 1, bins)` of the frames that wait and the new one; what
            the new one begins with, `advance` and `onset`, each `(4, B, bins, 2)`; the gains
            `(4, B, channels, bins, 2)` of the oldest; magnitudes and gains of the frames that wait
            then.
        """
        blocks = ops.concatenate([before, codes[:, None]], axis=1)
        count, (C, bins) = blocks.shape[1], (self.codec.channels, self.codec.spectra.bins)
        entries = ops.reshape(ops.cast(blocks, "int32"), (-1, self.codec.bands))
        m, g = self.codec.decode(entries)
        frames = np.arange(HOPS - MOST_FRAMES, HOPS, dtype="float32")
        weights = ops.maximum(1.0 - ops.abs(places[..., None] - frames), 0.0)
        # In 64 bits products are exact, so that all libraries find the same sum of two.
        m = ops.cast(ops.reshape(m, (-1, MOST_FRAMES, bins)), "float64")
        m = ops.cast(ops.matmul(ops.cast(weights, "float64"), m), "float32")
        shares = ops.sum(ops.reshape(weights, (-1, HOPS, count, HOPS)), axis=-1)
        g = ops.matmul(shares, ops.reshape(g, (-1, count, C * bins * 2)))
        g = ops.reshape(g, (-1, HOPS, C, bins, 2))
        m = ops.concatenate([magnitudes, m], axis=1)
        g = ops.concatenate([gains, g], axis=1)
        hops, ahead = range(HOPS), self.phases.look_ahead
        begins = m[:, ahead:] > ONSET * m[:, ahead - 1 : -1]
        return (
            ops.stack([m[:, h : h + ahead + 1] for h in hops], axis=0),
            *self._first_phases(places, entries, begins),
            ops.stack([g[:, h] for h in hops], axis=0),
            m[:, HOPS:],
            g[:, HOPS:],
        )

    def _first_phases(self, places: Any, entries: Any, begins: Any) -> tuple[Any, Any]:
        """`advance` and `onset` of new frames, each `(4, B, bins, 2)`.

        Args:
            places: `(B, 4)` of the frames.
            entries: `(B * blocks, bands)`: codes of the blocks that they lie in.
            begins: `(B, 4, bins)`: where something begins.
        """
        phases = self.codec.decode_phases(entries)
        bins = phases.shape[-1]
        steps = phases[:, 1:] - phases[:, :-1] + PHASE_STEPS
        steps = ops.concatenate([steps[:, :1], steps], axis=1)  # the first as the second
        nearest = ops.floor(places + 0.5) + (MOST_FRAMES - HOPS)
        chosen = ops.one_hot(ops.cast(nearest, "int32"), MOST_FRAMES)
        own, steps = (
            ops.matmul(chosen, ops.reshape(each, (-1, MOST_FRAMES, bins)))
            for each in (phases, steps)
        )
        steps = ops.where(begins, own, steps)
        turn = 2 * np.pi * np.arange(2 * PHASE_STEPS) / PHASE_STEPS
        circle = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype("float32")
        unit = ops.take(circle, ops.cast(steps, "int32"), axis=0)
        begins = ops.cast(begins, "float32")[..., None]
        return tuple(ops.transpose(unit * share, (1, 0, 2, 3)) for share in (1.0 - begins, begins))
