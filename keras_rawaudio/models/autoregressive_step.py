"""One step of a spectral model's prior, where audio is generated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops

from keras_rawaudio.models.carried_state import State
from keras_rawaudio.models.code_prior import CodePrior
from keras_rawaudio.models.code_sampler import AGE
from keras_rawaudio.models.controls import HOLD, MUSIC
from keras_rawaudio.models.copy_detector import PRODUCTS, CopyDetector
from keras_rawaudio.models.recognised_music import EVIDENCE, recognised, with_evidence
from keras_rawaudio.models.repetition_penalty import REPEATED, RepetitionPenalty
from keras_rawaudio.models.section_chain import SectionChain
from keras_rawaudio.models.spectral_codec import CODES, SpectralCodec


class AutoregressiveStep:
    """Moves the state of a prior by the block of codes before.

    It resets the recurrent layers where their memory ends or the stream copies, on a beat where
    there are beats, recognises the label of what is read where none is set, moves from section to
    section, and counts what was repeated.

    Args:
        codec: has the entries.
        prior: is moved.
        names: of the prior's state tensors, in its order.
        memory: `()`, blocks after which the recurrent layers are reset at the latest; 0: never.
        label_codes: `(labels, bands, codebook_size)`, logarithms of each label's code frequencies;
            None for a prior without labels.
        sections: says which section comes next; None for a prior without sections.
        copies: says whether a stream copies; None for a prior that may copy.
        penalty: counts what was repeated; None for a prior that may repeat.

    Attributes:
        states: names of the state tensors that it changes, where they are there.

    Call arguments:
        state: of the generator, or that of the prior, `CODES` and `AGE`, without controls.
        noise: `(B, bands + 1)` in [0, 1), or one column more with sections. The one after the bands
            decides where a memory ends, the last one which section comes next.
        drawn: 1 where the next block is drawn, so that it may be held; 0 where it is read.

    Returns:
        The prior's output `(B, units)` for the next block, and the state after it.

    Example:
        >>> from keras_rawaudio.models import SpectralModel
        >>> model = SpectralModel(8000, codebook_size=16, units=8)  # codes of three bands
        >>> state = {**model.zero_state(2), CODES: -ops.ones((2, 3)), AGE: ops.zeros((2, 1))}
        >>> hidden, state = model.step(state, ops.zeros((2, model.noise_per_draw)))
        >>> tuple(hidden.shape), state[AGE].numpy().tolist()
        ((2, 8), [[1.0], [1.0]])
    """

    def __init__(
        self,
        codec: SpectralCodec,
        prior: CodePrior,
        names: Sequence[str],
        memory: Any,
        label_codes: Any = None,
        sections: SectionChain | None = None,
        copies: CopyDetector | None = None,
        penalty: RepetitionPenalty | None = None,
    ) -> None:
        self.codec, self.prior, self.names = codec, prior, list(names)
        self.memory, self.label_codes = memory, label_codes
        self.sections, self.copies, self.penalty = sections, copies, penalty
        self.states = [*names, AGE, *([EVIDENCE] if prior.labels else [])]
        for part in (sections, copies, penalty):
            self.states += part.state_spec() if part else []

    def __call__(self, state: State, noise: Any, drawn: Any = 1.0) -> tuple[Any, State]:
        if self.prior.labels:
            state = with_evidence(state, self.label_codes, drawn)
        given = {**state, **recognised(state)}
        bands = self.codec.bands
        after: State = {}
        ends = self._memory_ends(given, noise[:, bands : bands + 1])
        if self.copies and PRODUCTS in state:
            copies, after = self.copies.step(state, drawn)
            ends = ops.logical_or(ends, ops.logical_and(copies, self._may_interrupt(given)))
        kept = 1.0 - ops.cast(ends, "float32") * drawn
        layers = self.names[: len(self.prior.stack.state_names())]
        given |= {name: given[name] * kept for name in layers}
        # A row that has read nothing has no block before.
        codes = ops.where(kept > 0.5, state[CODES], -1.0)
        entries = self.codec.look_up(ops.cast(codes, "int32"))
        after |= {AGE: state[AGE] * kept * drawn + 1.0}
        if self.sections:
            after |= self.sections.step(given, noise[:, bands + 1 :], drawn)
        if self.penalty and REPEATED in state:
            after |= self.penalty.step(state)
        hidden, values = self.prior.step(entries, [given[name] for name in self.names])
        after |= dict(zip(self.names, values, strict=True))
        if self.prior.labels:
            after[MUSIC] = state[MUSIC]  # what was recognised is not set
        if HOLD.name in state:
            held = state[HOLD.name] * drawn > 0.5
            after = {name: ops.where(held, state[name], new) for name, new in after.items()}
        return hidden, {**state, **after}

    def _memory_ends(self, state: State, noise: Any) -> Any:
        """`(B, 1)`: whether the state is reset, in the last quarter of `memory` blocks.

        That is on a beat, or anywhere where there are none.
        """
        age = state[AGE]
        left = ops.maximum(self.memory - age, 1.0)
        on_beat, beats = self._on_beat(state, self.memory / 4)
        due = ops.where(beats, ops.logical_or(on_beat, left <= 1.0), noise * left < 1.0)
        due = ops.logical_and(due, age >= 0.75 * self.memory)
        return ops.logical_and(due, self.memory > 0)

    def _may_interrupt(self, state: State) -> Any:
        """`(B, 1)`: whether what copies is reset: after a second, on a beat if there are beats."""
        assert self.copies
        on_beat, beats = self._on_beat(state, self.copies.second)
        there = ops.logical_or(on_beat, ops.logical_not(beats))
        return ops.logical_and(there, state[AGE] >= self.copies.second)

    def _on_beat(self, state: State, longest: Any) -> tuple[Any, Any]:
        """As `CodePrior.on_beat`; without a clock there are no beats."""
        if not self.prior.clock_harmonics:
            none = ops.zeros_like(state[AGE]) > 0
            return none, none
        _, clock, music = self.prior.split_state([state[name] for name in self.names])
        return self.prior.on_beat(clock, music, longest)
