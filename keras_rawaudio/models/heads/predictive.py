"""Audio to fit an outline: logistics around the predictions of a filter bank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers.lpc_filter_bank import FLOOR, FilterBank
from keras_rawaudio.layers.postfilter import Postfilter
from keras_rawaudio.models.distributions import cell_edges, gumbel, winner
from keras_rawaudio.models.envelope_codebook import Outline
from keras_rawaudio.models.envelope_features import powers
from keras_rawaudio.models.excitation_network import InnovationNetwork
from keras_rawaudio.models.heads.base import Head
from keras_rawaudio.models.lpc_codes import GAINS, Voices

UNIFORM = 1e-3  # share of a uniform distribution, so that no cell is impossible
REACH = 0.9975  # quantile of the train part's errors that no draw exceeds
QUIETER = float(np.exp(-1.5))  # what is louder than its word shrinks no further than to this share
LEAD = 0.05  # share of the way to its word's level that the audio is led in a turn, and the most
LOUDER = 1.25  # what is quieter than its word grows no further than to this
WORD = "head_word"  # the last word, voice and gain, among a model's states
TAIL = 1e-5  # draws keep this far from 0 and 1
LOOKED_AT = 64  # samples that the level of the moment is read from
STRETCHES, STRETCH = 64, 8192  # audio that limits are found on: how many stretches, how long


@keras.saving.register_keras_serializable("keras_rawaudio")
class PredictiveHead(Head):
    """Draws each frame in two steps: what is to be heard, then its samples, a bunch at a time.

    What the tier says is a voice and a gain of `Voices`: which filter of a `FilterBank` the frame
    is played with, and the mean size of what is added to its predictions; and a word of the
    `Outline`. The prediction of that filter alone, the last samples and errors, word, voice and
    clock tell a small network how a mixture of logistics lies about what is predicted: means
    `p + g * delta`, scales `g * exp(s)`, and weights, where `g` is the gain. It starts near zero,
    so that an untrained model is a switched predictor already.
    Within a bunch each prediction rests on the samples just drawn; only the network does not
    run again. Where what was drawn is louder than its word, what is added to it shrinks as much,
    and grows a little where it is quieter; all of it is slowly led to the level of its word, see
    `LEAD`; and a filter to which the past is strange is damped, see `FilterBank.taps_for`. What is
    heard of it in the end has gone through a `Postfilter`.

    Samples are floats relative to the train part's peak; nothing is quantised. Bits are counted on
    mu-law cells, as the mass of the mixture on the cell that the sample falls into, and the cost
    of what is said is shared out among the samples of its frame.

    Args:
        words: of the outline.
        filters: of the bank; as words, not more than a frame has samples.
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
        2019, "LPCNet", section 2.2 (a network around a linear prediction); Edler et al. 2000,
        "Switched linear prediction"; Vipperla et al. 2020,
        "Bunched LPCNet" (several samples each time that the network runs).
    """

    kind = "predictive"
    per_sample = False
    measure = "bits_per_sample"
    kept = 1
    postfiltered = True

    def __init__(
        self,
        words: int = 128,
        filters: int = 64,
        order: int = 256,
        width: int = 256,
        layers: int = 2,
        mixtures: int = 4,
        levels: int = 256,
        bunch: int = 16,
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
        self.noise_per_sample = mixtures + 4
        self.dropout = dropout

    def conditioning_width(self) -> None:
        return None

    def build_for(self, width: int, frame: int) -> None:
        F = self.bank.bunch
        if frame % F or frame < LOOKED_AT // 2:
            raise ValueError(
                f"a predictive head needs a tier whose frame is a multiple of {F} and "
                f"{LOOKED_AT // 2} samples or more, not {frame}"
            )
        self.frame = frame
        self.steps = frame // F
        self.outline = Outline(self.words, frame, name="outline")
        self.context = max(self.order + 2 * frame + 1, LOOKED_AT)
        self.outline.build_for(width - self.heard)
        self.voices = Voices(self.filters, frame, self.words, name="voices")
        self.voices.build_for(width - self.heard)
        self.bank.build_weights()
        self.postfilter = Postfilter(self.filters, self.order + frame, name="postfilter")
        self.postfilter.build_weights()
        self.network = InnovationNetwork(
            bunch=F,
            steps=self.steps,
            width=self.width,
            layers=self.layers,
            mixtures=self.mixtures,
            dropout=self.dropout,
            name="network",
        )
        self.network.build_for(self.outline.bands.features, self.filters + self.heard)
        # How far a draw may lie from the prediction: no further than most of the train part does.
        self.reach = self.add_weight(shape=(1,), initializer="ones", trainable=False, name="reach")
        self.built = True

    @property
    def said_width(self) -> int:
        """Width of what the tier hears of its own: the last word, voice and gain, one-hot."""
        return self.words + self.filters + GAINS

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        return [("word", (self.said_width,))]

    def fit(self, segments: Any) -> None:
        """Fit bank, vocabulary, reach and postfilter: `segments` of the train part, relative to
        the peak."""
        if max(map(len, segments)) < 2 * max(self.context, self.frame * self.words // 8):
            raise UserError(
                f"the audio is too short for linear prediction of order {self.order} and an "
                f"outline of {self.words} words of {self.frame} samples; use longer audio, or "
                "a lower head.order and head.words"
            )
        self.bank.fit(segments)
        self.outline.fit(segments)
        errors, played = [], []
        for x in self._stretches(segments):
            heard = self._hear(ops.convert_to_tensor(x[None, :-1]))
            target = x[self.context :].reshape(heard["prediction"].shape)
            errors.append(np.abs(target - ops.convert_to_numpy(heard["prediction"])).ravel())
            voice = ops.convert_to_numpy(heard["voice"])[0]
            width = self.postfilter.length - 1 + self.frame
            frames = np.lib.stride_tricks.sliding_window_view(x, width)[:: -self.frame][::-1]
            played.append((frames[1 - len(voice) :], voice[:-1], voice[1:]))
        self.reach.assign([max(float(np.quantile(np.concatenate(errors), REACH)), FLOOR)])
        taps = ops.convert_to_numpy(self.bank.taps)
        self.postfilter.fit(taps, *map(np.concatenate, zip(*played, strict=True)))

    def _stretches(self, segments: Any) -> Iterator[np.ndarray]:
        """Audio from here and there, each `(context + n * frame,)`."""
        rng = np.random.default_rng(0)
        length = min(STRETCH, max(map(len, segments)) - self.context) // self.frame * self.frame
        length += self.context
        long = [s for s in segments if len(s) >= length]
        for _ in range(STRETCHES):
            segment = long[rng.integers(len(long))]
            start = rng.integers(len(segment) - length + 1)
            yield segment[start : start + length]

    def call(
        self, recent: Any, conditioning: Any, state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        """`(B, N, 3 + 3 * mixtures)`: prediction, scale, nats for what is said, and the mixture."""
        T, F = conditioning.shape[1] * self.steps, self.bank.bunch
        spoken, time = self._split(conditioning)
        heard = self._hear(recent)
        moments, voice, gain = heard["moments"], heard["voice"], heard["gain"]
        word = self.outline.word(moments[:, 1:])
        cost = self.outline.cost(spoken, word, self.voices.fit_for(voice, gain))
        cost = cost + self.voices.cost(spoken, voice, gain)
        network = self.network
        more = ops.concatenate([voice, time], axis=-1)
        told = network.tell(self.outline.sound(word), moments[:, :-1], more)
        h = network(network.see(heard), told, training=training)
        p = heard["prediction"]
        flat = ops.stack([p, ops.repeat(heard["scale"], F, axis=-1)], axis=-1)
        cost = ops.repeat(cost * (1.0 / self.frame), self.frame, axis=1)
        cost = ops.reshape(cost, (-1, T, F, 1))
        mixture = ops.reshape(network.mixture(h), (-1, T, F, 3 * self.mixtures))
        prediction = ops.concatenate([flat, cost, mixture], axis=-1)
        prediction = ops.reshape(prediction, (-1, T * F, 3 + 3 * self.mixtures))
        return prediction, [ops.concatenate([word, voice, gain], axis=-1)[:, -1]]

    def _hear(self, recent: Any) -> dict[str, Any]:
        """What can be known of a window from its samples, for each of its steps."""
        F, frame, K = self.bank.bunch, self.frame, self.filters
        T = (recent.shape[1] - self.context + 1) // frame
        predictions, errors = self._filtered(recent)
        voice, gain = (said[:, 1:] for said in self.voices.read(errors))
        own = ops.expand_dims(ops.expand_dims(voice, 2), 2)
        now = ops.reshape(predictions[:, 2 * frame :], (-1, T, self.steps, F, K))
        before = ops.reshape(errors[:, frame:-frame], (-1, T, self.steps, F, K))[:, :, -2:]
        these = ops.reshape(errors[:, 2 * frame :], (-1, T, self.steps, F, K))
        error = ops.sum(ops.concatenate([before, these], axis=2) * own, axis=-1)
        error = ops.concatenate([error[:, :, :-2], error[:, :, 1:-1]], axis=-1)
        N = T * frame
        views = [
            recent[:, self.context - LOOKED_AT + k : self.context - LOOKED_AT + k + N : F]
            for k in range(LOOKED_AT)
        ]
        scale = ops.repeat(self.voices.size(gain), self.steps, axis=1)
        error = ops.reshape(error, (-1, N // F, 2 * F))
        return {
            **self._judge(error, scale, ops.stack(views, axis=2)),
            "prediction": ops.reshape(ops.sum(now * own, axis=-1), (-1, N // F, F)),
            "moments": self.outline.describe(recent[:, self._before(2) :]),
            "voice": voice,
            "gain": gain,
        }

    def _filtered(self, recent: Any) -> tuple[Any, Any]:
        """What each filter predicts from two frames before the first on, `(B, (T + 2) * frame, K)`,
        and its errors, of which the last is not known: nothing rests on it."""
        begin = self.context - 2 * self.frame
        x = ops.pad(recent[:, begin - self.order :], ((0, 0), (0, 1)))
        predictions = self.bank.predict(x)
        return predictions, x[:, self.order :, None] - predictions

    def _before(self, frames: int) -> int:
        """Where in `recent` that many frames before the first begin, as the outline counts."""
        return self.context - frames * self.frame - 1

    def said_before(self, recent: Any) -> Any:
        """Word, voice and gain of the frame before each frame that `recent` leads to:
        `(B, T, said_width)`."""
        word = self.outline.word(self.outline.describe(recent[:, self._before(2) : -self.frame]))
        voices = (said[:, :-1] for said in self.voices.read(self._filtered(recent)[1]))
        return ops.concatenate([word, *voices], axis=-1)

    def said(self, last: Any) -> Any:
        """What was said last `(B, said_width)` as the tier hears it: before the first frame, the
        word for silence alone."""
        silence = self.outline.word(self.outline.describe(ops.zeros((1, 2 * self.frame))))
        silence = ops.pad(silence[:, 0], ((0, 0), (0, self.filters + GAINS)))
        return last + (1.0 - ops.sum(last[:, : self.words], axis=-1, keepdims=True)) * silence

    def _judge(self, error: Any, scale: Any, samples: Any) -> dict[str, Any]:
        """What is seen: the last errors `(..., 2 * F)` in their `scale`, and the last samples."""
        return {
            "error": error,
            "scale": scale,
            "samples": samples[..., -2 * self.bank.bunch :],
            "powers": powers(samples),
        }

    def _split(self, conditioning: Any) -> tuple[Any, Any]:
        """What the tier says of the next frame, and the time."""
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
        """Gumbel variables, of which the largest chooses, for the mixture and (the last three)
        for a word, a voice and a gain, with one logistic before them."""
        u = ops.clip(noise, TAIL, 1.0 - TAIL)
        M = self.mixtures
        race = gumbel(u)
        logistic = ops.log(u[..., M : M + 1]) - ops.log(1.0 - u[..., M : M + 1])
        parts = [race[..., :M], logistic, race[..., M + 1 :]]
        return ops.concatenate(parts, axis=-1) * temperature

    def plan(
        self, recent: Any, conditioning: Any, chance: Any, kept: list[Any]
    ) -> tuple[list[Any], list[Any], list[Any]]:
        before = self.outline.describe(recent[:, -2 * self.frame - 1 : -1])
        spoken, time = self._split(conditioning)
        voice, gain = self.voices.draw(spoken, chance[:, : self.filters, -2], chance[:, :GAINS, -1])
        fitting = self.voices.fit_for(voice, gain)
        word = self.outline.draw(spoken, chance[:, : self.words, -3], fitting)
        sound = self.outline.sound(word)
        told = ops.concatenate([voice, time], axis=-1)
        told = self.network.tell(sound[:, None], before, told[:, None])
        F, M = self.bank.bunch, self.mixtures
        race = ops.reshape(chance[..., :M], (-1, self.steps, F, 1, M))
        race = ops.pad(race, ((0, 0), (0, 0), (0, 0), (2, 0), (0, 0)))
        race = ops.reshape(race, (-1, self.steps, F * 3 * M)) + self.network.mixture.bias
        logistic = ops.reshape(chance[..., M], (-1, self.steps, F, 1, 1))
        turns = [ops.swapaxes(v, 0, 1) for v in (told, race, logistic)]
        # A level is a quarter of the logarithm of a power, so half that of an amplitude.
        size = self.voices.size(gain)
        usual = ops.maximum(size, self.voices.size(kept[0][:, -GAINS:]))
        taps = self.bank.taps_for(voice, recent, usual)
        held = [*self.bank.unrolled(taps), size, ops.exp(2.0 * sound[:, -2:-1])]
        return turns, held, [ops.concatenate([word, voice, gain], axis=-1)]

    def turn(
        self, past: Any, turns: list[Any], held: list[Any], state: list[Any]
    ) -> tuple[Any, list[Any]]:
        F, M = self.bank.bunch, self.mixtures
        (told, chance, logistic), (known, ringing, scale, loudest) = turns, held
        error, ahead = self.bank.ahead(past[:, -self.order - 2 * F :], known)
        heard = self._judge(error, scale, past[:, -LOOKED_AT:])
        h = self.network(self.network.see(heard), told)
        mixture = ops.matmul(h, self.network.mixture.kernel) + chance
        delta, scales, race = self.network.parts(ops.reshape(mixture, (-1, F, 3, M)), axis=2)
        drawn = ops.sum(winner(race) * (delta + scales * logistic), axis=(2, 3))
        # Where it is louder than the word says, as much quieter; and the other way round.
        aim = loudest / ops.sqrt(heard["powers"][:, :1])
        offset = drawn * (scale * ops.clip(aim, QUIETER, LOUDER))
        offset = ops.maximum(ops.minimum(offset, self.reach), -self.reach)
        frame = self.bank.fill(ahead + offset, ringing)
        # A filter that takes over what another has played may find a burst in it. All power of a
        # frame may lie in one turn of it, and no more.
        size = ops.sqrt(ops.mean(ops.square(frame), axis=-1, keepdims=True)) + FLOOR
        bound = ops.minimum(float(np.sqrt(self.steps)) * loudest / size, 1.0)
        # And what rings on, too loud or too quiet, is slowly led back to the word.
        lead = ops.clip(ops.power(aim, LEAD), 1.0 - LEAD, 1.0 + LEAD)
        frame = ops.clip(frame * bound * lead, -1.0, 1.0)
        return frame, []

    def draw(
        self, recent: Any, conditioning: Any, chance: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        turns, held, kept = self.plan(recent, conditioning, chance, state)

        def turn(t: Any, past: Any) -> tuple[Any, Any]:
            now = [ops.take(v, t, axis=0) for v in turns]
            samples, _ = self.turn(past, now, held, [])
            return t + 1, ops.concatenate([past[:, self.bank.bunch :], samples], axis=1)

        start = (ops.zeros((), "int32"), recent)
        _, past = ops.while_loop(lambda t, _: t < self.steps, turn, start)
        return past[:, -self.frame :], kept

    def played(self, past: Any, before: list[Any], after: list[Any]) -> Any:
        voices = [said[-1][:, self.words : self.words + self.filters] for said in (before, after)]
        frame = self.postfilter(past[:, 1 - self.frame - self.postfilter.length :], *voices)
        return ops.clip(frame, -1.0, 1.0)

    def listen(self, recent: Any, conditioning: Any, frame: Any, state: list[Any]) -> list[Any]:
        window = ops.concatenate([recent, frame[:, :-1]], axis=1)
        word = self.outline.word(self.outline.describe(window[:, self._before(1) :]))
        voices = (said[:, 1:] for said in self.voices.read(self._filtered(window)[1]))
        return [ops.concatenate([word, *voices], axis=-1)[:, -1]]

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
            "bunch": self.bank.bunch,
            "dropout": self.dropout,
        }
