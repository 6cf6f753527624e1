"""When the recurrent state of a model of codes begins anew where it draws."""

from __future__ import annotations

import numpy as np

from keras_rawaudio.models.spectral_model import SpectralModel
from keras_rawaudio.training.code_balance import CodeBalance
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.console import Console
from keras_rawaudio.training.copy_meter import NOTED_COPY, CopyMeter

# Seconds: the longest memory with an end, and the factor from one to the next.
LONGEST, SHORTER = 20.0, 0.7
# This share of the streams may copy for `MARGIN` seconds less than allowed, at most. The longest
# copy of all streams differs from draw to draw.
QUANTILE, MARGIN = 0.75, 0.5
# Of the longest copy allowed: if more than a quarter of the streams copy for longer, they are
# interrupted.
COPIER = 0.5
# Under the correlation that the copy meter calls a copy: thresholds that are tried.
THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.35)
LEAST_VARIETY = 0.9  # different codes of the draws, over those of the train part
SHORTEST_VARIED = 5.0  # seconds: streams are not cut to pieces for the sake of variety
# Variances around the block before, over that of soft targets, of new beginnings that are tried:
# deviations of about once and twice the median distance of nearest entries.
NEARNESS = (16.0, 64.0)


class MemoryLimit:
    """Finds when a state begins anew, so that streams neither copy nor stay in one place.

    What copies for too long has its `CopyDetector` switched on, with the greatest threshold that
    suffices. At the end of training the memory has an end, after 20 s at most, and sooner if
    streams stay in one place. Then `MemoryLimit` finds how near the block before a state may begin
    anew, by the same two measures.

    Codes are balanced anew for all that is tried. One draw must not cost a threshold for
    good: so each search tries a greater one than the last search found.

    Args:
        model: its memory and threshold are set, and what `CodeBalance` moves.
        data: the corpus as codes.
        longest_copy: seconds; `None`: the memory has no end, and copies are not sought. They are
            sought where more than a quarter of the streams copy for more than half of it, or one
            for more than `MARGIN` less than it. Then three quarters of them copy for `MARGIN` less
            at most.
        console: says what was found.
    """

    def __init__(
        self, model: SpectralModel, data: CodeCorpus, longest_copy: float | None, console: Console
    ) -> None:
        self.model, self.longest_copy, self.console = model, longest_copy, console
        self.balance, self.copies = CodeBalance(model, data), CopyMeter(model, data)
        self.thresholds = [0.0]
        if model.copies and longest_copy is not None:
            self.thresholds += [self.copies.limit - less for less in THRESHOLDS]

    def find(self, updates: int, seed: int) -> float:
        """Search for the greatest threshold without long copies, from the next greater than it has.

        Args:
            updates: of biases, for each threshold.
            seed: of the draws.

        Returns:
            Seconds for which the streams that were drawn last follow one place of the train part.
        """
        return float(self._first_of([0], updates, seed).max())

    def find_anew(self, updates: int, seed: int) -> float:
        """`find`, but the memory has an end, and streams must not stay in one place.

        Where they do, they have fewer different codes than the train part. For that, memories get
        shorter down to the first of at most `SHORTEST_VARIED`.
        """
        if self.longest_copy is None:
            return self.find(updates, seed)
        copied = self._first_of(self.memories(), updates, seed)
        return float(self._begin_near(updates, seed, copied).max())

    def memories(self) -> list[int]:
        """Blocks of each memory that is tried, the longest first."""
        found: list[int] = []
        seconds = LONGEST
        while not found or seconds > SHORTEST_VARIED * SHORTER:
            found.append(int(seconds * self.model.rate / self.model.block))
            seconds *= SHORTER
        return found

    def _first_of(self, memories: list[int], updates: int, seed: int) -> np.ndarray:
        """Try the first memory and threshold, and then the next of that which is not enough."""
        before = self.model.memory_seconds, self._threshold()
        self.model.nearness.assign(0.0)
        memories, thresholds = list(memories), self._thresholds_from_next()
        while True:
            self.model.memory.assign(memories[0])
            if self.model.copies:
                self.model.copies.threshold.assign(thresholds[0])
            copied = self._balanced(updates, seed)
            if self._too_long(copied) and len(thresholds) > 1:
                thresholds.pop(0)
            elif self.balance.variety < LEAST_VARIETY and len(memories) > 1:
                memories.pop(0)
            else:
                break
        self._say(before, float(copied.max()))
        return copied

    def _begin_near(self, updates: int, seed: int, copied: np.ndarray) -> np.ndarray:
        """Begin anew as near the block before as copies and variety allow, or anywhere.

        Near that block a stream may be led back to what it copied: so none may copy for too long.
        """
        model, limit = self.model, self.longest_copy or np.inf
        anywhere = [np.array(weight) for weight in self.balance.weights]
        for nearness in NEARNESS:
            model.nearness.assign(nearness)
            near = self._balanced(updates, seed)
            short = not self._too_long(near) and near.max() <= limit
            if short and self.balance.variety >= LEAST_VARIETY:
                return near
        model.nearness.assign(0.0)
        for weight, value in zip(self.balance.weights, anywhere, strict=True):
            weight.assign(value)
        return copied

    def _balanced(self, updates: int, seed: int) -> np.ndarray:
        """Seconds of each stream's longest copy, after the codes were balanced."""
        tried = "".join(f", {words}" for words in self._settings() if words)
        self.console.progress(f"balancing the codes{tried}")
        self.balance.fit(updates, seed)
        return self.copies.longest(seed).round(1)

    def _settings(self) -> tuple[str, str]:
        """The memory and the threshold in words, empty where there is none."""
        seconds, threshold = self.model.memory_seconds, self._threshold()
        return (
            f"memory of {seconds:.1f} s" if seconds else "",
            f"no copies over a correlation of {threshold:.2f}" if threshold else "",
        )

    def _too_long(self, copied: np.ndarray) -> bool:
        """Whether streams copy for too long with the threshold that the model has."""
        if self.longest_copy is None:
            return False
        most = self.longest_copy - MARGIN
        usual = np.quantile(copied, QUANTILE, method="lower")
        if self._threshold():
            return bool(usual > most)
        return bool(usual > self.longest_copy * COPIER or copied.max() > most)

    def _thresholds_from_next(self) -> list[float]:
        """Those that are tried, from the next greater than the model has."""
        now = self._threshold()
        greater = sum(threshold > now + 1e-6 for threshold in self.thresholds[1:]) if now else 0
        return self.thresholds[greater:]

    def _threshold(self) -> float:
        copies = self.model.copies
        return float(np.asarray(copies.threshold)) if copies else 0.0  # of several devices, too

    def _say(self, before: tuple[float, float], copied: float) -> None:
        lines = []
        seconds, threshold = self.model.memory_seconds, self._threshold()
        if threshold != before[1]:
            rule = f"copies are interrupted from a correlation of {threshold:.2f} on"
            lines.append(rule if threshold else "no long copies: they are not interrupted")
        if seconds != before[0]:
            ends = f"begins anew after {seconds:.1f} s at the latest" if seconds else "has no end"
            lines.append(f"its state {ends}")
        if copied > NOTED_COPY:
            lines.append(f"follows the train part for {copied:g} s")
        for line in lines:
            self.console.line(f"{'':12}{line}")
