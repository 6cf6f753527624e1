"""The ONNX graph of an `AudioModel`'s generator: converted steps in nested scans over time."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from keras_rawaudio.exporters.audio_steps import AudioSteps
from keras_rawaudio.exporters.onnx_graph import SCORE, GraphBuilder, choice, inner, node, scan
from keras_rawaudio.generation.advance import HEAD_CODES
from keras_rawaudio.models import AudioModel
from keras_rawaudio.models.controls import DENSITY, GAIN, HISTORY, HOLD, LEVEL, PLACE, TEMPO


def compose(model: AudioModel, int8: bool = False) -> onnx.ModelProto:
    """The generator's graph, without metadata; wide layers in 8 bits with `int8`."""
    return _Composer(model, int8).compose()


class _Composer:
    """Builds the graph from the innermost loop outwards.

    One nest of loops reads the forced frames and then draws the others: only where values come
    from is there an `If`. Names of tensors: `history` and the tiers' states under the model's
    names, with a prefix for each loop. Inside of loops time comes first, so that Scan can slice it.
    """

    def __init__(self, model: AudioModel, int8: bool) -> None:
        self.model = model
        self.builder = GraphBuilder(model, int8)
        # Controls stay as they are, and the level is followed outside of the loops.
        self.controls = [control.name for control in model.controls]
        self.states = [name for name in self.builder.spec if name not in (*self.controls, GAIN)]
        self.head_states = [f"head_{name}" for name, _ in model.head.state_spec()]
        self.steps = AudioSteps(model, self.builder)
        # What comes out for each sample: its value and, where a head has bits, those of one read.
        self.made = ["values", "bits"] if self.steps.score else ["values"]

    def compose(self) -> onnx.ModelProto:
        given = ["forced", "noise", "temperature"]
        nodes, (values, noise, is_drawn) = self.steps.layout.inline("layout", given)
        made = {f"made/{name}": values for name in self.made}
        if self.steps.is_paced:
            controls = [TEMPO.name, DENSITY.name, HOLD.name]
            nodes += self.steps.is_paced.inline("is_paced", controls, ["is_paced"])[0]
        nodes += [
            node("Unsqueeze", ["temperature", self.builder.integers(1)], "temperature_column"),
            *self.builder.all_frames(self._body(0), self.states, [values, noise, is_drawn], made),
        ]
        audio = "drawn" if self.steps.level else "audio"
        finish, _ = self.steps.finish.inline("finish", ["forced", *made], [audio, "bits"])
        if self.steps.level:
            given = [audio, LEVEL.name, GAIN]
            finish += self.steps.level.inline("level", given, ["audio", f"{GAIN}_next"])[0]
        finish += [node("Identity", [name], f"{name}_next") for name in self.controls]
        return self.builder.generator([*nodes, *finish], bits=self.steps.score is not None)

    # The bodies of the loops: one for each tier and one for the subframe

    def _body(self, i: int) -> onnx.GraphProto:
        at, tier = f"loop{i}", self.model.tiers[i]
        own = [f"tier{i}_{n}" for n, _ in tier.state_spec()]
        states = {s: f"{at}/{s}" for s in self._states_from(i)}
        given, noise, made = f"{at}/given", f"{at}/noise", [f"{at}/{m}" for m in self.made]
        if i:
            inputs = [inner(f"{at}/conditioning", 2), inner(given, 2), inner(noise, 3)]
        else:
            marks = helper.make_tensor_value_info("is_drawn", TensorProto.BOOL, [])
            inputs = [inner(given, 2), inner(noise, 3), marks]
        inputs = [*(inner(name, 2) for name in states.values()), *inputs]

        source = states[HEAD_CODES if tier.code_width else HISTORY]
        seen = [source, *([f"{at}/conditioning"] if i else []), *(states[s] for s in own)]
        nodes, (output, *after) = self.steps.tiers[i].inline(f"{at}/tier", seen)
        before = dict(states)
        states.update(zip(own, after, strict=True))
        if i == len(self.model.tiers) - 1:
            moved = [*self.head_states, HISTORY]
            seen = [states[HISTORY], output, *(states[s] for s in self.head_states)]
            if self.model.paced:
                # A drawn frame may leave the tier as it was, or move it twice.
                moved += [*own, PLACE]
                kept = {**dict(zip(own, after, strict=True)), PLACE: before[PLACE]}
                draw = self._draw_frame(noise, *seen, before=before, kept=kept)
                read = self._read_frame(given, *seen, kept=kept)
            else:
                draw, read = self._draw_frame(noise, *seen), self._read_frame(given, *seen)
            states.update({s: f"{at}/{s}_after" for s in moved})
            nodes.append(choice("is_drawn", [*made, *(states[s] for s in moved)], draw, read))
        else:
            below = self.model.tiers[i + 1].frame_size
            rate, K = tier.frame_size // below, self.steps.noise_width
            faster = self._states_from(i + 1)
            results = [f"{at}/{s}_after" for s in faster]
            sliced = [output, f"{at}/given_below", f"{at}/noise_below"]
            frames, whole = [f"{m}_below" for m in made], self.builder.integers(tier.frame_size, -1)
            nodes += [
                node("Reshape", [given, self.builder.integers(rate, below, -1)], sliced[1]),
                node("Reshape", [noise, self.builder.integers(rate, below, -1, K)], sliced[2]),
                scan(
                    self._body(i + 1),
                    [*(states[s] for s in faster), *sliced],
                    [*results, *frames],
                    3,
                ),
                *(node("Reshape", [f, whole], m) for f, m in zip(frames, made, strict=True)),
            ]
            states.update(zip(faster, results, strict=True))
        outputs = [*(inner(name, 2) for name in states.values()), *(inner(m, 2) for m in made)]
        return self.builder.graph(at, nodes, inputs, outputs)

    def _read_frame(
        self,
        given: str,
        history: str,
        condition: str,
        *state: str,
        kept: dict[str, str] | None = None,
    ) -> onnx.GraphProto:
        """The branch that reads a frame of the fastest tier; `state` is the head's.

        States that are `kept` come out as they are.
        """
        seen = [history, condition, given, *state]
        results = [f"read/{name}" for name in [*self.made, *self.head_states, HISTORY]]
        nodes = [node("Identity", [given], results[0])]
        if self.steps.score:
            score, (bits,) = self.steps.score.inline("read/score", seen)
            none = node("Sub", [given, given], "read/no_bits")
            yes = self.builder.graph("score", score, [], [inner(bits, 2)])
            no = self.builder.graph("no_score", [none], [], [inner("read/no_bits", 2)])
            nodes.append(choice(SCORE, ["read/bits"], yes, no))
        if self.steps.observe_frame:
            after = results[len(self.made) : -1]
            nodes += self.steps.observe_frame.inline("read/head", seen, after)[0]
        nodes += self.steps.remember.inline("read/remember", [history, given], results[-1:])[0]
        for name, value in (kept or {}).items():
            results.append(f"read/{name}")
            nodes.append(node("Identity", [value], results[-1]))
        return self.builder.graph("read", nodes, [], [inner(r, 2) for r in results])

    def _draw_frame(
        self,
        noise: str,
        history: str,
        condition: str,
        *state: str,
        before: dict[str, str] | None = None,
        kept: dict[str, str] | None = None,
    ) -> onnx.GraphProto:
        """The branch that draws one: subframe by subframe, in a loop of its own.

        Of a model that is paced it takes the states before the tier's step, and those after it.
        """
        results = [f"draw/{name}" for name in [*self.made, *self.head_states, HISTORY]]
        shapes = self.steps.subframe_inputs
        nodes: list[onnx.NodeProto] = []
        more = [f"draw/{name}" for name in kept or ()]
        if before and kept:
            (codes,) = state
            nodes, condition, noise = self._pace(noise, condition, codes, before, kept)
        begin, begun = self.steps.begin_frame.inline(
            "draw/begin", [history, condition, noise, *state]
        )
        nodes += begin
        sequences, frame_inputs = begun[: len(shapes)], begun[len(shapes) :]
        now = [f"subframe/input{i}" for i in range(len(shapes))]
        subframe, (samples, past) = self.steps.subframe.inline(
            "subframe/head", ["subframe/past", *now, *frame_inputs]
        )
        body = self.builder.graph(
            "subframe",
            subframe,
            [inner("subframe/past", 2), *map(inner, now, map(len, shapes))],
            [inner(past, 2), inner(samples, 2)],
        )
        end, _ = self.steps.end_frame.inline(
            "draw/end",
            [history, "draw/samples", *frame_inputs, *state],
            [results[-1], results[0], *results[len(self.made) : -1]],
        )
        nodes += [
            self.builder.slice(history, -self.model.head.context, 1 << 30, 1, "draw/recent"),
            scan(body, ["draw/recent", *sequences], ["draw/last", "draw/samples"], len(shapes)),
            *end,
        ]
        if self.steps.score:
            # Bits are counted only of what is read; those of what is drawn are 0.
            nodes.append(node("Sub", [results[0], results[0]], results[1]))
        return self.builder.graph("draw", nodes, [], [inner(r, 2) for r in [*results, *more]])

    def _pace(
        self,
        noise: str,
        condition: str,
        codes: str,
        before: dict[str, str],
        kept: dict[str, str],
    ) -> tuple[list[onnx.NodeProto], str, str]:
        """Nodes of `generation.advance._draw_paced_frame` before the frame: their condition, noise.

        They make the tier's state and the place under `draw/`.
        """
        assert self.steps.paced
        own = [name for name in kept if name != PLACE]
        names = ["output", "noise", *own, PLACE]
        paced, plain = ([f"{at}/{name}" for name in names] for at in ("paced", "plain"))
        results = ["draw/output", "draw/own_noise", *(f"draw/{name}" for name in [*own, PLACE])]
        given, after = [condition, noise], [kept[name] for name in own]
        controls = [before[PLACE], TEMPO.name, DENSITY.name, HOLD.name]
        states = [*(before[name] for name in own), *after]
        step, _ = self.steps.paced.inline("paced/step", [*controls, *given, codes, *states], paced)
        same = zip([*given, *after, before[PLACE]], plain, strict=True)
        ranks = [3, 3, *(1 + len(self.builder.spec[name][0]) for name in [*own, PLACE])]
        yes = self.builder.graph("paced", step, [], list(map(inner, paced, ranks)))
        no = [node("Identity", [a], b) for a, b in same]
        no = self.builder.graph("plain", no, [], list(map(inner, plain, ranks)))
        return [choice("is_paced", results, yes, no)], results[0], results[1]

    def _states_from(self, i: int) -> list[str]:
        """States that move inside of tier `i`'s loop."""
        slower = tuple(f"tier{k}_" for k in range(i))
        return [s for s in self.states if not (slower and s.startswith(slower))]
