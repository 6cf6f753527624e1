"""One ONNX graph of a spectral generator: a scan over blocks, and in it one over hops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from keras import ops
from onnx import TensorProto, helper, numpy_helper

from keras_rawaudio.exporters.steps import OPSET, Step, convert
from keras_rawaudio.models.controls import DENSITY, GAIN, HOLD, LEVEL, TEMPO, with_level
from keras_rawaudio.models.spectral_model import CODES, HISTORY, PHASES, SpectralModel

IR_VERSION = 8


def compose(model: SpectralModel) -> onnx.ModelProto:
    """The generator's graph, without metadata.

    Inputs and outputs are those of `keras_rawaudio.generation.spectral.advance`, the state after
    under `<name>_next`.
    """
    return _Composer(model).compose()


class _Composer:
    def __init__(self, model: SpectralModel) -> None:
        self.model = model
        self.spec = model.generator_state_spec()
        self.looped = [name for name in self.spec if name != GAIN]  # the level comes after all
        self.recurrent = list(model.state_spec())
        self.turned = [HOLD.name, *([TEMPO.name] if TEMPO.name in self.spec else [])]
        self.constants: dict[str, onnx.TensorProto] = {}
        S, F, C = model.frame, model.block, model.channels
        codec, bins = model.spectral_codec, model.spectral_codec.spectra.bins
        shapes = [(None, *self.spec[name][0]) for name in self.recurrent]
        audio = (None, None) if C == 1 else (None, None, C)
        keys = [tuple(np.asarray(part) for part in each) for each in model.drawing_keys()]
        # The inverse transform takes half a spectrum, whose inner bins count twice.
        twice = np.full((1, 1, 1, bins), 2.0, np.float32)
        twice[..., [0, -1]] = 1.0

        def layout(forced: Any, noise: Any) -> list[Any]:
            B = ops.shape(noise)[0]
            read = ops.reshape(forced, (B, ops.shape(forced)[1] // F, F, C))
            chance = ops.reshape(noise, (B, ops.shape(noise)[1] // F, F))[:, :, :S]
            unread = ops.zeros((B, ops.shape(chance)[1], F, C))
            undrawn = ops.zeros((B, ops.shape(read)[1], S))
            drawn = [ops.zeros((ops.shape(read)[1],)), ops.ones((ops.shape(chance)[1],))]
            return [
                ops.transpose(ops.concatenate([read, unread], axis=1), (1, 0, 2, 3)),
                ops.transpose(ops.concatenate([undrawn, chance], axis=1), (1, 0, 2)),
                ops.concatenate(drawn, axis=0),
            ]

        def hidden(codes: Any, drawn: Any, *state: Any) -> list[Any]:
            names = [*self.recurrent, *self.turned]
            named = {CODES: codes, **dict(zip(names, state, strict=True))}
            after = model.next_hidden(named, drawn)
            return [after[0], *(after[1][name] for name in self.recurrent)]

        def draw(hidden: Any, chance: Any, temperature: Any, *state: Any) -> Any:
            column = ops.reshape(temperature, (-1, 1))
            named = dict(zip((CODES, DENSITY.name, HOLD.name), state, strict=True))
            return ops.cast(model.draw_codes(hidden, chance, column, keys, named), "float32")

        def read(power: Any) -> Any:
            return ops.cast(codec.encode_power(power), "float32")

        def spectra(before: Any, codes: Any) -> list[Any]:
            both = ops.cast(before, "int32"), ops.cast(codes, "int32")
            magnitudes, gains = model.hop_spectra(*both)
            return [magnitudes * twice, gains]

        def level(audio: Any, level: Any, gain: Any) -> list[Any]:
            return list(with_level(audio, level, gain, model.rate))

        column = (None, 1)
        self.level = self._step("level", level, [audio, column, column])
        self.layout = self._step("layout", layout, [audio, (None, None, 1)])
        self.hidden = self._step(
            "hidden", hidden, [(None, S), (), *shapes, *(column for _ in self.turned)]
        )
        width = model.prior.units
        self.draw = self._step(
            "draw", draw, [(None, width), (None, S), (None,), (None, S), column, column]
        )
        self.read = self._step("read", read, [(None, 4, bins)])
        self.spectra = self._step("spectra", spectra, [(None, S), (None, S)])

    def compose(self) -> onnx.ModelProto:
        C = self.model.channels
        nodes, (blocks, chance, drawn) = self.layout.inline("layout", ["forced", "noise"])
        after = [f"{name}_next" for name in self.looped]
        nodes += [
            self._node("Shape", [drawn], "count"),
            self._node("Greater", ["count", self._integers([0])], "is_any"),
            helper.make_node(
                "If",
                ["is_any"],
                [*after, "blocks_of_audio"],
                name="advance",
                then_branch=self._scan_blocks(blocks, chance, drawn),
                else_branch=self._nothing(blocks),
            ),
            self._node("Transpose", ["blocks_of_audio"], "by_row", perm=[1, 0, 2, 3]),
            self._node("Shape", ["noise"], "rows", start=0, end=1),
            self._node(
                "Concat", ["rows", self._integers([-1] if C == 1 else [-1, C])], "shape", axis=0
            ),
            self._node("Shape", ["forced"], "read_samples", start=1, end=2),
            self._node("Shape", ["noise"], "drawn_samples", start=1, end=2),
            self._node("Add", ["read_samples", "drawn_samples"], "all_samples"),
            self._node("Reshape", ["by_row", "shape"], "all_audio"),
            self._node(
                "Slice",
                ["all_audio", "read_samples", "all_samples", self._integers([1])],
                "plain_audio",
            ),
        ]
        given = ["plain_audio", LEVEL.name, GAIN]
        nodes += self.level.inline("level", given, ["audio", f"{GAIN}_next"])[0]
        more: list[int | str] = [] if C == 1 else [C]
        inputs = [
            _value("forced", ["batch", "forced_samples", *more]),
            _value("noise", ["batch", "samples", 1]),
            _value("temperature", ["batch"]),
            *(_value(name, ["batch", *shape]) for name, (shape, _) in self.spec.items()),
        ]
        outputs = [
            _value("audio", ["batch", "samples", *more]),
            *(_value(f"{name}_next", ["batch", *shape]) for name, (shape, _) in self.spec.items()),
        ]
        proto = helper.make_model(
            self._graph("generator", nodes, inputs, outputs),
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="keras_rawaudio",
        )
        proto.ir_version = IR_VERSION
        return proto

    def _nothing(self, blocks: str) -> onnx.GraphProto:
        names = [f"none/{name}" for name in self.looped]
        nodes = [self._node("Identity", [a], b) for a, b in zip(self.looped, names, strict=True)]
        nodes.append(self._node("Identity", [blocks], "none/audio"))
        outputs = [self._state_value(n, name) for n, name in zip(names, self.looped, strict=True)]
        return self._graph("nothing", nodes, [], [*outputs, _ranked("none/audio", 4)])

    def _scan_blocks(self, blocks: str, chance: str, drawn: str) -> onnx.GraphProto:
        names = [f"some/{name}" for name in self.looped]
        scan = helper.make_node(
            "Scan",
            [*self.looped, blocks, chance, drawn],
            [*names, "some/audio"],
            name="blocks",
            body=self._block_body(),
            num_scan_inputs=3,
        )
        outputs = [self._state_value(n, name) for n, name in zip(names, self.looped, strict=True)]
        return self._graph("some", [scan], [], [*outputs, _ranked("some/audio", 4)])

    def _block_body(self) -> onnx.GraphProto:
        F, C = self.model.block, self.model.channels
        state = {name: f"block/{name}" for name in self.looped}
        inputs = [
            *(self._state_value(f"block/{name}", name) for name in self.looped),
            _ranked("block/given", 3),
            _ranked("block/chance", 2),
            _value("block/drawn", []),
        ]
        nodes, (hidden, *moved) = self.hidden.inline(
            "block/hidden",
            [
                state[CODES],
                "block/drawn",
                *(state[name] for name in (*self.recurrent, *self.turned)),
            ],
        )
        nodes += [
            self._node("Cast", ["block/drawn"], "block/is_drawn", to=TensorProto.BOOL),
            helper.make_node(
                "If",
                ["block/is_drawn"],
                ["block/new_codes"],
                name="codes",
                then_branch=self._draw_codes(hidden),
                else_branch=self._read_codes(),
            ),
        ]
        more, (magnitudes, gains) = self.spectra.inline(
            "block/spectra", [state[CODES], "block/new_codes"]
        )
        phases = [f"block/{name}_after" for name in PHASES]
        nodes += [
            *more,
            helper.make_node(
                "Scan",
                [*(state[name] for name in PHASES), magnitudes, gains],
                [*phases, "block/hops"],
                name="hops",
                body=self._hop_body(),
                num_scan_inputs=2,
            ),
            self._node("Transpose", ["block/hops"], "block/hops_by_row", perm=[1, 0, 2, 3]),
            self._node("Reshape", ["block/hops_by_row", self._integers([-1, F, C])], "block/audio"),
            self._node(
                "Where", ["block/is_drawn", "block/audio", "block/given"], "block/history_after"
            ),
        ]
        turned = [c.name for c in self.model.controls]
        nodes += [self._node("Identity", [state[n]], f"block/{n}_after") for n in turned]
        after = {
            **{name: f"block/{name}_after" for name in turned},
            **dict(zip(self.recurrent, moved, strict=True)),
            CODES: "block/new_codes",
            HISTORY: "block/history_after",
            **dict(zip(PHASES, phases, strict=True)),
        }
        outputs = [self._state_value(after[name], name) for name in self.looped]
        return self._graph("block", nodes, inputs, [*outputs, _ranked("block/audio", 3)])

    def _draw_codes(self, hidden: str) -> onnx.GraphProto:
        nodes, _ = self.draw.inline(
            "drawn",
            [
                hidden,
                "block/chance",
                "temperature",
                *(f"block/{name}" for name in (CODES, DENSITY.name, HOLD.name)),
            ],
            ["drawn/codes"],
        )
        return self._graph("drawn", nodes, [], [_ranked("drawn/codes", 2)])

    def _read_codes(self) -> onnx.GraphProto:
        spectra = self.model.spectral_codec.spectra
        size, hop, bins = spectra.fft_size, spectra.hop, spectra.bins
        C = self.model.channels
        window = self._floats("window_column", spectra.window[:, None])
        nodes = [self._node("Concat", ["block/history", "block/given"], "read/audio", axis=1)]
        power = []
        for i, start in enumerate(range(hop, size + 1, hop)):
            at = f"read{i}"
            ends = [self._integers([n]) for n in (start, start + size, 1)]
            nodes += [
                self._node("Slice", ["read/audio", *ends], f"{at}/cut"),
                self._node("Mul", [f"{at}/cut", window], f"{at}/windowed"),
                self._node("Transpose", [f"{at}/windowed"], f"{at}/channels", perm=[0, 2, 1]),
                self._node(
                    "Reshape", [f"{at}/channels", self._integers([-1, size, 1])], f"{at}/signal"
                ),
                self._node("DFT", [f"{at}/signal"], f"{at}/spectrum", axis=1, onesided=1),
                self._node(
                    "ReduceSumSquare", [f"{at}/spectrum"], f"{at}/power", axes=[2], keepdims=0
                ),
                self._node("Reshape", [f"{at}/power", self._integers([-1, C, bins])], f"{at}/each"),
                self._node("ReduceMean", [f"{at}/each"], f"{at}/mean", axes=[1], keepdims=1),
            ]
            power.append(f"{at}/mean")
        nodes.append(self._node("Concat", power, "read/power", axis=1))
        more, _ = self.read.inline("read/codec", ["read/power"], ["read/codes"])
        return self._graph("read", [*nodes, *more], [], [_ranked("read/codes", 2)])

    def _hop_body(self) -> onnx.GraphProto:
        phases = self.model.phases
        size, hop, ahead = phases.fft_size, phases.hop, phases.look_ahead
        bins, length = size // 2 + 1, size + ahead * hop
        window = self._floats("window", phases.window)
        start = self._floats("start", np.stack([phases.start, 0 * phases.start], axis=1))
        inputs = [
            *(self._state_value(f"hop/{name}", name) for name in PHASES),
            _ranked("hop/magnitudes", 3),
            _ranked("hop/gains", 4),
        ]
        nodes = [
            self._node("Pad", ["hop/total", self._integers([0, 0, 0, hop])], "hop/total0"),
            self._node("Unsqueeze", ["hop/magnitudes", self._integers([3])], "hop/columns"),
        ]
        frames = []
        for i in range(ahead + 1):
            index = self._scalar(i)
            nodes.append(self._node("Gather", ["hop/columns", index], f"hop/size{i}", axis=1))
            if i < ahead:
                frames.append(f"hop/frame{i}")
                nodes.append(self._node("Gather", ["hop/waiting", index], frames[-1], axis=1))
        order = [ahead, *list(reversed(range(ahead + 1))) * phases.iterations]
        total, final = "hop/total0", ""
        for number, i in enumerate(order):
            at, first = f"hop/{number}", i * hop
            ends = [self._integers([n]) for n in (first, first + size, 1)]
            final = f"{at}/final"
            nodes += [
                self._node("Slice", [total, *ends], f"{at}/cut"),
                self._node("Mul", [f"{at}/cut", window], f"{at}/windowed"),
                self._node("Unsqueeze", [f"{at}/windowed", self._integers([2])], f"{at}/signal"),
                self._node("DFT", [f"{at}/signal"], f"{at}/exact", axis=1, onesided=1),
                self._node("Add", [f"{at}/exact", start], f"{at}/spectrum"),
                self._node("ReduceL2", [f"{at}/spectrum"], f"{at}/norm", axes=[2], keepdims=1),
                self._node("Div", [f"hop/size{i}", f"{at}/norm"], f"{at}/factor"),
                self._node("Mul", [f"{at}/spectrum", f"{at}/factor"], final),
                *self._inverse(f"{at}/inverse", final, size, bins),
                self._node("Mul", [f"{at}/inverse", window], f"{at}/frame"),
            ]
            added = f"{at}/frame"
            if i < len(frames):
                added = f"{at}/added"
                nodes.append(self._node("Sub", [f"{at}/frame", frames[i]], added))
                frames[i] = f"{at}/frame"
            else:
                frames.append(f"{at}/frame")
            pads = self._integers([0, first, 0, length - first - size])
            nodes += [
                self._node("Pad", [added, pads], f"{at}/padded"),
                self._node("Add", [total, f"{at}/padded"], f"{at}/total"),
            ]
            total = f"{at}/total"
        nodes += self._channels(final, size, hop, bins)
        kept = []
        for i in range(1, ahead + 1):
            kept.append(f"hop/kept{i}")
            nodes.append(self._node("Unsqueeze", [frames[i], self._integers([1])], kept[-1]))
        ends = [self._integers([n]) for n in (hop, length, 1)]
        nodes += [
            self._node("Concat", kept, "hop/waiting_after", axis=1),
            self._node("Slice", [total, *ends], "hop/total_after"),
        ]
        after = zip((f"hop/{name}_after" for name in PHASES), PHASES, strict=True)
        outputs = [self._state_value(new, name) for new, name in after]
        return self._graph("hop", nodes, inputs, [*outputs, _ranked("hop/audio", 3)])

    def _channels(self, final: str, size: int, hop: int, bins: int) -> list[onnx.NodeProto]:
        """The oldest frame's spectrum times each channel's gains, overlapped and added."""
        C = self.model.channels
        window = self._floats("window", self.model.phases.window)
        scale = self._floats("scale", np.float32(self.model.phases.scale))
        column = self._integers([3])
        nodes = [self._node("Unsqueeze", [final, self._integers([1])], "hop/common")]
        for name, source in (("x", "hop/common"), ("g", "hop/gains")):
            for part, index in (("re", 0), ("im", 1)):
                nodes.append(
                    self._node(
                        "Gather", [source, self._scalar(index)], f"hop/{name}_{part}", axis=3
                    )
                )
        products = [(a, b) for a in ("re", "im") for b in ("re", "im")]
        nodes += [
            self._node("Mul", [f"hop/x_{a}", f"hop/g_{b}"], f"hop/{a}_{b}") for a, b in products
        ]
        nodes += [
            self._node("Sub", ["hop/re_re", "hop/im_im"], "hop/re"),
            self._node("Add", ["hop/re_im", "hop/im_re"], "hop/im"),
            self._node("Unsqueeze", ["hop/re", column], "hop/re_column"),
            self._node("Unsqueeze", ["hop/im", column], "hop/im_column"),
            self._node("Concat", ["hop/re_column", "hop/im_column"], "hop/complex", axis=3),
            self._node(
                "Reshape", ["hop/complex", self._integers([-1, bins, 2])], "hop/channel_spectra"
            ),
            *self._inverse("hop/channel_frames", "hop/channel_spectra", size, bins),
            self._node("Mul", ["hop/channel_frames", window], "hop/windowed"),
            self._node(
                "Reshape", ["hop/windowed", self._integers([-1, C, size])], "hop/by_channel"
            ),
            self._node("Pad", ["hop/overlap", self._integers([0, 0, 0, 0, 0, hop])], "hop/tail"),
            self._node("Add", ["hop/by_channel", "hop/tail"], "hop/summed"),
        ]
        for name, (first, last) in {
            "hop/ready": (0, hop),
            "hop/overlap_after": (hop, size),
        }.items():
            ends = [self._integers([n]) for n in (first, last, 2)]
            nodes.append(self._node("Slice", ["hop/summed", *ends], name))
        return [
            *nodes,
            self._node("Mul", ["hop/ready", scale], "hop/scaled"),
            self._node("Transpose", ["hop/scaled"], "hop/audio", perm=[0, 2, 1]),
        ]

    def _inverse(self, output: str, spectrum: str, size: int, bins: int) -> list[onnx.NodeProto]:
        """The real inverse transform of half spectra `(n, bins, 2)`: `(n, size)`."""
        return [
            self._node(
                "Pad", [spectrum, self._integers([0, 0, 0, 0, size - bins, 0])], f"{output}/full"
            ),
            self._node("DFT", [f"{output}/full"], f"{output}/complex", axis=1, inverse=1),
            self._node("Gather", [f"{output}/complex", self._scalar(0)], output, axis=2),
        ]

    # Small helpers

    def _step(self, name: str, function: Any, shapes: Sequence[Any]) -> Step:
        step = convert(name, function, shapes)
        self.constants.update({c.name: c for c in step.constants})
        return step

    def _graph(
        self, name: str, nodes: list[onnx.NodeProto], inputs: list[Any], outputs: list[Any]
    ) -> onnx.GraphProto:
        """A graph that holds the constants of its own nodes."""
        constants: dict[str, onnx.TensorProto] = {}
        for node in nodes:
            for place, used in enumerate(node.input):
                if used in self.constants:
                    if used not in constants:
                        constants[used] = onnx.TensorProto()
                        constants[used].CopyFrom(self.constants[used])
                        constants[used].name = f"{name}/{used}"
                    node.input[place] = constants[used].name
        return helper.make_graph(nodes, name, inputs, outputs, list(constants.values()))

    def _state_value(self, name: str, state: str) -> onnx.ValueInfoProto:
        return _ranked(name, 1 + len(self.spec[state][0]))

    def _integers(self, values: list[int]) -> str:
        name = "int/" + "_".join(map(str, values))
        self.constants[name] = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        return name

    def _scalar(self, value: int) -> str:
        name = f"index/{value}"
        self.constants[name] = helper.make_tensor(name, TensorProto.INT64, [], [value])
        return name

    def _floats(self, name: str, values: Any) -> str:
        self.constants[name] = numpy_helper.from_array(np.asarray(values, np.float32), name)
        return name

    @staticmethod
    def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [output], name=f"{kind}/{output}", **attributes)


def _value(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _ranked(name: str, rank: int) -> onnx.ValueInfoProto:
    """A tensor in a loop, of free sizes."""
    return _value(name, [f"{name}/{axis}" for axis in range(rank)])
