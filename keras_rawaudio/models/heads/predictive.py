"""Audio to fit an outline: logistics around the predictions of a filter bank."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.models.bands import powers
from keras_rawaudio.models.cells import cell_edges
from keras_rawaudio.models.filter_bank import FLOOR, FilterBank
from keras_rawaudio.models.heads.base import Head
from keras_rawaudio.models.innovations import InnovationNetwork
from keras_rawaudio.models.outline import Outline

UNIFORM = 1e-3  # share of a uniform distribution, so that no cell is impossible
# Quantiles of the train part that free running stays within: of the scale of errors, of one error.
CEILING = 0.999
REACH = 0.9975
QUIETER = float(np.exp(-1.5))  # what is louder than its word shrinks no further than to this share
# Temperatures that samples and words are drawn at where 1 is asked for: a model's doubts are partly
# those of one that has read little, and chance adds up in free running.
SAMPLES, WORDS = 0.9, 0.8
# Samples get less or more of it, by these shares at most, until a stream is as loud as its words
# are, less AIM: in a frame that is louder it shrinks by SLOWLY times the difference, which takes
# seconds to tell. Levels are quarters of a logarithm of power: AIM are 1.4 dB.
LESS, MORE = -0.25, 0.1
SLOWLY, AIM = 0.01, 0.08
WORD = "head_word"  # the last word, among a model's states
TAIL = 1e-5  # draws keep this far from 0 and 1
LOOKED_AT = 64  # samples that the level of the moment is read from
STRETCHES, STRETCH = 64, 8192  # audio that limits are found on: how many stretches, how long


@keras.saving.register_keras_serializable("keras_rawaudio")
class PredictiveHead(Head):
    """Draws each frame in two steps: a word of the `Outline` for it, then its samples, a bunch at
    a time.

    What the tier says is the word and nothing else. A `FilterBank` predicts the next samples in
    several ways; their errors of late, the last samples, the word and the clock tell a small
    network which filters to trust, and how a mixture of logistics lies about what they predict:
    means `p + g * delta`, scales `g * exp(s)`, and weights, where `g` is the mean size of the last
    errors. It starts near zero, so that an untrained model is an adaptive predictor already.
    Within a bunch each prediction rests on the samples just drawn; only the network does not
    run again. Where what was drawn is louder than its word, what is added to it shrinks as much.
    All chance is a little less than the likelihood has it, see `SAMPLES` and `WORDS`; and a stream
    that is louder than its words for seconds gets slowly less of it, a quieter one more.

    Samples are floats relative to the train part's peak; nothing is quantised. Bits are counted on
    mu-law cells, as the mass of the mixture on the cell that the sample falls into, and the cost
    of the word is shared out among the samples of its frame.

    Args:
        words: of the outline.
        filters: of the bank.
        order: past samples that a filter sees, a multiple of `bunch`.
        width: width of the hidden layers.
        layers: hidden layers, 1 or more.
        mixtures: logistics in the mixture.
        levels: mu-law cells that bits are counted on.
        bunch: samples that the network draws at a time: the more, the fewer times it runs.
        dropout: share of what the network sees and says within that is left out in training.

    Example:
        >>> head = PredictiveHead(words=8, filters=4, order=32, width=16)
        >>> head.build_for(16, frame=32)
        >>> recent = keras.ops.zeros((1, head.context - 1 + 64))
        >>> state = [keras.ops.zeros((1, *shape)) for _, shape in head.state_spec()]
        >>> mixture, state = head(recent, keras.ops.zeros((1, 2, 16)), state)
        >>> head.loss(mixture, keras.ops.zeros((1, 64))).shape
        TensorShape([1, 64])

    Reference:
        Salimans et al. 2017, "PixelCNN++", section 2.1 (logistics on cells); Valin and Skoglund
        2019, "LPCNet", section 2.2 (a network around a linear prediction); Vipperla et al. 2020,
        "Bunched LPCNet" (several samples each time that the network runs).
    """

    kind = "predictive"
    per_sample = False
    measure = "bits_per_sample"
    kept = 2

    def __init__(
        self,
        words: int = 128,
        filters: int = 32,
        order: int = 256,
        width: int = 256,
        layers: int = 2,
        mixtures: int = 4,
        levels: int = 256,
        bunch: int = 8,
        dropout: float = 0.15,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if layers < 1 or mixtures < 1:
            raise ValueError("a predictive head needs layers, mixtures >= 1")
        self.heard = 0  # the last numbers of the conditioning, which tell the time
        self.words = words
        self.filters = filters
        self.order = order
        self.width = width
        self.layers = layers
        self.mixtures = mixtures
        self.levels = levels
        self.bank = FilterBank(filters, order, bunch, name="bank")
        self.noise_per_sample = mixtures + 2
        self.dropout = dropout

    def conditioning_width(self) -> None:
        return None

    def build_for(self, width: int, frame: int) -> None:
        F = self.bank.frame
        if frame % F or frame < LOOKED_AT // 2:
            raise ValueError(
                f"a predictive head needs a tier whose frame is a multiple of {F} and "
                f"{LOOKED_AT // 2} samples or more, not {frame}"
            )
        self.frame = frame
        self.steps = frame // F
        self.outline = Outline(self.words, frame, name="outline")
        self.context = max(self.order + F, 2 * frame + 1, LOOKED_AT)
        self.outline.build_for(width - self.heard)
        self.bank.build_weights()
        self.network = InnovationNetwork(
            filters=self.filters,
            bunch=F,
            steps=self.steps,
            width=self.width,
            layers=self.layers,
            mixtures=self.mixtures,
            dropout=self.dropout,
            name="network",
        )
        self.network.build_for(self.words, self.outline.bands.features, self.heard)
        # The greatest `g`, and how far a draw may lie from the prediction: nothing louder than the
        # train part ever starts to feed itself.
        self.ceiling = self.add_weight(
            shape=(1,), initializer="ones", trainable=False, name="ceiling"
        )
        self.reach = self.add_weight(shape=(1,), initializer="ones", trainable=False, name="reach")
        self.built = True

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        return [*self.bank.state_spec(), ("chance", (1,)), ("word", (self.words,))]

    def fit(self, segments: Any) -> None:
        """Fit bank, vocabulary and limits: `segments` of the train part, relative to the peak."""
        if max(map(len, segments)) < 2 * max(self.context, self.frame * self.words // 8):
            raise UserError(
                f"the audio is too short for linear prediction of order {self.order} and an "
                f"outline of {self.words} words of {self.frame} samples; use longer audio, or "
                "a lower head.order and head.words"
            )
        self.bank.fit(segments)
        self.outline.fit(segments)
        rng = np.random.default_rng(0)
        scales, errors = [], []
        length = min(STRETCH, max(map(len, segments)) - self.context) // self.frame * self.frame
        long = [s for s in segments if len(s) >= self.context + length]
        for _ in range(STRETCHES):
            segment = long[rng.integers(len(long))]
            start = rng.integers(len(segment) - self.context - length + 1)
            x = ops.convert_to_tensor(segment[None, start : start + self.context + length])
            target = ops.reshape(x[:, self.context :], (1, -1, self.bank.frame))
            heard = self._hear(x[:, :-1], self.bank.zero_state(1))
            p = ops.sum(heard["all"] * heard["weights"][:, :, None], axis=-1)
            scales.append(ops.convert_to_numpy(heard["scale"]).ravel())
            errors.append(ops.convert_to_numpy(ops.abs(target - p)).ravel())
        for limit, sizes, quantile in (
            (self.ceiling, scales, CEILING),
            (self.reach, errors, REACH),
        ):
            limit.assign([max(float(np.quantile(np.concatenate(sizes), quantile)), FLOOR)])

    def call(
        self, recent: Any, conditioning: Any, state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        """`(B, N, 3 + 3 * mixtures)`: prediction, scale, nats for the word, and the mixture."""
        T, F = conditioning.shape[1] * self.steps, self.bank.frame
        spoken, time = self._split(conditioning)
        heard = self._hear(recent, state)
        moments = heard["moments"]
        word = self.outline.word(moments[:, 1:])
        cost = self.outline.cost(spoken, word) * (1.0 / self.frame)
        network = self.network
        told = network.tell(self.outline.sound(word), moments[:, :-1], time)
        h = network(network.see(heard), told, training=training)
        favour = ops.repeat(network.favour(word), self.steps, axis=1)
        weights = ops.softmax(heard["trust"] + network.trust(h) + favour)
        p = ops.sum(heard["all"] * weights[:, :, None], axis=-1)
        flat = ops.stack([p, ops.repeat(heard["scale"], F, axis=-1)], axis=-1)
        cost = ops.reshape(ops.repeat(cost, self.frame, axis=1), (-1, T, F, 1))
        mixture = ops.reshape(network.mixture(h), (-1, T, F, 3 * self.mixtures))
        prediction = ops.concatenate([flat, cost, mixture], axis=-1)
        prediction = ops.reshape(prediction, (-1, T * F, 3 + 3 * self.mixtures))
        return prediction, [*heard["state"], state[3], word[:, -1]]

    def _hear(self, recent: Any, state: list[Any]) -> dict[str, Any]:
        """What can be known of a window from its samples, for each of its steps."""
        F, R = self.bank.frame, self.bank.remembered
        N = recent.shape[1] - self.context + 1
        begin = self.context - F - self.order
        errors, costs, state = self.bank.hear(recent[:, begin : self.context + N - F], state[:3])
        state[2] = self.bank.ahead(recent[:, -(self.order + F - 1) : 1 - F])
        # The last sample is not known, and nothing rests on it.
        known = ops.pad(recent[:, begin + F :], ((0, 0), (0, 1)))
        every = ops.reshape(self.bank.predict(known), (-1, N // F, F, self.filters))
        last = ops.stack([errors[:, F + k : F + k + N : F] for k in range(R)], axis=2)
        views = [
            recent[:, self.context - LOOKED_AT + k : self.context - LOOKED_AT + k + N : F]
            for k in range(LOOKED_AT)
        ]
        return {
            **self._judge(costs, last, ops.stack(views, axis=2)),
            "all": every,
            "moments": self.outline.describe(recent[:, self._before(2) :]),
            "state": state,
        }

    def _before(self, frames: int) -> int:
        """Where in `recent` that many frames before the first begin, as the outline counts."""
        return self.context - frames * self.frame - 1

    def words_before(self, recent: Any) -> Any:
        """The word of the frame before each frame that `recent` leads to: `(B, T, words)`."""
        return self.outline.word(self.outline.describe(recent[:, self._before(2) : -self.frame]))

    def said(self, word: Any) -> Any:
        """The last word `(B, words)` as the tier hears it: that of silence before the first."""
        silence = self.outline.word(self.outline.describe(ops.zeros((1, 2 * self.frame))))
        return word + (1.0 - ops.sum(word, axis=-1, keepdims=True)) * silence[:, 0]

    def _judge(self, costs: Any, last: Any, samples: Any) -> dict[str, Any]:
        """What memories of costs `(..., 3 * K)`, the last errors `(..., R, K)` and the last samples
        say: whom to trust, how it has done, and how loud it is."""
        trust, long = self.bank.judge(costs)
        weights = ops.softmax(trust)
        error = ops.squeeze(ops.matmul(last, ops.expand_dims(weights, -1)), -1)
        mean = np.full((self.bank.remembered, 1), 1 / self.bank.remembered, "float32")
        scale = ops.matmul(ops.abs(error), mean) + np.full(1, FLOOR, "float32")
        return {
            "trust": trust,
            "weights": weights,
            "long": long,
            "error": error,
            "scale": ops.minimum(scale, self.ceiling),
            "samples": samples[..., -self.bank.remembered :],
            "powers": powers(samples),
        }

    def _split(self, conditioning: Any) -> tuple[Any, Any]:
        """What the tier says of the next word, and the time."""
        width = conditioning.shape[-1] - self.heard
        return conditioning[..., :width], conditioning[..., width:]

    def loss(self, prediction: Any, target: Any) -> Any:
        p, g, word = (prediction[..., i : i + 1] for i in range(3))
        delta, scales, logits = self.network.parts(prediction[..., 3:])
        low, high = (edge[..., None] for edge in cell_edges(target, self.levels))
        centre = p + g * delta
        width = g * scales
        below, above = (low - centre) / width, (high - centre) / width
        # On the side where the two are small, so that their difference keeps its digits.
        side = ops.where(below + above > 0.0, -1.0, 1.0)
        mass = side * (ops.sigmoid(side * above) - ops.sigmoid(side * below))
        mass = ops.sum(ops.softmax(logits) * mass, axis=-1)
        return word[..., 0] - ops.log((1.0 - UNIFORM) * mass + UNIFORM / self.levels)

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        """Gumbel variables, of which the largest chooses, for the mixture and (the last) for a
        word, with one logistic before the last.

        Reference:
            Gumbel 1954 (the largest of logits and noise is a draw from their softmax).
        """
        u = ops.clip(noise, TAIL, 1.0 - TAIL)
        M = self.mixtures
        gumbel = -ops.log(-ops.log(u))
        logistic = ops.log(u[..., M : M + 1]) - ops.log(1.0 - u[..., M : M + 1])
        parts = [gumbel[..., :M], logistic, gumbel[..., M + 1 :]]
        own = np.array([SAMPLES] * (M + 1) + [WORDS], "float32")
        return ops.concatenate(parts, axis=-1) * (temperature * own)

    def plan(
        self, recent: Any, conditioning: Any, chance: Any, kept: list[Any]
    ) -> tuple[list[Any], list[Any], list[Any]]:
        before = self.outline.describe(recent[:, -2 * self.frame - 1 : -1])
        more, last = kept
        louder = before[:, 0, -2:-1] - self.outline.sound(self.said(last))[:, -2:-1]
        more = ops.clip(more - SLOWLY * (louder + AIM), LESS, MORE)
        spoken, time = self._split(conditioning)
        word = self.outline.draw(spoken, chance[:, : self.words, -1])
        sound = self.outline.sound(word)
        told = self.network.tell(sound[:, None], before, time[:, None])
        favour = self.network.favour(word) + self.network.trust.bias
        F, M = self.bank.frame, self.mixtures
        chance = chance[..., : M + 1] * (1.0 + more[:, :, None])
        gumbel = ops.reshape(chance[..., :M], (-1, self.steps, F, 1, M))
        race = ops.pad(gumbel, ((0, 0), (0, 0), (0, 0), (2, 0), (0, 0)))
        race = ops.reshape(race, (-1, self.steps, F * 3 * M)) + self.network.mixture.bias
        logistic = ops.reshape(chance[..., M], (-1, self.steps, F, 1, 1))
        turns = [ops.swapaxes(v, 0, 1) for v in (told, race, logistic)]
        # A level is a quarter of the logarithm of a power, so half that of an amplitude.
        return turns, [favour, ops.exp(2.0 * sound[:, -2:-1])], [more, word]

    def turn(
        self, past: Any, turns: list[Any], held: list[Any], state: list[Any]
    ) -> tuple[Any, list[Any]]:
        F, K, M = self.bank.frame, self.filters, self.mixtures
        (told, chance, logistic), (favour, loudest) = turns, held
        errors, costs = self.bank.hear_frame(past[:, -F:], state)
        last = ops.reshape(errors, (-1, 2 * F, K))
        heard = self._judge(costs, last, past[:, -LOOKED_AT:])
        h = self.network(self.network.see(heard), told)
        mixture = ops.matmul(h, self.network.mixture.kernel) + chance
        delta, scales, race = self.network.parts(ops.reshape(mixture, (-1, F, 3, M)), axis=2)
        chosen = ops.cast(race >= ops.max(race, axis=-1, keepdims=True), "float32")
        drawn = ops.sum(chosen * (delta + scales * logistic), axis=(2, 3))
        # Where it is louder than the word says, as much quieter.
        quieter = ops.clip(loudest / ops.sqrt(heard["powers"][:, :1]), QUIETER, 1.0)
        offset = drawn * (heard["scale"] * quieter)
        offset = ops.maximum(ops.minimum(offset, self.reach), -self.reach)
        ahead = self.bank.ahead(past[:, -self.order :])
        weights = ops.softmax(ops.matmul(h, self.network.trust.kernel) + (heard["trust"] + favour))
        frame = ops.clip(self.bank.mix(ahead, weights, offset), -1.0, 1.0)
        return frame, [errors, costs, ahead]

    def draw(
        self, recent: Any, conditioning: Any, chance: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        turns, held, kept = self.plan(recent, conditioning, chance, state[3:])

        def turn(t: Any, past: Any, state: Any) -> tuple[Any, Any, Any]:
            now = [ops.take(v, t, axis=0) for v in turns]
            frame, state = self.turn(past, now, held, list(state))
            return t + 1, ops.concatenate([past[:, self.bank.frame :], frame], axis=1), state

        start = (ops.zeros((), "int32"), recent, list(state[:3]))
        _, past, after = ops.while_loop(lambda t, *_: t < self.steps, turn, start)
        return past[:, -self.frame :], [*after, *kept]

    def listen(self, recent: Any, conditioning: Any, frame: Any, state: list[Any]) -> list[Any]:
        window = ops.concatenate([recent, frame[:, :-1]], axis=1)
        heard = self._hear(window, state)
        return [*heard["state"], state[3], self.outline.word(heard["moments"][:, -1])]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "words": self.words,
            "filters": self.filters,
            "order": self.order,
            "width": self.width,
            "layers": self.layers,
            "mixtures": self.mixtures,
            "levels": self.levels,
            "bunch": self.bank.frame,
            "dropout": self.dropout,
        }
