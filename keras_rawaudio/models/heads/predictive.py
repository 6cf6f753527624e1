"""Linear prediction with a learned excitation, under codes for each frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.layers.lpc_filter_bank import LPCFilterBank
from keras_rawaudio.layers.postfilter import Postfilter
from keras_rawaudio.models import level_control
from keras_rawaudio.models.calibration import calibrate
from keras_rawaudio.models.distributions import (
    cell_edges,
    gumbel,
    logistic_mixture_mass,
    one_hot_argmax,
)
from keras_rawaudio.models.envelope_features import powers
from keras_rawaudio.models.excitation_network import ExcitationNetwork
from keras_rawaudio.models.frame_codes import NOISE, Codes, FrameCodes
from keras_rawaudio.models.heads.base import Head
from keras_rawaudio.models.window_analyzer import LEVEL_WINDOW, WindowAnalyzer

PDF_FLOOR = 1e-3  # share of a uniform distribution, so that no cell is impossible
EPS = 1e-5  # uniform noise keeps this far from 0 and 1


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
        frame_size: samples per frame, a multiple of `bunch`.
        codebook_size: envelope codes, at most as many as a frame has samples.
        filters: of the filter bank, at most as many as a frame has samples.
        lpc_order: past samples that a filter reads, a multiple of `bunch`.
        hidden_units: width of the hidden layers.
        layers: hidden layers, 1 or more.
        num_mixtures: logistics per sample.
        levels: mu-law cells that bits are counted on.
        bunch: samples that one run of the network draws.
        dropout: dropout rate of the network's hidden layers.
        clock_width: how many of the tier's last outputs are its clock input.

    Example:
        >>> head = PredictiveHead(32, codebook_size=8, filters=4, lpc_order=32, hidden_units=16)
        >>> head.build((None, None), (None, None, 16))
        >>> history = keras.ops.zeros((1, head.context - 1 + 64))
        >>> state = [keras.ops.zeros((1, *shape)) for _, shape in head.state_spec()]
        >>> mixture, state = head(history, keras.ops.zeros((1, 2, 16)), state)
        >>> head.loss(mixture, keras.ops.zeros((1, 64))).shape
        TensorShape([1, 64])

    Reference:
        Salimans et al. 2017, "PixelCNN++", section 2.1 (logistics on cells); Valin and Skoglund
        2019, "LPCNet", section 2.2 (a network around a linear prediction); Edler et al. 2000,
        "Switched linear prediction"; Vipperla et al. 2020,
        "Bunched LPCNet" (several samples each time that the network runs).
    """

    kind = "predictive"
    measure = "bits_per_sample"

    def __init__(
        self,
        frame_size: int,
        codebook_size: int = 128,
        filters: int = 64,
        lpc_order: int = 256,
        hidden_units: int = 256,
        layers: int = 2,
        num_mixtures: int = 4,
        levels: int = 256,
        bunch: int = 16,
        dropout: float = 0.15,
        clock_width: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(frame_size, **kwargs)
        self._at_least(1, layers=layers, num_mixtures=num_mixtures)
        least = max(LEVEL_WINDOW // 2, 2 * bunch)
        if frame_size % bunch or frame_size < least:
            raise ValueError(
                f"a predictive head needs a tier whose frame is a multiple of {bunch} and "
                f"{least} samples or more, not {frame_size}"
            )
        if bunch > LEVEL_WINDOW // 2:
            raise ValueError(f"a bunch has at most {LEVEL_WINDOW // 2} samples, not {bunch}")
        self.codebook_size = codebook_size
        self.filters = filters
        self.lpc_order = lpc_order
        self.hidden_units = hidden_units
        self.layers = layers
        self.num_mixtures = num_mixtures
        self.levels = levels
        self.bunch = bunch
        self.dropout = dropout
        self.clock_width = clock_width
        self.subframes = frame_size // bunch
        self.noise_per_sample = num_mixtures + 1 + NOISE
        self.codes = FrameCodes(codebook_size, filters, frame_size, name="codes")
        self.filter_bank = LPCFilterBank(filters, lpc_order, bunch, name="filter_bank")
        self.analyzer = WindowAnalyzer(self.codes, self.filter_bank)
        self.context = self.analyzer.context
        self.postfilter = Postfilter(filters, lpc_order + frame_size, name="postfilter")
        self.network = ExcitationNetwork(
            bunch=bunch,
            subframes=self.subframes,
            hidden_units=hidden_units,
            layers=layers,
            num_mixtures=num_mixtures,
            dropout=dropout,
            name="network",
        )

    def build(self, history_shape: Any, condition_shape: Any) -> None:
        self.codes.build((None, condition_shape[-1] - self.clock_width))
        self.filter_bank.build(history_shape)
        self.postfilter.build(history_shape)
        envelopes = 2 * self.codes.envelope.num_features
        self.network.build((None, None, envelopes + self.filters + self.clock_width))
        self.residual_limit = self.add_weight(
            shape=(1,), initializer="ones", trainable=False, name="residual_limit"
        )

    @property
    def code_width(self) -> int:
        """Width of a frame's codes, which a tier may read in place of samples."""
        return self.codes.width

    def state_spec(self) -> list[tuple[str, tuple[int, ...]]]:
        return [("codes", (self.code_width,))]

    def fit(self, segments: Sequence[np.ndarray]) -> None:
        calibrate(self, segments)

    # The density

    def call(
        self, history: Any, condition: Any, state: list[Any], training: bool = False
    ) -> tuple[Any, list[Any]]:
        """`(B, N, 3 + 3 * num_mixtures)`: prediction, scale, nats of the codes, and mixture."""
        T, F = condition.shape[1] * self.subframes, self.bunch
        h, clock = self._split(condition)
        found = self.analyzer(history)
        nats = self.codes.nll(h, found.codes)
        bias = self._condition(found.codes, found.envelopes[:, :-1], clock)
        network = self.network
        features = self._features(found.residual, found.scale, found.samples)
        h = network(features, bias, training=training)
        p, g = found.prediction, ops.repeat(found.scale, F, axis=-1)
        nats = ops.repeat(nats * (1.0 / self.frame_size), self.frame_size, axis=1)
        parts = [ops.stack([p, g], axis=-1), ops.reshape(nats, (-1, T, F, 1))]
        parts.append(ops.reshape(network.mixture(h), (-1, T, F, 3 * self.num_mixtures)))
        prediction = ops.concatenate(parts, axis=-1)
        prediction = ops.reshape(prediction, (-1, T * F, 3 + 3 * self.num_mixtures))
        return prediction, [found.codes.joined()[:, -1]]

    def loss(self, prediction: Any, target: Any) -> Any:
        """Nats per sample: the mass of the mixture on the target's mu-law cell, and the codes."""
        p, g, codes = (prediction[..., i : i + 1] for i in range(3))
        delta, scales, logits = self.network.parameters(prediction[..., 3:])
        low, high = (edge[..., None] for edge in cell_edges(target, self.levels))
        mass = logistic_mixture_mass(low, high, p + g * delta, g * scales, logits)
        return codes[..., 0] - ops.log((1.0 - PDF_FLOOR) * mass + PDF_FLOOR / self.levels)

    def previous_codes(self, history: Any) -> Any:
        """Codes of the frame before each frame of a window: `(B, T, code_width)`."""
        return self.analyzer.previous_codes(history)

    # Generation

    def prepare_noise(self, noise: Any, temperature: Any) -> Any:
        """Gumbel variables for the mixture and the codes, and one logistic variable between."""
        u = ops.clip(noise, EPS, 1.0 - EPS)
        M = self.num_mixtures
        choice = gumbel(u)
        logistic = ops.log(u[..., M : M + 1]) - ops.log(1.0 - u[..., M : M + 1])
        parts = [choice[..., :M], logistic, choice[..., M + 1 :]]
        return ops.concatenate(parts, axis=-1) * temperature

    def draw_codes(self, condition: Any, noise: Any) -> Any:
        """Codes alone of a frame `(B, code_width)`; arguments as for `begin_frame`."""
        return self.codes.sample(self._split(condition)[0][:, 0], noise).joined()

    def begin_frame(
        self, history: Any, condition: Any, noise: Any, state: list[Any]
    ) -> tuple[list[Any], list[Any]]:
        F, S, M = self.bunch, self.subframes, self.num_mixtures
        previous = self.codes.envelope.features(history[:, -2 * self.frame_size - 1 : -1])
        h, clock = self._split(condition)
        codes = self.codes.sample(h[:, 0], noise)
        bias = self._condition(Codes(*(code[:, None] for code in codes)), previous, clock)
        # Logits are perturbed by adding to the last layer's bias.
        choice = ops.reshape(noise[..., :M], (-1, S, F, 1, M))
        choice = ops.pad(choice, ((0, 0), (0, 0), (0, 0), (2, 0), (0, 0)))
        choice = ops.reshape(choice, (-1, S, F * 3 * M)) + self.network.mixture.bias
        logistic = ops.reshape(noise[..., M], (-1, S, F, 1, 1))
        scale = self.codes.lpc.decode(codes.gain)
        usual = ops.maximum(scale, self.codes.lpc.decode(self.codes.split(state[0]).gain))
        taps = self.filter_bank.select(codes.index, history, usual)
        # A level is a quarter of the logarithm of a power, so half that of an amplitude.
        target = ops.exp(2.0 * self.codes.envelope.decode(codes.envelope)[:, -2:-1])
        frame_inputs = [*self.filter_bank.matrices(taps), scale, target, codes.joined()]
        return frame_inputs, [ops.swapaxes(x, 0, 1) for x in (bias, choice, logistic)]

    def sample_subframe(
        self, past: Any, subframe_inputs: list[Any], frame_inputs: list[Any]
    ) -> Any:
        F, M = self.bunch, self.num_mixtures
        bias, choice, logistic = subframe_inputs
        analysis_matrix, synthesis_matrix, scale, target, _ = frame_inputs
        residual, prediction = self.filter_bank.analyze(
            past[:, -self.lpc_order - 2 * F :], analysis_matrix
        )
        power = powers(past[:, -LEVEL_WINDOW:])
        samples = past[:, -2 * F :]
        h = self.network(self.network.features(residual, scale, samples, power), bias)
        mixture = ops.matmul(h, self.network.mixture.kernel) + choice
        delta, scales, logits = self.network.parameters(ops.reshape(mixture, (-1, F, 3, M)), axis=2)
        drawn = ops.sum(one_hot_argmax(logits) * (delta + scales * logistic), axis=(2, 3))
        ratio = level_control.level_ratio(target, power[:, :1])
        offset = level_control.excitation(drawn, scale, ratio, self.residual_limit)
        samples = self.filter_bank.synthesize(prediction + offset, synthesis_matrix)
        return level_control.corrected(samples, target, ratio, self.subframes)

    def end_frame(
        self, history: Any, frame_inputs: list[Any], state: list[Any]
    ) -> tuple[Any, list[Any]]:
        before, after = (self.codes.split(codes).index for codes in (state[0], frame_inputs[-1]))
        past = history[:, 1 - self.frame_size - self.postfilter.length :]
        output = ops.clip(self.postfilter(past, before, after), -1.0, 1.0)
        return output, frame_inputs[-1:]

    def observe_frame(
        self, history: Any, condition: Any, frame: Any, state: list[Any]
    ) -> list[Any]:
        window = ops.concatenate([history, frame[:, :-1]], axis=1)
        return [self.analyzer.codes_of(window)]

    def _split(self, condition: Any) -> tuple[Any, Any]:
        """The logits' input and the clock's."""
        width = condition.shape[-1] - self.clock_width
        return condition[..., :width], condition[..., width:]

    def _condition(self, codes: Codes, previous: Any, clock: Any) -> Any:
        more = ops.concatenate([codes.index, clock], axis=-1)
        envelope = self.codes.envelope.decode(codes.envelope)
        return self.network.condition(envelope, previous, more)

    def _features(self, residual: Any, scale: Any, samples: Any) -> Any:
        last = samples[..., -2 * self.bunch :]
        return self.network.features(residual, scale, last, powers(samples))

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
            "bunch": self.bunch,
            "dropout": self.dropout,
            "clock_width": self.clock_width,
        }
