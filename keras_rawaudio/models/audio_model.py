"""Tiers and a head: the whole model as a pure function of audio and state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_rawaudio.data.codecs import Codec, MuLaw, Peak, Quantizer, codec_from_json
from keras_rawaudio.dsp.tempo import pulse_period
from keras_rawaudio.models.carried_state import State
from keras_rawaudio.models.clock import PULSES_PER_TURN
from keras_rawaudio.models.controls import DENSITY, HOLD, LEVEL, TEMPO, Control
from keras_rawaudio.models.fit_windows import FitWindows
from keras_rawaudio.models.heads import head_layer
from keras_rawaudio.models.tier import Tier


@keras.saving.register_keras_serializable("keras_rawaudio")
class AudioModel(FitWindows):
    """Recurrent tiers, slowest first, and the head that the fastest one conditions.

    The model keeps nothing between calls: the recurrent state goes in and comes out by name.

    Args:
        tiers: settings of each tier as `Tier` takes them, without `rate` and `width`.
        head: `{"kind": ..., **options}`; a kind is the name of a file in `models/heads`.
        codec: what `Codec.to_json` wrote; inputs and targets are this codec's values.

    Call arguments:
        x: `(B, context + N)` codec values; `x[:, context + t]` is the sample before target `t`.
        state: recurrent state by name, each `(B, units)`; None in `fit`, see `FitWindows`.
        training: switches the noise on.

    Returns:
        The head's prediction for `N` samples, and the new state. `N` is a multiple of `frame`.

    Example:
        >>> codec = {"name": "mulaw", "peak": 1.0, "levels": 256}
        >>> model = AudioModel([{"frame_size": 16}], {"kind": "categorical"}, codec)
        >>> x = keras.ops.zeros((2, model.context + 160), "int32")
        >>> logits, state = model(x, model.zero_state(2))
        >>> logits.shape
        TensorShape([2, 160, 256])

    Reference:
        Mehri et al. 2017, "SampleRNN: An Unconditional End-to-End Neural Audio Generation Model".
    """

    def __init__(
        self,
        tiers: list[dict[str, Any]],
        head: dict[str, Any],
        codec: dict[str, Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._config = {"tiers": [dict(t) for t in tiers], "head": dict(head), "codec": dict(codec)}
        self.codec: Codec = codec_from_json(codec)
        options = {k: v for k, v in head.items() if k != "kind"}
        options["frame_size"] = tiers[-1]["frame_size"]
        if self.codec.discrete:
            options["levels"] = self.codec.levels
        if tiers[-1].get("input", "samples") == "codes":
            options["clock_width"] = Tier.clock_input_width(**tiers[-1])
        self.head = head_layer(head["kind"])(**options, name="head")
        self.tiers: list[Tier] = []
        for i in reversed(range(len(tiers))):
            below = self.tiers[0] if self.tiers else None
            width: int | None
            if below:
                rate, width = tiers[i]["frame_size"] // below.frame_size, below.input_width
            else:
                width = self.head.condition_width
                rate = self.head.subframes if width else 1
            settings = {"rate": rate, "width": width, "name": f"tier{i}", **tiers[i]}
            if settings.pop("input", "samples") == "codes":
                settings["code_width"] = self.head.code_width
            self.tiers = [Tier(**settings), *self.tiers]
        for tier in self.tiers:
            tier.build((None, None, tier.code_width or tier.window))
        fastest = self.tiers[-1]
        width = fastest.width or fastest.output_width
        self.head.build((None, None), (None, None, width))
        self.built = True

    @property
    def cells(self) -> Quantizer | None:
        """The codes that bits per sample are counted on; `None` for a head without bits."""
        if isinstance(self.codec, Quantizer):
            return self.codec
        if isinstance(self.codec, Peak) and self.head.measure == "bits_per_sample":
            return MuLaw(self.codec.peak, self.head.levels)
        return None

    @property
    def frame(self) -> int:
        """Samples that the slowest tier moves by: audio comes in multiples of this."""
        return self.tiers[0].frame_size

    @property
    def block(self) -> int:
        """Samples that the generator moves by."""
        return self.frame

    @property
    def channels(self) -> int:
        """Of the audio."""
        return 1

    @property
    def delay(self) -> int:
        """Samples by which audio comes later than what it is made from."""
        return 0

    labels: tuple[str, ...] = ()  # of pieces of music: it tells none apart

    @property
    def paced(self) -> bool:
        """Whether frames are codes that may be drawn at another tempo, or held."""
        return len(self.tiers) == 1 and self.tiers[0].code_width > 0

    @property
    def controls(self) -> list[Control]:
        """What may be turned while it generates, besides the temperature."""
        return [TEMPO, LEVEL, DENSITY, HOLD] if self.paced else []

    @property
    def context(self) -> int:
        """Samples before the first input that the widest view reaches back to."""
        return max([self.head.context, *(t.window for t in self.tiers)]) - 1

    def state_spec(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes (without the batch) of the recurrent state."""
        tiers = {
            f"tier{i}_{name}": shape
            for i, tier in enumerate(self.tiers)
            for name, shape in tier.state_spec()
        }
        return tiers | {f"head_{name}": shape for name, shape in self.head.state_spec()}

    def zero_state(self, batch: Any) -> State:
        """The state of `batch` fresh streams."""
        return {name: ops.zeros((batch, *shape)) for name, shape in self.state_spec().items()}

    def prepare(self, segments: Sequence[np.ndarray], rate: int) -> None:
        """Take what is not learned from the train part: linear prediction, the clock's period.

        Args:
            segments: codec values of contiguous stretches, each `(n,)`.
            rate: samples per second.
        """
        self.head.fit(segments)
        if any(tier.clock_harmonics for tier in self.tiers):
            period = PULSES_PER_TURN * rate * pulse_period(segments, rate)
            for tier in self.tiers:
                if tier.clock_harmonics:
                    tier.set_period(period)

    def tier_state(self, tier: int, state: State) -> list[Any]:
        """One tier's part of the state, in its own order."""
        return [state[f"tier{tier}_{name}"] for name, _ in self.tiers[tier].state_spec()]

    def named_state(self, tier: int, values: list[Any]) -> State:
        """One tier's state under the model's names."""
        names = [name for name, _ in self.tiers[tier].state_spec()]
        return {f"tier{tier}_{name}": v for name, v in zip(names, values, strict=True)}

    def head_state(self, state: State) -> list[Any]:
        """The head's part of the state, in its own order."""
        return [state[f"head_{name}"] for name, _ in self.head.state_spec()]

    def named_head_state(self, values: list[Any]) -> State:
        """The head's state under the model's names."""
        names = [name for name, _ in self.head.state_spec()]
        return {f"head_{name}": v for name, v in zip(names, values, strict=True)}

    def tier_input(self, values: Any) -> Any:
        """Codec values as the numbers that tiers read: around zero, about one wide."""
        if isinstance(self.codec, Quantizer):
            return self.codec.companded(values, xp=ops)
        return self.cells.compress(values, xp=ops) if self.cells else values

    def call(self, x: Any, state: State | None = None, training: bool = False) -> Any:
        if state is None:
            return self.call_window(x, training)
        numbers = self.tier_input(x)
        history = x[:, self.context - (self.head.context - 1) :]
        conditioning, new_state = None, {}
        for i, tier in enumerate(self.tiers):
            frames = (
                self.head.previous_codes(history)
                if tier.code_width
                else self._frames(numbers, tier)
            )
            conditioning, values = tier(
                frames, conditioning, self.tier_state(i, state), training=training
            )
            new_state.update(self.named_state(i, values))
        prediction, values = self.head(
            history, conditioning, self.head_state(state), training=training
        )
        return prediction, {**new_state, **self.named_head_state(values)}

    def target(self, x: Any, y: Any) -> Any:
        """What the prediction is compared with `(B, N)`.

        Args:
            x: `(B, context + N)` codec values that were read.
            y: `(B, N)`, the sample after each of the last `N`.
        """
        if not self.head.reconstruct:
            return y
        N = x.shape[1] - self.context
        first = self.context + 1 - self.tiers[-1].frame_size
        return x[:, first : first + N]

    def _frames(self, numbers: Any, tier: Tier) -> Any:
        """`(B, context + N)` to `(B, N / frame, window)`: what each step of a tier sees."""
        F, W = tier.frame_size, tier.window
        N = numbers.shape[1] - self.context
        first = self.context + 1 - W
        if F == W:
            return ops.reshape(numbers[:, first : first + N], (-1, N // F, F))
        # A window is whole frames and a rest, each a shifted view of the same row.
        starts = range(0, W, F)
        views = [numbers[:, first + s : first + s + N] for s in starts]
        frames = [ops.reshape(v, (-1, N // F, F)) for v in views]
        return ops.concatenate(frames, axis=-1)[:, :, :W]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}
