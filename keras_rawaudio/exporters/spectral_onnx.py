"""The ONNX graph of a spectral generator: a scan over blocks; in it, loops over codes and hops."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from keras_rawaudio.dsp.block_spectra import HOPS
from keras_rawaudio.exporters.onnx_graph import (
    GraphBuilder,
    choice,
    inner,
    loop,
    node,
    scan,
    value,
)
from keras_rawaudio.exporters.phase_retrieval_onnx import GIVEN, hop_graph
from keras_rawaudio.exporters.spectral_steps import SpectralSteps
from keras_rawaudio.models.controls import GAIN, HISTORY, LEVEL, PLACE, TEMPO
from keras_rawaudio.models.spectral_codec import CODES
from keras_rawaudio.models.spectral_decoder import CODES_BEFORE, PHASES, SPECTRA
from keras_rawaudio.models.spectral_model import SpectralModel


def compose(model: SpectralModel) -> onnx.ModelProto:
    """The generator's graph, without metadata.

    Inputs and outputs are those of `keras_rawaudio.generation.spectral.advance`, the state after
    under `<name>_next`.
    """
    return _Composer(model).compose()


class _Composer:
    def __init__(self, model: SpectralModel) -> None:
        self.model = model
        self.builder = GraphBuilder(model)
        self.states = [name for name in self.builder.spec if name != GAIN]  # the level comes last
        self.steps = SpectralSteps(model, self.builder)

    def compose(self) -> onnx.ModelProto:
        b, C = self.builder, self.model.channels
        nodes, sequences = self.steps.layout.inline("layout", ["forced", "noise"])
        rest = [-1] if C == 1 else [-1, C]
        nodes += [
            *b.all_frames(self._block(), self.states, sequences, {"blocks": sequences[0]}),
            node("Transpose", ["blocks"], "by_row", perm=[1, 0, 2, 3]),
            node("Shape", ["noise"], "rows", start=0, end=1),
            node("Concat", ["rows", b.integers(*rest)], "shape", axis=0),
            node("Shape", ["forced"], "read_samples", start=1, end=2),
            node("Shape", ["noise"], "drawn_samples", start=1, end=2),
            node("Add", ["read_samples", "drawn_samples"], "all_samples"),
            node("Reshape", ["by_row", "shape"], "all_audio"),
            node("Slice", ["all_audio", "read_samples", "all_samples", b.integers(1)], "drawn"),
        ]
        given = ["drawn", LEVEL.name, GAIN]
        nodes += self.steps.level.inline("level", given, ["audio", f"{GAIN}_next"])[0]
        return b.generator(nodes)

    def _block(self) -> onnx.GraphProto:
        """The body of the loop over blocks."""
        F, C = self.model.block, self.model.channels
        before = {name: f"block/{name}" for name in self.states}
        after = {name: f"block/{name}_after" for name in self.states}
        nodes, (places, draws, most) = self.steps.pace.inline(
            "block/pace", [before[PLACE], before[TEMPO.name], "block/drawn"]
        )
        moved = [CODES, CODES_BEFORE, *self.steps.recurrent]
        spectra, (*begins, _, _) = self.steps.spectra.inline(
            "block/spectra",
            [places, *(after[n] for n in (CODES, CODES_BEFORE)), *(before[n] for n in SPECTRA)],
            [*(f"block/hop_{name}" for name in GIVEN), *(after[n] for n in SPECTRA)],
        )
        nodes += [
            node("Cast", ["block/drawn"], "block/is_drawn", to=TensorProto.BOOL),
            node("Cast", [most], "block/times", to=TensorProto.INT64),
            loop(
                self._codes(draws),
                "block/times",
                [before[name] for name in moved],
                [after[name] for name in moved],
            ),
            *spectra,
            self.builder.slice(places, HOPS - 1, HOPS, 1, after[PLACE]),
            scan(
                hop_graph(self.builder, self.model.decoder.phases),
                [*(before[name] for name in PHASES), *begins],
                [*(after[name] for name in PHASES), "block/hops"],
                len(GIVEN),
            ),
            node("Transpose", ["block/hops"], "block/hops_by_row", perm=[1, 0, 2, 3]),
            node("Reshape", ["block/hops_by_row", self.builder.integers(-1, F, C)], "block/audio"),
            node("Where", ["block/is_drawn", "block/audio", "block/given"], after[HISTORY]),
            *(node("Identity", [before[c.name]], after[c.name]) for c in self.model.controls),
        ]
        ranks = [1 + len(self.builder.spec[name][0]) for name in self.states]
        given = [inner("block/given", 3), inner("block/noise", 2), value("block/drawn", [])]
        return self.builder.graph(
            "block",
            nodes,
            [*map(inner, before.values(), ranks), *given],
            [*map(inner, after.values(), ranks), inner("block/audio", 3)],
        )

    def _codes(self, draws: str) -> onnx.GraphProto:
        """The body of the loop that draws blocks of codes, or reads one."""
        names = [CODES, CODES_BEFORE, *self.steps.recurrent]
        before = {name: f"codes/{name}" for name in names}
        after = [f"codes/{name}_after" for name in names]
        states = {name: f"block/{name}" for name in self.states} | before
        nodes, (hidden, *recurrent) = self.steps.hidden.inline(
            "codes/hidden",
            [
                states[CODES],
                "block/noise",
                "codes/number",
                "block/drawn",
                *(states[n] for n in self.steps.hidden_states),
            ],
        )
        moved_on = states | dict(zip(self.steps.recurrent, recurrent, strict=True))
        own = [before[name] for name in self.steps.recurrent]
        given = ["codes/number", draws, before[CODES], before[CODES_BEFORE], "codes/new"]
        moved, _ = self.steps.moved.inline("codes/moved", [*given, *own, *recurrent], after)
        nodes = [
            node("Cast", ["codes/i"], "codes/number", to=TensorProto.FLOAT),
            node("Cast", ["block/drawn"], "codes/is_drawn", to=TensorProto.BOOL),
            *nodes,
            choice("codes/is_drawn", ["codes/new"], self._draw(hidden, moved_on), self._read()),
            *moved,
            node("Identity", ["codes/go_on"], "codes/goes_on"),
        ]
        ranks = [1 + len(self.builder.spec[name][0]) for name in names]
        counter = helper.make_tensor_value_info("codes/i", TensorProto.INT64, [])
        go_on, goes_on = (
            helper.make_tensor_value_info(name, TensorProto.BOOL, [])
            for name in ("codes/go_on", "codes/goes_on")
        )
        return self.builder.graph(
            "codes",
            nodes,
            [counter, go_on, *map(inner, before.values(), ranks)],
            [goes_on, *map(inner, after, ranks)],
        )

    def _draw(self, hidden: str, states: dict[str, str]) -> onnx.GraphProto:
        """The branch that draws codes."""
        state = [states[name] for name in self.steps.drawing_states]
        given = [hidden, "block/noise", "codes/number", "temperature", *state]
        nodes, codes = self.steps.draw.inline("draw", given, ["draw/codes"])
        return self.builder.graph("draw", nodes, [], [inner(codes[0], 2)])

    def _read(self) -> onnx.GraphProto:
        """The branch that reads codes off the given audio."""
        b, C, spectra = self.builder, self.model.channels, self.model.spectral_codec.spectra
        size, hop, bins = spectra.fft_size, spectra.hop, spectra.bins
        window = b.floats("window_column", spectra.window[:, None])
        nodes = [node("Concat", [f"block/{HISTORY}", "block/given"], "read/audio", axis=1)]
        power = []
        for i, start in enumerate(range(hop, size + 1, hop)):
            at = f"read{i}"
            nodes += [
                b.slice("read/audio", start, start + size, 1, f"{at}/cut"),
                node("Mul", [f"{at}/cut", window], f"{at}/windowed"),
                node("Transpose", [f"{at}/windowed"], f"{at}/channels", perm=[0, 2, 1]),
                node("Reshape", [f"{at}/channels", b.integers(-1, size, 1)], f"{at}/signal"),
                node("DFT", [f"{at}/signal"], f"{at}/spectrum", axis=1, onesided=1),
                node("ReduceSumSquare", [f"{at}/spectrum"], f"{at}/power", axes=[2], keepdims=0),
                node("Reshape", [f"{at}/power", b.integers(-1, C, bins)], f"{at}/each"),
                node("ReduceMean", [f"{at}/each"], f"{at}/mean", axes=[1], keepdims=1),
            ]
            power.append(f"{at}/mean")
        nodes.append(node("Concat", power, "read/power", axis=1))
        more, codes = self.steps.read.inline("read/codec", ["read/power"], ["read/codes"])
        return b.graph("read", [*nodes, *more], [], [inner(codes[0], 2)])
