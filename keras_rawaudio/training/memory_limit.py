"""How long the recurrent state of a model of codes may last where it draws."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.models.spectral_model import SpectralModel
from keras_rawaudio.training.code_balance import CodeBalance
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.copy_meter import NOTED_COPY, CopyMeter

# Seconds: the longest memory with an end, the shortest, and from one to the next.
LONGEST, SHORTEST, SHORTER = 3.5, 0.5, 0.8
MARGIN = 0.5  # seconds: streams that are drawn later, and as audio, copy for a little longer


class MemoryLimit:
    """Finds the longest memory with which streams do not copy for too long, and do not linger.

    Codes are balanced anew for each memory that is tried. A draw that copies by chance must not
    cost the memory for good: so each search tries a longer one than the last search found.

    Args:
        model: its memory, biases and truncation are set.
        data: the corpus as codes.
        longest_copy: seconds, of which `MARGIN` is left free; `None`: the memory has no end.
        console: says what was found.
    """

    def __init__(
        self, model: SpectralModel, data: CodeCorpus, longest_copy: float | None, console: Console
    ) -> None:
        self.model, self.longest_copy, self.console = model, longest_copy, console
        self.balance, self.copies = CodeBalance(model, data), CopyMeter(model, data)

    def find(self, updates: int, seed: int) -> float:
        """Search from the next longer memory than the model has.

        Args:
            updates: of biases, for each memory.
            seed: of the draws.

        Returns:
            Seconds for which the streams that were drawn last follow one place of the train part.
        """
        memories, now = self.memories(), self._memory()
        longer = sum(memory > now for memory in memories[1:]) if now else 0
        return self._first_of(memories[longer:], updates, seed, lingering=False)

    def find_anew(self, updates: int, seed: int) -> float:
        """Search from a memory without end, for one with which streams do not linger either."""
        return self._first_of(self.memories(), updates, seed, lingering=True)

    def memories(self) -> list[int]:
        """Blocks of each memory that is tried, the longest first; 0: without end."""
        found, seconds = [0], LONGEST
        while seconds >= SHORTEST:
            found.append(int(seconds * self.model.rate / self.model.block))
            seconds *= SHORTER
        return found

    def _first_of(self, memories: list[int], updates: int, seed: int, lingering: bool) -> float:
        before, reason, copied = self._memory(), "", 0.0
        for memory in memories:
            self.model.memory.assign(memory)
            self.balance.fit(updates, seed)
            copied = round(self.copies.longest(seed), 1)
            if self.longest_copy is None:
                break
            if copied > self.longest_copy - MARGIN:
                reason = f"follows the train part for {copied:g} s"
            elif lingering and self.balance.lingers:
                reason = "lingers on few codes"
            else:
                break
        self._say(before, reason, copied)
        return copied

    def _memory(self) -> int:
        return int(np.asarray(self.model.memory))  # of several devices, too

    def _say(self, before: int, reason: str, copied: float) -> None:
        lines = []
        if self._memory() != before:
            seconds = self.model.memory_seconds
            ends = f"begins anew after {seconds:.1f} s at the latest" if seconds else "has no end"
            lines.append(f"{reason or 'no long copies'}: its state {ends}")
        if copied > NOTED_COPY:
            lines.append(f"follows the train part for {copied:g} s")
        for line in lines:
            self.console.line(f"{'':12}{line}")
