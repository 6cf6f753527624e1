"""What a spectral generator does, step by step, each step a small ONNX graph."""

from __future__ import annotations

from typing import Any

import numpy as np
from keras import ops

from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.exporters.onnx_graph import GraphBuilder
from keras_rawaudio.exporters.steps import Step
from keras_rawaudio.models.code_sampler import AGE
from keras_rawaudio.models.controls import DENSITY, HOLD, MOST_DRAWS, with_level
from keras_rawaudio.models.repetition_penalty import REPEATED
from keras_rawaudio.models.section_chain import SECTION
from keras_rawaudio.models.spectral_codec import CODES
from keras_rawaudio.models.spectral_decoder import CODES_BEFORE, SPECTRA
from keras_rawaudio.models.spectral_model import SpectralModel


class SpectralSteps:
    """The model's functions, converted one by one through tf2onnx.

    Inside of loops time comes first: blocks are `(T, B, block, C)`.

    Args:
        model: the model.
        builder: of the graph that the steps go into.

    Attributes:
        layout: all blocks by time: audio, noise, and 1 where a block is drawn.
        pace: places of the frames of a block, how many blocks to draw for it, the most of all rows.
        recurrent: names of the states that `hidden` returns.
        hidden_states: names of those that it takes, after the number of the draw, from 0.
        hidden: what the prior makes of the codes before, and its state.
        drawing_states: names of the states that `draw` takes; but for codes before and controls,
            those that `hidden` returns.
        draw: new codes; it takes the number of the draw, from 0.
        moved: codes, codes before and recurrent state with a block more, in rows that draw it.
        read: codes of spectra of power.
        spectra: what `SpectralDecoder.hop_spectra` gives.
        level: audio at the level that is asked for, and the gain that it ends with.
    """

    def __init__(self, model: SpectralModel, builder: GraphBuilder) -> None:
        self.model = model
        self._convert = builder.step
        self.recurrent = [name for name in model.step.states if name in builder.spec]
        self.hidden_states = [*self.recurrent, HOLD.name]
        section = [SECTION] if model.sections else []
        # Without nearness and sections the age decides nothing.
        age = [AGE] if section or float(np.asarray(model.nearness)) else []
        repeated = [REPEATED] if REPEATED in builder.spec else []
        self.drawing_states = [CODES, *age, *section, *repeated, DENSITY.name, HOLD.name]
        self._shapes = {name: (None, *shape) for name, (shape, _) in builder.spec.items()}
        self._audio = (None, None) if model.channels == 1 else (None, None, model.channels)
        self.level = self._level_step()
        self.layout = self._layout_step()
        self.pace = self._pace_step()
        self.hidden = self._hidden_step()
        self.draw = self._draw_step()
        self.moved = self._moved_step()
        self.read = self._read_step()
        self.spectra = self._spectra_step()

    def _level_step(self) -> Step:
        def level(audio: Any, level: Any, gain: Any) -> list[Any]:
            return list(with_level(audio, level, gain, self.model.rate))

        return self._convert("level", level, [self._audio, (None, 1), (None, 1)])

    def _layout_step(self) -> Step:
        S, F, C = MOST_DRAWS * self.model.noise_per_draw, self.model.block, self.model.channels

        def layout(forced: Any, noise: Any) -> list[Any]:
            B = ops.shape(noise)[0]
            read = ops.reshape(forced, (B, ops.shape(forced)[1] // F, F, C))
            noise = ops.reshape(noise, (B, ops.shape(noise)[1] // F, F))[:, :, :S]
            unread = ops.zeros((B, ops.shape(noise)[1], F, C))
            undrawn = ops.zeros((B, ops.shape(read)[1], S))
            drawn = [ops.zeros((ops.shape(read)[1],)), ops.ones((ops.shape(noise)[1],))]
            return [
                ops.transpose(ops.concatenate([read, unread], axis=1), (1, 0, 2, 3)),
                ops.transpose(ops.concatenate([undrawn, noise], axis=1), (1, 0, 2)),
                ops.concatenate(drawn, axis=0),
            ]

        return self._convert("layout", layout, [self._audio, (None, None, 1)])

    def _pace_step(self) -> Step:
        def pace(place: Any, tempo: Any, drawn: Any) -> list[Any]:
            places, draws = self.model.decoder.pace(place, tempo, drawn)
            return [places, draws, ops.max(draws)]

        return self._convert("pace", pace, [(None, 1), (None, 1), ()])

    def _noise_of_draw(self, noise: Any, number: Any) -> Any:
        """The numbers of one draw, of those of all draws of a block: `(B, noise_per_draw)`."""
        each = ops.reshape(noise, (-1, MOST_DRAWS, self.model.noise_per_draw))
        return ops.take(each, ops.cast(number, "int32"), axis=1)

    def _hidden_step(self) -> Step:
        def hidden(codes: Any, noise: Any, number: Any, drawn: Any, *state: Any) -> list[Any]:
            named = {CODES: codes, **dict(zip(self.hidden_states, state, strict=True))}
            after = self.model.step(named, self._noise_of_draw(noise, number), drawn)
            return [after[0], *(after[1][name] for name in self.recurrent)]

        shapes = [self._shapes[name] for name in self.hidden_states]
        given = [self._shapes[CODES], (None, MOST_DRAWS * self.model.noise_per_draw), (), ()]
        return self._convert("hidden", hidden, [*given, *shapes])

    def _draw_step(self) -> Step:
        model = self.model
        # As constants: what draws from them would be computed again for each block.
        keys = [tuple(np.asarray(part) for part in each) for each in model.sampler.drawing_keys()]

        def draw(hidden: Any, noise: Any, number: Any, temperature: Any, *state: Any) -> Any:
            column = ops.reshape(temperature, (-1, 1))
            named = dict(zip(self.drawing_states, state, strict=True))
            own = self._noise_of_draw(noise, number)
            return ops.cast(model.sampler.draw(hidden, own, column, keys, named), "float32")

        given = [(None, model.prior.units), (None, MOST_DRAWS * model.noise_per_draw), (), (None,)]
        shapes = [self._shapes[name] for name in self.drawing_states]
        return self._convert("draw", draw, [*given, *shapes])

    def _moved_step(self) -> Step:
        count = len(self.recurrent)

        def moved(number: Any, draws: Any, codes: Any, before: Any, new: Any, *state: Any) -> Any:
            moves = draws > number
            pairs = zip(state[:count], state[count:], strict=True)
            recurrent = [ops.where(moves, after, old) for old, after in pairs]
            return [*self.model.decoder.moved(codes, before, new, moves), *recurrent]

        codes, before = self._shapes[CODES], self._shapes[CODES_BEFORE]
        recurrent = [self._shapes[name] for name in self.recurrent]
        return self._convert("moved", moved, [(), (None, 1), codes, before, codes, *recurrent * 2])

    def _read_step(self) -> Step:
        codec = self.model.spectral_codec

        def read(power: Any) -> Any:
            return ops.cast(codec.encode_power(power), "float32")

        return self._convert("read", read, [(None, HOPS, codec.spectra.bins)])

    def _spectra_step(self) -> Step:
        # The inverse transform takes half a spectrum, whose inner bins count twice.
        twice = np.full((1, 1, 1, self.model.spectral_codec.spectra.bins), 2.0, np.float32)
        twice[..., [0, -1]] = 1.0

        def spectra(*given: Any) -> list[Any]:
            magnitudes, *rest = self.model.decoder.hop_spectra(*given)
            return [magnitudes * twice, *rest]

        names = [CODES, CODES_BEFORE, *SPECTRA]
        return self._convert("spectra", spectra, [(None, HOPS), *(self._shapes[n] for n in names)])
