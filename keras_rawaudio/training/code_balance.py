"""Free-running draws get the code frequencies of the train part, and as many different codes."""

from __future__ import annotations

from collections import deque

import numpy as np

from keras_rawaudio.models.recognised_music import code_counts
from keras_rawaudio.models.spectral_codec import SOFTNESS
from keras_rawaudio.models.spectral_model import SpectralModel
from keras_rawaudio.training.code_corpus import CodeCorpus
from keras_rawaudio.training.code_draws import CodeDraws
from keras_rawaudio.training.code_statistics import distinct_codes, moved_share

ROWS = 16  # streams drawn at a time
SECONDS = 15.0  # of each at most, for one update; no more than the train part has
UPDATES_PER_MINUTE = 4
AGES = 16  # updates for which a stream goes on: as many streams of each age are drawn at a time
PRIOR_COUNT = 2.0  # added to each count of draws
RATE = 0.25  # of the first update
LARGEST_STEP, LARGEST_BIAS = 2.0, 4.0  # nats
# Of the truncation: its rate beside that of the biases, its largest step and value.
MIN_P_RATE, LARGEST_MIN_P_STEP, LARGEST_MIN_P = 4.0, 0.025, 0.3
FIRST_MIN_P_UPDATE = 8  # draws by biases that are far off tell nothing of those to come
WINDOW_SECONDS = 10.0  # in which different codes are counted
# Of the repetition penalty: its rate beside that of the biases, its largest step and value in nats.
PENALTY_RATE, LARGEST_PENALTY_STEP, LARGEST_PENALTY = 8.0, 0.5, 15.0
LEAST_PENALTY = 1.0  # what is weaker in all bands is noise of the draws, and is left out
MOVED_SECONDS = 2.0  # after which a stream has moved or not
FAR = 4.0  # squared distance of what has moved, over the median one of nearest entries


