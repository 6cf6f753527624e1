"""Audio to fit an outline: logistics around the predictions of a filter bank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.errors import UserError
from keras_rawaudio.layers.lpc_filter_bank import MIN_RESIDUAL_SCALE, LPCFilterBank
from keras_rawaudio.layers.postfilter import Postfilter
from keras_rawaudio.models.distributions import cell_edges, gumbel, one_hot_argmax
from keras_rawaudio.models.envelope_codebook import EnvelopeCodebook
from keras_rawaudio.models.envelope_features import powers
from keras_rawaudio.models.excitation_network import ExcitationNetwork
from keras_rawaudio.models.heads.base import Head
from keras_rawaudio.models.lpc_codes import NUM_GAINS, LPCCodes

PDF_FLOOR = 1e-3  # share of a uniform distribution, so that no cell is impossible
RESIDUAL_LIMIT_QUANTILE = 0.9975  # quantile of the train part's residuals that no draw exceeds
MIN_EXCITATION_GAIN = float(
    np.exp(-1.5)
)  # what is louder than its code shrinks no further than to this share
LEVEL_CORRECTION_RATE = (
    0.05  # share of the way to its code's level that the audio is led in a turn, and the most
)
MAX_EXCITATION_GAIN = 1.25  # what is quieter than its code grows no further than to this
CODES = "head_codes"  # the last code, index and gain, among a model's states
EPS = 1e-5  # draws keep this far from 0 and 1
LEVEL_WINDOW = 64  # samples that the level of the moment is read from
STRETCHES, STRETCH = 64, 8192  # audio that limits are found on: how many stretches, how long


@keras.saving.register_keras_serializable("keras_rawaudio")
class PredictiveHead(Head):
    """Codes for each frame, then its samples: logistics around one filter's linear prediction.

    The tier's output gives the prior of three codes per frame: a filter index and a gain
    (`LPCCodes`), and an envelope code (`EnvelopeCodebook`). The samples follow a bunch at a time.
    An `ExcitationNetwork` gives a mixture of logistics for each: with `p` the prediction of the
    chosen filter of an `LPCFilterBank` and `g` the scale of the gain code,

        x ~ sum_k w_k Logistic(p + g delta_k, g exp(s_k))

    Within a bunch each prediction rests on the samples just drawn; only the network does not run
    again. In generation the excitation shrinks where the signal is louder than its envelope code
    and grows a little where it is quieter; the signal is slowly corrected to the level of its code;
    and a filter that does not match the past gets bandwidth expansion (`LPCFilterBank.select`). The
    output goes through a `Postfilter`.

    Samples are floats relative to the train part's peak. Bits are counted on mu-law cells: the
    mass of the mixture on the cell of the sample, and the codes' share.

    Args:
        codebook_size: envelope codes, at most as many as a frame has samples.
        filters: of the filter bank, at most as many as a frame has samples.
        lpc_order: past samples that a filter reads, a multiple of `bunch`.
        hidden_units: width of the hidden layers.
        layers: hidden layers, 1 or more.
        num_mixtures: logistics per sample.
        levels: mu-law cells that bits are counted on.
        bunch: samples that one run of the network draws.
        dropout: dropout rate of the network's hidden layers.

    Example:
        >>> head = PredictiveHead(codebook_size=8, filters=4, lpc_order=32, hidden_units=16)
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
        codebook_size: int = 128,
        filters: int = 64,
        lpc_order: int = 256,
        hidden_units: int = 256,
        layers: int = 2,
        num_mixtures: int = 4,
        levels: int = 256,
        bunch: int = 16,
        dropout: float = 0.15,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if layers < 1 or num_mixtures < 1:
            raise ValueError("a predictive head needs layers, num_mixtures >= 1")
        self.clock_width = 0  # the last numbers of the conditioning, which tell the time
        self.codebook_size = codebook_size
        self.filters = filters
        self.lpc_order = lpc_order
        self.hidden_units = hidden_units
        self.layers = layers
        self.num_mixtures = num_mixtures
        self.levels = levels
        self.filter_bank = LPCFilterBank(filters, lpc_order, bunch, name="filter_bank")
        self.noise_per_sample = num_mixtures + 4
        self.dropout = dropout

    def conditioning_width(self) -> None:
        return None

    def build_for(self, width: int, frame: int) -> None:
        F = self.filter_bank.bunch
        if frame % F or frame < LEVEL_WINDOW // 2:
            raise ValueError(
                f"a predictive head needs a tier whose frame is a multiple of {F} and "
                f"{LEVEL_WINDOW // 2} samples or more, not {frame}"
            )
        self.frame = frame
        self.steps = frame // F
        self.envelope_codebook = EnvelopeCodebook(
            self.codebook_size, frame, name="envelope_codebook"
        )
        self.context = max(self.lpc_order + 2 * frame + 1, LEVEL_WINDOW)
        self.envelope_codebook.build((None, width - self.clock_width))
        self.lpc_codes = LPCCodes(self.filters, frame, self.codebook_size, name="lpc_codes")
        self.lpc_codes.build((None, width - self.clock_width))
        self.filter_bank.build_weights()
        self.postfilter = Postfilter(self.filters, self.lpc_order + frame, name="postfilter")
        self.postfilter.build_weights()
        self.network = ExcitationNetwork(
            bunch=F,
            subframes=self.steps,
            hidden_units=self.hidden_units,
            layers=self.layers,
            num_mixtures=self.num_mixtures,
            dropout=self.dropout,
            name="network",
        )
        inputs = 2 * self.envelope_codebook.num_features + self.filters + self.clock_width
        self.network.build((None, None, inputs))
        # How far a draw may lie from the prediction: no further than most of the train part does.
        self.residual_limit = self.add_weight(
            shape=(1,), initializer="ones", trainable=False, name="residual_limit"
        )
        self.built = True

    @property
    def code_width(self) -> int:
        """Width of what the tier hears of its own: the last code, index and gain, one-hot."""
        return self.codebook_size + self.filters + NUM_GAINS

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        return [("codes", (self.code_width,))]

    def fit(self, segments: Any) -> None:
        """Fit bank, vocabulary, reach and postfilter: `segments` of the train part, relative to
        the peak."""
        if max(map(len, segments)) < 2 * max(self.context, self.frame * self.codebook_size // 8):
            raise UserError(
                f"the audio is too short for linear prediction of order {self.lpc_order} and an "
                f"a codebook of {self.codebook_size} codes of {self.frame} samples; use longer "
                "audio, or a lower head.lpc_order and head.codebook_size"
            )
        self.filter_bank.fit(segments)
        self.envelope_codebook.fit(segments)
        residuals, filtered = [], []
        for x in self._stretches(segments):
            analysis = self._analyze(ops.convert_to_tensor(x[None, :-1]))
            target = x[self.context :].reshape(analysis["prediction"].shape)
            residuals.append(np.abs(target - ops.convert_to_numpy(analysis["prediction"])).ravel())
            index = ops.convert_to_numpy(analysis["index"])[0]
            width = self.postfilter.length - 1 + self.frame
            frames = np.lib.stride_tricks.sliding_window_view(x, width)[:: -self.frame][::-1]
            filtered.append((frames[1 - len(index) :], index[:-1], index[1:]))
        self.residual_limit.assign(
            [
                max(
                    float(np.quantile(np.concatenate(residuals), RESIDUAL_LIMIT_QUANTILE)),
                    MIN_RESIDUAL_SCALE,
                )
            ]
        )
        taps = ops.convert_to_numpy(self.filter_bank.taps)
        self.postfilter.fit(taps, *map(np.concatenate, zip(*filtered, strict=True)))

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
        """`(B, N, 3 + 3 * num_mixtures)`: prediction, scale, nats of the codes, and mixture."""
        T, F = conditioning.shape[1] * self.steps, self.filter_bank.bunch
        logits_input, time = self._split(conditioning)
        analysis = self._analyze(recent)
        moments, index, gain = analysis["moments"], analysis["index"], analysis["gain"]
        code = self.envelope_codebook.encode(moments[:, 1:])
        cost = self.envelope_codebook.nll(
            logits_input, code, self.lpc_codes.code_logits(index, gain)
        )
        cost = cost + self.lpc_codes.nll(logits_input, index, gain)
        network = self.network
        more = ops.concatenate([index, time], axis=-1)
        conditioned = network.condition(self.envelope_codebook.decode(code), moments[:, :-1], more)
        h = network(network.features(**analysis["inputs"]), conditioned, training=training)
        p = analysis["prediction"]
        flat = ops.stack([p, ops.repeat(analysis["inputs"]["scale"], F, axis=-1)], axis=-1)
        cost = ops.repeat(cost * (1.0 / self.frame), self.frame, axis=1)
        cost = ops.reshape(cost, (-1, T, F, 1))
        mixture = ops.reshape(network.mixture(h), (-1, T, F, 3 * self.num_mixtures))
        prediction = ops.concatenate([flat, cost, mixture], axis=-1)
        prediction = ops.reshape(prediction, (-1, T * F, 3 + 3 * self.num_mixtures))
        return prediction, [ops.concatenate([code, index, gain], axis=-1)[:, -1]]

    def _analyze(self, recent: Any) -> dict[str, Any]:
        """What can be known of a window from its samples, for each of its steps."""
        F, frame, K = self.filter_bank.bunch, self.frame, self.filters
        T = (recent.shape[1] - self.context + 1) // frame
        predictions, residuals = self._filtered(recent)
        index, gain = (codes[:, 1:] for codes in self.lpc_codes.encode(residuals))
        own = ops.expand_dims(ops.expand_dims(index, 2), 2)
        now = ops.reshape(predictions[:, 2 * frame :], (-1, T, self.steps, F, K))
        before = ops.reshape(residuals[:, frame:-frame], (-1, T, self.steps, F, K))[:, :, -2:]
        these = ops.reshape(residuals[:, 2 * frame :], (-1, T, self.steps, F, K))
        residual = ops.sum(ops.concatenate([before, these], axis=2) * own, axis=-1)
        residual = ops.concatenate([residual[:, :, :-2], residual[:, :, 1:-1]], axis=-1)
        N = T * frame
        views = [
            recent[:, self.context - LEVEL_WINDOW + k : self.context - LEVEL_WINDOW + k + N : F]
            for k in range(LEVEL_WINDOW)
        ]
        scale = ops.repeat(self.lpc_codes.decode(gain), self.steps, axis=1)
        residual = ops.reshape(residual, (-1, N // F, 2 * F))
        return {
            "inputs": self._network_inputs(residual, scale, ops.stack(views, axis=2)),
            "prediction": ops.reshape(ops.sum(now * own, axis=-1), (-1, N // F, F)),
            "moments": self.envelope_codebook.features(recent[:, self._before(2) :]),
            "index": index,
            "gain": gain,
        }

    def _filtered(self, recent: Any) -> tuple[Any, Any]:
        """What each filter predicts from two frames before the first on, `(B, (T + 2) * frame, K)`,
        and its residuals, of which the last is not known: nothing rests on it."""
        begin = self.context - 2 * self.frame
        x = ops.pad(recent[:, begin - self.lpc_order :], ((0, 0), (0, 1)))
        predictions = self.filter_bank.predict(x)
        return predictions, x[:, self.lpc_order :, None] - predictions

    def _before(self, frames: int) -> int:
        """Where in `recent` that many frames before the first begin, as the outline counts."""
        return self.context - frames * self.frame - 1

    def previous_codes(self, recent: Any) -> Any:
        """Word, index and gain of the frame before each frame that `recent` leads to:
        `(B, T, code_width)`."""
        code = self.envelope_codebook.encode(
            self.envelope_codebook.features(recent[:, self._before(2) : -self.frame])
        )
        voices = (codes[:, :-1] for codes in self.lpc_codes.encode(self._filtered(recent)[1]))
        return ops.concatenate([code, *voices], axis=-1)

    def codes_input(self, last: Any) -> Any:
        """What was codes last `(B, code_width)` as the tier hears it: before the first frame, the
        word for silence alone."""
        silence = self.envelope_codebook.encode(
            self.envelope_codebook.features(ops.zeros((1, 2 * self.frame)))
        )
        silence = ops.pad(silence[:, 0], ((0, 0), (0, self.filters + NUM_GAINS)))
        return (
            last + (1.0 - ops.sum(last[:, : self.codebook_size], axis=-1, keepdims=True)) * silence
        )

    def _network_inputs(self, residual: Any, scale: Any, samples: Any) -> dict[str, Any]:
        """Arguments of `ExcitationNetwork.features`."""
        return {
            "residual": residual,
            "scale": scale,
            "samples": samples[..., -2 * self.filter_bank.bunch :],
            "powers": powers(samples),
        }

    def _split(self, conditioning: Any) -> tuple[Any, Any]:
        """What the tier says of the next frame, and the time."""
        width = conditioning.shape[-1] - self.clock_width
        return conditioning[..., :width], conditioning[..., width:]

    def loss(self, prediction: Any, target: Any) -> Any:
        p, g, code = (prediction[..., i : i + 1] for i in range(3))
        delta, scales, logits = self.network.parameters(prediction[..., 3:])
        low, high = (edge[..., None] for edge in cell_edges(target, self.levels))
        centre = p + g * delta
        width = g * scales
        below, above = (low - centre) / width, (high - centre) / width
        # On the side where the two are small, so that their difference keeps its digits.
        side = ops.where(below + above > 0.0, -1.0, 1.0)
        mass = side * (ops.sigmoid(side * above) - ops.sigmoid(side * below))
        mass = ops.sum(ops.softmax(logits) * mass, axis=-1)
        return code[..., 0] - ops.log((1.0 - PDF_FLOOR) * mass + PDF_FLOOR / self.levels)

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        """Gumbel variables, of which the largest chooses, for the mixture and (the last three)
        for a code, a voice and a gain, with one logistic before them."""
        u = ops.clip(noise, EPS, 1.0 - EPS)
        M = self.num_mixtures
        perturbed_logits = gumbel(u)
        logistic = ops.log(u[..., M : M + 1]) - ops.log(1.0 - u[..., M : M + 1])
        parts = [perturbed_logits[..., :M], logistic, perturbed_logits[..., M + 1 :]]
        return ops.concatenate(parts, axis=-1) * temperature

    def plan(
        self, recent: Any, conditioning: Any, noise: Any, kept: list[Any]
    ) -> tuple[list[Any], list[Any], list[Any]]:
        before = self.envelope_codebook.features(recent[:, -2 * self.frame - 1 : -1])
        logits_input, time = self._split(conditioning)
        index, gain = self.lpc_codes.sample(
            logits_input, noise[:, : self.filters, -2], noise[:, :NUM_GAINS, -1]
        )
        fitting = self.lpc_codes.code_logits(index, gain)
        code = self.envelope_codebook.sample(
            logits_input, noise[:, : self.codebook_size, -3], fitting
        )
        sound = self.envelope_codebook.decode(code)
        conditioned = ops.concatenate([index, time], axis=-1)
        conditioned = self.network.condition(sound[:, None], before, conditioned[:, None])
        F, M = self.filter_bank.bunch, self.num_mixtures
        perturbed_logits = ops.reshape(noise[..., :M], (-1, self.steps, F, 1, M))
        perturbed_logits = ops.pad(perturbed_logits, ((0, 0), (0, 0), (0, 0), (2, 0), (0, 0)))
        perturbed_logits = (
            ops.reshape(perturbed_logits, (-1, self.steps, F * 3 * M)) + self.network.mixture.bias
        )
        logistic = ops.reshape(noise[..., M], (-1, self.steps, F, 1, 1))
        turns = [ops.swapaxes(v, 0, 1) for v in (conditioned, perturbed_logits, logistic)]
        # A level is a quarter of the logarithm of a power, so half that of an amplitude.
        size = self.lpc_codes.decode(gain)
        usual = ops.maximum(size, self.lpc_codes.decode(kept[0][:, -NUM_GAINS:]))
        taps = self.filter_bank.select(index, recent, usual)
        held = [*self.filter_bank.matrices(taps), size, ops.exp(2.0 * sound[:, -2:-1])]
        return turns, held, [ops.concatenate([code, index, gain], axis=-1)]

    def turn(
        self, past: Any, turns: list[Any], held: list[Any], state: list[Any]
    ) -> tuple[Any, list[Any]]:
        F, M = self.filter_bank.bunch, self.num_mixtures
        (conditioned, noise, logistic), (analysis_matrix, synthesis_matrix, scale, target_power) = (
            turns,
            held,
        )
        residual, ahead = self.filter_bank.analyze(
            past[:, -self.lpc_order - 2 * F :], analysis_matrix
        )
        inputs = self._network_inputs(residual, scale, past[:, -LEVEL_WINDOW:])
        h = self.network(self.network.features(**inputs), conditioned)
        mixture = ops.matmul(h, self.network.mixture.kernel) + noise
        delta, scales, perturbed_logits = self.network.parameters(
            ops.reshape(mixture, (-1, F, 3, M)), axis=2
        )
        drawn = ops.sum(one_hot_argmax(perturbed_logits) * (delta + scales * logistic), axis=(2, 3))
        # Where it is louder than the code says, as much quieter; and the other way round.
        aim = target_power / ops.sqrt(inputs["powers"][:, :1])
        offset = drawn * (scale * ops.clip(aim, MIN_EXCITATION_GAIN, MAX_EXCITATION_GAIN))
        offset = ops.maximum(ops.minimum(offset, self.residual_limit), -self.residual_limit)
        frame = self.filter_bank.synthesize(ahead + offset, synthesis_matrix)
        # A filter that takes over what another has filtered may find a burst in it. All power of a
        # frame may lie in one turn of it, and no more.
        size = ops.sqrt(ops.mean(ops.square(frame), axis=-1, keepdims=True)) + MIN_RESIDUAL_SCALE
        bound = ops.minimum(float(np.sqrt(self.steps)) * target_power / size, 1.0)
        # And what rings on, too loud or too quiet, is slowly led back to the code.
        correction = ops.clip(
            ops.power(aim, LEVEL_CORRECTION_RATE),
            1.0 - LEVEL_CORRECTION_RATE,
            1.0 + LEVEL_CORRECTION_RATE,
        )
        frame = ops.clip(frame * bound * correction, -1.0, 1.0)
        return frame, []

    def draw(
        self, recent: Any, conditioning: Any, noise: Any, state: list[Any]
    ) -> tuple[Any, list[Any]]:
        turns, held, kept = self.plan(recent, conditioning, noise, state)

        def turn(t: Any, past: Any) -> tuple[Any, Any]:
            now = [ops.take(v, t, axis=0) for v in turns]
            samples, _ = self.turn(past, now, held, [])
            return t + 1, ops.concatenate([past[:, self.filter_bank.bunch :], samples], axis=1)

        start = (ops.zeros((), "int32"), recent)
        _, past = ops.while_loop(lambda t, _: t < self.steps, turn, start)
        return past[:, -self.frame :], kept

    def postprocess(self, past: Any, before: list[Any], after: list[Any]) -> Any:
        voices = [
            codes[-1][:, self.codebook_size : self.codebook_size + self.filters]
            for codes in (before, after)
        ]
        frame = self.postfilter(past[:, 1 - self.frame - self.postfilter.length :], *voices)
        return ops.clip(frame, -1.0, 1.0)

    def observe_frame(
        self, recent: Any, conditioning: Any, frame: Any, state: list[Any]
    ) -> list[Any]:
        window = ops.concatenate([recent, frame[:, :-1]], axis=1)
        code = self.envelope_codebook.encode(
            self.envelope_codebook.features(window[:, self._before(1) :])
        )
        voices = (codes[:, 1:] for codes in self.lpc_codes.encode(self._filtered(window)[1]))
        return [ops.concatenate([code, *voices], axis=-1)[:, -1]]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "codebook_size": self.codebook_size,
            "filters": self.filters,
            "lpc_order": self.lpc_order,
            "hidden_units": self.hidden_units,
            "layers": self.layers,
            "num_mixtures": self.num_mixtures,
            "levels": self.levels,
            "bunch": self.filter_bank.bunch,
            "dropout": self.dropout,
        }
