"""How long the recurrent state of a model of codes may last where it draws."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.models.spectral_model import SpectralModel
from keras_rawaudio.training.code_balance import CodeBalance
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.copy_meter import NOTED_COPY, CopyMeter

# Seconds: the longest memory with an end, the shortest, and from one to the next.
LONGEST, SHORTEST, SHORTER = 20.0, 0.5, 0.7
MARGIN = 0.5  # seconds: streams that are drawn later, and as audio, copy for a little longer
# Of the longest copy allowed. The longest copy of eight streams is random: what copies for
# half as long with a memory that would allow more copies for longer in other streams.
COPIER = 0.5
LEAST_VARIETY = 0.9  # different codes of the draws, over those of the train part
SHORTEST_VARIED = 5.0  # seconds: streams are not cut to pieces for the sake of variety
# Variances around the block before, over that of soft targets, of new beginnings that are tried:
# deviations of about once and twice the median distance of nearest entries.
NEARNESS = (16.0, 64.0)


class MemoryLimit:
    """Finds the longest memory with which streams neither copy for too long nor stay in one place.

    At the end of training it has an end, after 20 s at most. Then `MemoryLimit` finds how near the
    block before a state may begin anew, by the same two measures.

    Codes are balanced anew for each memory that is tried. A draw that copies by chance must not
    cost the memory for good: so each search tries a longer one than the last search found.

    Args:
        model: its memory, biases and truncation are set.
        data: the corpus as codes.
        longest_copy: seconds; `None`: the memory has no end. Half of them may be copied with a
            memory that is longer, all but `MARGIN` with one that is not.
        console: says what was found.
    """

    def __init__(
        self, model: SpectralModel, data: CodeCorpus, longest_copy: float | None, console: Console
    ) -> None:
        self.model, self.longest_copy, self.console = model, longest_copy, console
        self.balance, self.copies = CodeBalance(model, data), CopyMeter(model, data)

    def find(self, updates: int, seed: int) -> float:
        """Search for the longest memory without long copies, from the next longer than it has.

        A copy may last as long as a memory. So what copies is given one under `longest_copy`.

        Args:
            updates: of biases, for each memory.
            seed: of the draws.

        Returns:
            Seconds for which the streams that were drawn last follow one place of the train part.
        """
        return self._first_of(self._against_copies(), updates, seed)

    def find_anew(self, updates: int, seed: int) -> float:
        """`find`, but memories of 20 s and less are tried, and streams must not stay in one place.

        Where they do, they have fewer different codes than the train part. For that, memories get
        shorter down to the first of at most `SHORTEST_VARIED`.
        """
        if self.longest_copy is None:
            return self.find(updates, seed)
        long = [memory for memory in self.memories()[1:] if not self._under_copies(memory)]
        short = [memory for memory in self._against_copies() if memory]
        copied = self._first_of([*long, *short], updates, seed, LEAST_VARIETY)
        return self._begin_near(updates, seed, copied)

    def memories(self) -> list[int]:
        """Blocks of each memory that is tried, the longest first; 0: without end."""
        found, seconds = [0], LONGEST
        while seconds >= SHORTEST:
            found.append(int(seconds * self.model.rate / self.model.block))
            seconds *= SHORTER
        return found

    def _under_copies(self, memory: int) -> bool:
        limit = np.inf if self.longest_copy is None else self.longest_copy
        return 0 < memory * self.model.block / self.model.rate <= limit

    def _against_copies(self) -> list[int]:
        """No end or the next longer memory than the model has, its own, and all shorter ones."""
        memories = [0, *filter(self._under_copies, self.memories())]
        now = self._memory()
        longer = sum(memory > now for memory in memories[1:]) if now else 0
        return memories[longer:]

    def _first_of(
        self, memories: list[int], updates: int, seed: int, least_variety: float = 0.0
    ) -> float:
        before, reason, copied = self._memory(), "", 0.0
        self.model.nearness.assign(0.0)
        for memory in memories:
            if self._too_long(copied) and not self._under_copies(memory):
                continue
            self.model.memory.assign(memory)
            copied = self._balanced(updates, seed)
            if self._too_long(copied):
                reason = f"follows the train part for {copied:g} s"
            elif self.balance.variety < least_variety and self._may_shorten():
                reason = "stays in one place"
            else:
                break
        self._say(before, reason, copied)
        return copied

    def _begin_near(self, updates: int, seed: int, copied: float) -> float:
        """Begin anew as near the block before as copies and variety allow, or anywhere."""
        model = self.model
        anywhere = [np.array(weight) for weight in (model.code_bias, model.min_p)]
        for nearness in NEARNESS:
            model.nearness.assign(nearness)
            near = self._balanced(updates, seed)
            if not self._too_long(near) and self.balance.variety >= LEAST_VARIETY:
                return near
        model.nearness.assign(0.0)
        for weight, value in zip((model.code_bias, model.min_p), anywhere, strict=True):
            weight.assign(value)
        return copied

    def _balanced(self, updates: int, seed: int) -> float:
        """Seconds of the longest copy, after the codes were balanced."""
        seconds = self.model.memory_seconds
        tried = f", memory of {seconds:.1f} s" if seconds else ""
        self.console.progress(f"balancing the codes{tried}")
        self.balance.fit(updates, seed)
        return round(self.copies.longest(seed), 1)

    def _too_long(self, copied: float) -> bool:
        """Whether streams copy for too long with the memory that the model has."""
        if self.longest_copy is None:
            return False
        if self._under_copies(self._memory()):
            return copied > self.longest_copy - MARGIN
        return copied > self.longest_copy * COPIER

    def _may_shorten(self) -> bool:
        return self.model.memory_seconds > SHORTEST_VARIED

    def _memory(self) -> int:
        return int(np.asarray(self.model.memory))  # of several devices, too

    def _say(self, before: int, reason: str, copied: float) -> None:
        lines = []
        if self._memory() != before:
            seconds = self.model.memory_seconds
            ends = f"begins anew after {seconds:.1f} s at the latest" if seconds else "has no end"
            reason = reason or ("no long copies" if before else "")
            lines.append(f"{reason}: its state {ends}" if reason else f"its state {ends}")
        if copied > NOTED_COPY:
            lines.append(f"follows the train part for {copied:g} s")
        for line in lines:
            self.console.line(f"{'':12}{line}")