class CodeBalance:
    """Moves biases, truncation and repetition penalty until free-running draws are like the piece.

    A model that reads its own draws meets states that training never showed it. Some codes become
    too frequent there, and some of these lead nowhere else: a stream falls quiet and stays so. Each
    update draws 15 s of codes, without audio, in several streams, and adds the logarithm of wanted
    over drawn frequency to each code's bias (stochastic approximation). A stream begins with
    nothing and goes on from update to update for four minutes (persistent chains): what it leads to
    may take that long.

    A model that is not sure draws improbable codes too, and goes on from there: its streams wander,
    over more different codes within ten seconds than the piece has. So `min_p` of a band rises by
    the logarithm of drawn over wanted number, and falls where streams have too few.

    A model that knows a chord well and not what comes after it holds the chord. So the repetition
    penalty of a band rises by the logarithm of wanted over drawn share of blocks that have moved
    within two seconds, and falls where streams move too much.

    Args:
        model: its `code_bias`, `min_p` and `penalty.strengths` move.
        data: the codes of the train part.

    Attributes:
        weights: of the model, those that move.
        variety: different codes in the last minute of draws, over those of the train part: within
            ten seconds or a minute, and in the band, where that is least.
        moved: `(bands,)`, share of blocks of the train part that have moved within two seconds.

    Reference:
        Robbins and Monro 1951, "A stochastic approximation method"; Tieleman 2008, "Training
        restricted Boltzmann machines using approximations to the likelihood gradient".
    """

    def __init__(self, model: SpectralModel, data: CodeCorpus) -> None:
        self.model = model
        counts = _counts(model, data)
        # Of each section of each label.
        self.frequencies = counts / np.maximum(counts.sum(axis=2, keepdims=True), 1)
        rows, hop = data.read("train", model.frame), model.block / model.rate
        blocks = min(round(SECONDS / hop), sum(map(len, rows)))
        self.draws = CodeDraws(model, ROWS, blocks)
        longest = max(map(len, rows))
        self.minute = min(UPDATES_PER_MINUTE * blocks, longest)
        self.window = min(round(WINDOW_SECONDS / hop), blocks, longest)
        self.distinct = {n: distinct_codes(rows, n) for n in (self.window, self.minute)}
        self.variety = 1.0
        self.weights = [model.code_bias, model.min_p]
        self.weights += [model.penalty.strengths] if model.penalty else []
        codec = model.spectral_codec
        self._entries = [np.asarray(entries) for entries in codec.entries]
        self._far = FAR * np.asarray(codec.softness) / SOFTNESS
        self._lag = max(1, min(round(MOVED_SECONDS / hop), blocks - 1))
        self.moved = moved_share(rows, self._entries, self._far, self._lag)

    def fit(self, updates: int, seed: int) -> list[float]:
        """Draw, and move all three some times, from zero, by less each time.

        All streams are new at the first update, then the oldest of them.

        Args:
            updates: how many times, a minute of them (4) at least.
            seed: of the draws.

        Returns:
            For each update the Kullback-Leibler divergence of drawn from wanted frequencies before
            it, in bits per code.
        """
        for weight in self.weights:
            weight.assign(np.zeros(weight.shape))
        rng = np.random.default_rng(seed)
        divergences: list[float] = []
        last: deque[np.ndarray] = deque(maxlen=UPDATES_PER_MINUTE)
        for update in range(updates):
            oldest = slice(update % AGES, None, AGES) if update else slice(None)
            codes, rate = self.draws(rng, oldest), RATE / (1 + update / UPDATES_PER_MINUTE) ** 0.5
            last.append(codes)
            if update >= FIRST_MIN_P_UPDATE:
                streams = codes.transpose(1, 0, 2)
                self._move_min_p(rate, streams)
                self._move_penalty(rate, streams)
            divergences.append(self._move_bias(rate, codes))
        penalty = self.model.penalty
        if penalty and np.max(np.asarray(penalty.strengths)) < LEAST_PENALTY:
            penalty.strengths.assign(np.zeros(self.model.frame))
        streams = np.concatenate(last).transpose(1, 0, 2)
        self.variety = min(float(self._distinct_ratio(streams, n).min()) for n in self.distinct)
        return divergences

    def _distinct_ratio(self, streams: np.ndarray, window: int) -> np.ndarray:
        """`(bands,)`: different codes within a window of draws, over those of the train part."""
        return distinct_codes(streams, window) / self.distinct[window]

    def _move_min_p(self, rate: float, streams: np.ndarray) -> None:
        ratio = self._distinct_ratio(streams, self.window)
        step = np.clip(MIN_P_RATE * rate * np.log(ratio), -LARGEST_MIN_P_STEP, LARGEST_MIN_P_STEP)
        self.model.min_p.assign(np.clip(np.asarray(self.model.min_p) + step, 0.0, LARGEST_MIN_P))

    def _move_penalty(self, rate: float, streams: np.ndarray) -> None:
        if not self.model.penalty:
            return
        moved = moved_share(streams, self._entries, self._far, self._lag)
        least = 1.0 / streams[..., 0].size  # of one block
        step = PENALTY_RATE * rate * np.log((self.moved + least) / (moved + least))
        step = np.clip(step, -LARGEST_PENALTY_STEP, LARGEST_PENALTY_STEP)
        strengths = np.asarray(self.model.penalty.strengths) + step
        self.model.penalty.strengths.assign(np.clip(strengths, 0.0, LARGEST_PENALTY))

    def _move_bias(self, rate: float, codes: np.ndarray) -> float:
        _, bands, levels = self.frequencies.shape
        codes = codes.reshape(-1, bands)
        counts = np.stack([np.bincount(band, minlength=levels) for band in codes.T]) + PRIOR_COUNT
        drawn = counts / counts.sum(axis=1, keepdims=True)
        wanted = self._wanted() + PRIOR_COUNT / len(codes)
        wanted = wanted / wanted.sum(axis=1, keepdims=True)
        difference = np.log(wanted / drawn)
        bias = np.asarray(self.model.code_bias)
        bias = bias + rate * np.clip(difference, -LARGEST_STEP, LARGEST_STEP)
        self.model.code_bias.assign(np.clip(bias, -LARGEST_BIAS, LARGEST_BIAS))
        return float((wanted * difference).sum(axis=1).mean() / np.log(2))

    def _wanted(self) -> np.ndarray:
        """The code frequencies of the sections that were drawn, in the shares that they had there.

        Few streams have not all of many labels, and of sections not each for as long as the piece.
        """
        count = len(self.frequencies)
        shares = np.ones(count)
        if self.model.sections:
            shares *= np.bincount(self.draws.sections.ravel(), minlength=count)
        elif self.model.labels:
            shares *= self.draws.music.sum(axis=0)
        shares /= shares.sum()
        wanted: np.ndarray = np.tensordot(shares, self.frequencies, 1)
        return wanted


def _counts(model: SpectralModel, data: CodeCorpus) -> np.ndarray:
    """How often each section of each label has each code, `(labels * sections, bands, levels)`."""
    rows = data.segments("train")
    labels = data.labels("train") or [0] * len(rows)
    if model.sections:
        blocks = [row.reshape(-1, model.frame) - 1 for row in rows]
        return model.sections.code_counts(blocks, labels)
    levels = model.spectral_codec.codebook_size
    return code_counts(rows, labels, (max(1, len(model.labels)), model.frame, levels))
