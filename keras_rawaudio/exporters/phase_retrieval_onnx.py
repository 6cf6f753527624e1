"""`PhaseRetrieval.hop_of_audio` as a hand-written ONNX graph: tf2onnx has no inverse DFT."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto

from keras_rawaudio.exporters.onnx_graph import GraphBuilder, inner, node
from keras_rawaudio.layers.phase_retrieval import GRID, PhaseRetrieval
from keras_rawaudio.models.spectral_decoder import PHASES

GIVEN = ("magnitudes", "advance", "onset", "gains")  # of each hop


def hop_graph(builder: GraphBuilder, phases: PhaseRetrieval) -> onnx.GraphProto:
    """The body of a loop over hops.

    Its states are `PHASES`; it takes magnitudes `(B, frames, bins)`, whose inner bins count twice,
    `advance` and `onset`, each `(B, bins, 2)`, and gains `(B, channels, bins, 2)`, and makes
    `(B, hop, channels)`. Between its inputs and outputs it computes in 64 bits.
    """
    return _Hop(builder, phases).graph()


class _Hop:
    def __init__(self, builder: GraphBuilder, phases: PhaseRetrieval) -> None:
        self.builder, self.phases = builder, phases
        self.bins = phases.fft_size // 2 + 1
        self.window = builder.doubles("window64", phases.window)
        self.twice = builder.doubles("twice", np.ones((1, 2)))

    def graph(self) -> onnx.GraphProto:
        states = [1 + len(shape) for shape in self.phases.state_shapes()]
        given = dict(zip([*PHASES, *GIVEN], [*states, 3, 3, 3, 4], strict=True))
        made = dict(zip([*(f"{n}_after" for n in PHASES), "audio"], [*states, 3], strict=True))
        grid = [self.builder.doubles("grid", GRID), self.builder.doubles("step", 1 / GRID)]
        nodes, final = self._rounds()
        double, single = TensorProto.DOUBLE, TensorProto.FLOAT
        return self.builder.graph(
            "hop",
            [
                *(node("Cast", [f"hop/{n}_in"], f"hop/{n}", to=double) for n in given),
                *nodes,
                *self._channels(final),
                *(
                    each
                    for n in PHASES
                    for each in (
                        node("Mul", [f"hop/{n}_exact", grid[0]], f"hop/{n}_steps"),
                        node("Round", [f"hop/{n}_steps"], f"hop/{n}_whole"),
                        node("Mul", [f"hop/{n}_whole", grid[1]], f"hop/{n}_after"),
                    )
                ),
                *(node("Cast", [f"hop/{n}"], f"hop/{n}_out", to=single) for n in made),
            ],
            [inner(f"hop/{name}_in", rank) for name, rank in given.items()],
            [inner(f"hop/{name}_out", rank) for name, rank in made.items()],
        )

    def _rounds(self) -> tuple[list[onnx.NodeProto], str]:
        """Rounds of inversion: their nodes, and the name of the oldest frame's spectrum."""
        b, phases = self.builder, self.phases
        size, hop, ahead = phases.fft_size, phases.hop, phases.look_ahead
        length = size + ahead * hop
        start = b.doubles("start", np.stack(phases.start, axis=1))
        nodes = [
            node("Pad", ["hop/total", b.integers(0, 0, 0, hop)], "hop/total0"),
            node("Unsqueeze", ["hop/magnitudes", b.integers(3)], "hop/columns"),
        ]
        frames = []
        for i in range(ahead + 1):
            nodes.append(node("Gather", ["hop/columns", b.index(i)], f"hop/size{i}", axis=1))
            if i < ahead:
                frames.append(f"hop/frame{i}")
                nodes.append(node("Gather", ["hop/waiting", b.index(i)], frames[-1], axis=1))
        total, final = "hop/total0", ""
        for number, (seen, i) in enumerate(phases.order):
            at, first = f"hop/{number}", i * hop
            spectrum, final = f"{at}/spectrum", f"{at}/final"
            nodes += [
                b.slice(total, seen * hop, seen * hop + size, 1, f"{at}/cut"),
                node("Mul", [f"{at}/cut", self.window], f"{at}/windowed"),
                node("Unsqueeze", [f"{at}/windowed", b.integers(2)], f"{at}/signal"),
                node("DFT", [f"{at}/signal"], f"{at}/exact", axis=1, onesided=1),
                node("Add", [f"{at}/exact", start], spectrum),
            ]
            if seen < i:
                nodes += self._product(spectrum, "hop/advance", f"{at}/turned", 2)
                spectrum = f"{at}/begun"
                nodes.append(node("Add", [f"{at}/turned", "hop/onset"], spectrum))
            nodes += [
                # `ReduceL2` of doubles came to ONNX Runtime later than the oldest that we run on.
                node("ReduceSumSquare", [spectrum], f"{at}/power", axes=[2], keepdims=1),
                node("Sqrt", [f"{at}/power"], f"{at}/norm"),
                node("Div", [f"hop/size{i}", f"{at}/norm"], f"{at}/factor"),
                # A column twice by a product, and every second number by a slice: a product that
                # broadcasts pairs, or a `Gather` of one of each, takes four times as long.
                node("MatMul", [f"{at}/factor", self.twice], f"{at}/factors"),
                node("Mul", [spectrum, f"{at}/factors"], final),
                *self._inverse(f"{at}/inverse", final),
                node("Mul", [f"{at}/inverse", self.window], f"{at}/frame"),
            ]
            added = f"{at}/frame"
            if i < len(frames):
                added = f"{at}/added"
                nodes.append(node("Sub", [f"{at}/frame", frames[i]], added))
                frames[i] = f"{at}/frame"
            else:
                frames.append(f"{at}/frame")
            pads = b.integers(0, first, 0, length - first - size)
            nodes += [
                node("Pad", [added, pads], f"{at}/padded"),
                node("Add", [total, f"{at}/padded"], f"{at}/total"),
            ]
            total = f"{at}/total"
        waiting = [f"hop/waiting{i}" for i in range(1, ahead + 1)]
        nodes += [
            node("Unsqueeze", [frame, b.integers(1)], name)
            for frame, name in zip(frames[1:], waiting, strict=True)
        ]
        nodes += [
            node("Concat", waiting, "hop/waiting_exact", axis=1),
            b.slice(total, hop, length, 1, "hop/total_exact"),
        ]
        return nodes, final

    def _channels(self, final: str) -> list[onnx.NodeProto]:
        """The oldest frame's spectrum times each channel's gains, overlapped and added."""
        b, size, hop = self.builder, self.phases.fft_size, self.phases.hop
        scale = b.doubles("scale", self.phases.scale)
        channels = [-1, self.bins, 2], [-1, self.phases.channels, size]
        return [
            node("Unsqueeze", [final, b.integers(1)], "hop/common"),
            *self._product("hop/common", "hop/gains", "hop/complex", 3),
            node("Reshape", ["hop/complex", b.integers(*channels[0])], "hop/channel_spectra"),
            *self._inverse("hop/channel_frames", "hop/channel_spectra"),
            node("Mul", ["hop/channel_frames", self.window], "hop/windowed"),
            node("Reshape", ["hop/windowed", b.integers(*channels[1])], "hop/by_channel"),
            node("Pad", ["hop/overlap", b.integers(0, 0, 0, 0, 0, hop)], "hop/tail"),
            node("Add", ["hop/by_channel", "hop/tail"], "hop/summed"),
            b.slice("hop/summed", 0, hop, 2, "hop/ready"),
            b.slice("hop/summed", hop, size, 2, "hop/overlap_exact"),
            node("Mul", ["hop/ready", scale], "hop/scaled"),
            node("Transpose", ["hop/scaled"], "hop/audio", perm=[0, 2, 1]),
        ]

    def _product(self, x: str, y: str, output: str, axis: int) -> list[onnx.NodeProto]:
        """The product of complex numbers, whose real and imaginary parts lie along the last axis.

        Args:
            x, y: names of the factors, which broadcast.
            output: name of the product.
            axis: the last one.
        """
        b, parts = self.builder, ("re", "im")
        nodes = [
            node("Gather", [source, b.index(i)], f"{output}/{name}_{part}", axis=axis)
            for name, source in (("x", x), ("y", y))
            for i, part in enumerate(parts)
        ]
        nodes += [
            node("Mul", [f"{output}/x_{p}", f"{output}/y_{q}"], f"{output}/{p}_{q}")
            for p in parts
            for q in parts
        ]
        return [
            *nodes,
            node("Sub", [f"{output}/re_re", f"{output}/im_im"], f"{output}/re"),
            node("Add", [f"{output}/re_im", f"{output}/im_re"], f"{output}/im"),
            *(
                node("Unsqueeze", [f"{output}/{part}", b.integers(axis)], f"{output}/{part}_column")
                for part in parts
            ),
            node("Concat", [f"{output}/{part}_column" for part in parts], output, axis=axis),
        ]

    def _inverse(self, output: str, spectrum: str) -> list[onnx.NodeProto]:
        """The real inverse transform of half spectra `(n, bins, 2)`: `(n, fft_size)`."""
        b, size = self.builder, self.phases.fft_size
        missing = size - self.bins
        every_second = [b.integers(n) for n in (0, 2 * size, 1, 2)]
        return [
            node("Pad", [spectrum, b.integers(0, 0, 0, 0, missing, 0)], f"{output}/full"),
            node("DFT", [f"{output}/full"], f"{output}/complex", axis=1, inverse=1),
            node("Reshape", [f"{output}/complex", b.integers(-1, 2 * size)], f"{output}/flat"),
            node("Slice", [f"{output}/flat", *every_second], output),
        ]
