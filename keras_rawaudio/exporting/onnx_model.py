"""One ONNX graph of the whole generator: converted steps, nested into scans over time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
from keras import ops
from onnx import TensorProto, helper

from keras_rawaudio.exporting.steps import OPSET, Step, convert
from keras_rawaudio.generation.advance import HISTORY, generator_state_spec, prepare_noise
from keras_rawaudio.models import AudioModel

METADATA_KEY = "keras_rawaudio"
# Old enough for runtimes of 2023, new enough for opset 17.
IR_VERSION = 8


def export_onnx(model: AudioModel, metadata: dict[str, Any], path: Path) -> None:
    """Write the generator as one self-contained ONNX file.

    Its inputs are `forced (batch, P)`, `noise (batch, N, K)`, `temperature (batch,)` and the state
    tensors; its outputs `audio (batch, N)` and `<state>_next`. What they mean is what
    `keras_rawaudio.generation.advance` says.

    Args:
        model: the model.
        metadata: goes into the file as JSON.
        path: where to write.
    """
    proto = _Composer(model).compose()
    helper.set_model_props(proto, {METADATA_KEY: json.dumps(metadata)})
    onnx.checker.check_model(proto, full_check=True)
    path.write_bytes(proto.SerializeToString())


class _Composer:
    """Builds the graph from the innermost loop outwards.

    Names of tensors: `history` and the tiers' states under the model's names, with a prefix for
    each loop. Inside of loops time comes first, so that Scan can slice it: noise is `(F, B, K)`,
    conditioning `(F, B, width)`, values `(F, B)`.
    """

    def __init__(self, model: AudioModel) -> None:
        self.model = model
        self.spec = generator_state_spec(model)
        self.states = list(self.spec)
        self.constants: dict[str, onnx.TensorProto] = {}
        history = (None, model.context + 1)
        self.tier_steps = [self._tier_step(i) for i in range(len(model.tiers))]
        frame = model.tiers[-1].frame

        def remember(past: Any, values: Any) -> Any:
            return ops.concatenate([past[:, frame:], ops.transpose(values)], axis=1)

        self.remember = self._convert("remember", remember, [history, (frame, None)])
        self.encode = self._convert(
            "encode", lambda a: model.codec.encode(a, xp=ops), [(None, None)]
        )
        self.decode = self._convert(
            "decode", lambda v: model.codec.decode(v, xp=ops), [(None, None)]
        )
        self.prepare_noise = self._convert(
            "chance",
            lambda noise, temperature: prepare_noise(model, noise, temperature),
            [(None, None, model.head.noise_per_sample), (None,)],
        )
        self.head_step = self._head_step()

    def compose(self) -> onnx.ModelProto:
        nodes = [
            self._node("Shape", ["forced"], "forced_shape"),
            self._node("Gather", ["forced_shape", self._integers([1])], "forced_length"),
            self._node("Shape", ["noise"], "noise_shape"),
            self._node("Gather", ["noise_shape", self._integers([1])], "noise_length"),
            self._node("Greater", ["forced_length", self._integers([0])], "is_forced"),
            self._node("Greater", ["noise_length", self._integers([0])], "is_drawn"),
            self._node("Unsqueeze", ["temperature", self._integers([1])], "temperature_column"),
        ]
        # Scan refuses a length of zero, so each of the two stands behind an If.
        primed = [f"primed/{s}" for s in self.states]
        nodes.append(
            helper.make_node(
                "If",
                ["is_forced"],
                primed,
                name="prime",
                then_branch=self._prime_branch(),
                else_branch=self._skip_branch("unprimed", self.states),
            )
        )
        after = [f"{s}_next" for s in self.states]
        nodes.append(
            helper.make_node(
                "If",
                ["is_drawn"],
                ["audio", *after],
                name="draw",
                then_branch=self._draw_branch(primed),
                else_branch=self._skip_branch("undrawn", primed, empty_audio=True),
            )
        )
        K = self.model.head.noise_per_sample
        inputs = [
            _value("forced", ["batch", "forced_samples"]),
            _value("noise", ["batch", "samples", K]),
            _value("temperature", ["batch"]),
            *(_value(s, ["batch", *shape]) for s, (shape, _) in self.spec.items()),
        ]
        outputs = [
            _value("audio", ["batch", "samples"]),
            *(_value(f"{s}_next", ["batch", *shape]) for s, (shape, _) in self.spec.items()),
        ]
        graph = helper.make_graph(
            nodes, "generator", inputs, outputs, initializer=list(self.constants.values())
        )
        proto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="keras_rawaudio"
        )
        proto.ir_version = IR_VERSION
        return proto

    # The branches

    def _prime_branch(self) -> onnx.GraphProto:
        nodes, (values,) = self.encode.inline("prime/encode", ["forced"])
        F = self.model.frame
        nodes += [
            self._node("Reshape", [values, self._integers([0, -1, F])], "prime/frames"),
            self._node("Transpose", ["prime/frames"], "prime/by_time", perm=[1, 2, 0]),
        ]
        outputs = [f"prime/{s}" for s in self.states]
        body = self._read_body(0)
        nodes.append(_scan(body, [*self.states, "prime/by_time"], outputs, 1))
        return helper.make_graph(nodes, "prime", [], [self._state_value(o) for o in outputs])

    def _draw_branch(self, states: Sequence[str]) -> onnx.GraphProto:
        F, K = self.model.frame, self.model.head.noise_per_sample
        outputs = [f"draw/{s}" for s in self.states]
        nodes, (chance,) = self.prepare_noise.inline("draw/chance", ["noise", "temperature"])
        nodes += [
            self._node("Reshape", [chance, self._integers([0, -1, F, K])], "draw/frames"),
            self._node("Transpose", ["draw/frames"], "draw/by_time", perm=[1, 2, 0, 3]),
            _scan(self._draw_body(0), [*states, "draw/by_time"], [*outputs, "draw/values"], 1),
            self._node("Transpose", ["draw/values"], "draw/by_row", perm=[2, 0, 1]),
            self._node("Reshape", ["draw/by_row", self._integers([0, -1])], "draw/flat"),
        ]
        decoded, (audio,) = self.decode.inline("draw/decode", ["draw/flat"])
        nodes += decoded
        values = [_value(audio, ["batch", "samples"]), *map(self._state_value, outputs)]
        return helper.make_graph(nodes, "draw", [], values)

    def _skip_branch(
        self, name: str, states: Sequence[str], empty_audio: bool = False
    ) -> onnx.GraphProto:
        outputs = [f"{name}/{s}" for s in self.states]
        pairs = zip(states, outputs, strict=True)
        nodes = [self._node("Identity", [state], output) for state, output in pairs]
        values = [self._state_value(o) for o in outputs]
        if empty_audio:
            # No samples long, but as wide as the batch: the noise, which has none, without its K.
            zero = self._integers([0], scalar=True)
            nodes.append(self._node("Gather", ["noise", zero], f"{name}/audio", axis=2))
            values = [_value(f"{name}/audio", ["batch", "samples"]), *values]
        return helper.make_graph(nodes, name, [], values)

    # The bodies of the loops: one for each tier and one for the sample

    def _read_body(self, i: int) -> onnx.GraphProto:
        at = f"read{i}"
        conditioning, nodes, output, states = self._begin_body(at, i)
        if i == len(self.model.tiers) - 1:
            more, (history,) = self.remember.inline(
                f"{at}/remember", [f"{at}/{HISTORY}", f"{at}/values"]
            )
            nodes += more
            states[HISTORY] = history
        else:
            below = self.model.tiers[i + 1].frame
            shape = self._integers([self._rate(i), below, -1])
            nodes.append(self._node("Reshape", [f"{at}/values", shape], f"{at}/below"))
            results = [f"{at}/{s}_below" for s in self._states_from(i + 1)]
            given = [states[s] for s in self._states_from(i + 1)]
            body = self._read_body(i + 1)
            nodes.append(_scan(body, [*given, output, f"{at}/below"], results, 2))
            states.update(zip(self._states_from(i + 1), results, strict=True))
        inputs = [*self._body_states(at, i), *conditioning, _inner(f"{at}/values", 2)]
        return helper.make_graph(
            nodes, at, inputs, [self._state_value(states[s]) for s in self._states_from(i)]
        )

    def _draw_body(self, i: int) -> onnx.GraphProto:
        at = f"draw{i}"
        conditioning, nodes, output, states = self._begin_body(at, i)
        if i == len(self.model.tiers) - 1:
            more, values = self._draw_samples(at, output)
            nodes += more
            more, (history,) = self.remember.inline(f"{at}/remember", [f"{at}/{HISTORY}", values])
            nodes += more
            states[HISTORY] = history
        else:
            below, K = self.model.tiers[i + 1].frame, self.model.head.noise_per_sample
            shape = self._integers([self._rate(i), below, -1, K])
            nodes.append(self._node("Reshape", [f"{at}/noise", shape], f"{at}/below"))
            results = [f"{at}/{s}_below" for s in self._states_from(i + 1)]
            given = [states[s] for s in self._states_from(i + 1)]
            nodes.append(
                _scan(
                    self._draw_body(i + 1),
                    [*given, output, f"{at}/below"],
                    [*results, f"{at}/frames"],
                    2,
                )
            )
            states.update(zip(self._states_from(i + 1), results, strict=True))
            values = f"{at}/drawn"
            shape = self._integers([self.model.tiers[i].frame, -1])
            nodes.append(self._node("Reshape", [f"{at}/frames", shape], values))
        inputs = [*self._body_states(at, i), *conditioning, _inner(f"{at}/noise", 3)]
        outputs = [self._state_value(states[s]) for s in self._states_from(i)]
        return helper.make_graph(nodes, at, inputs, [*outputs, _inner(values, 2)])

    def _begin_body(
        self, at: str, i: int
    ) -> tuple[list[onnx.ValueInfoProto], list[onnx.NodeProto], str, dict[str, str]]:
        """A tier's step at the head of its loop's body."""
        conditioning = [f"{at}/conditioning"] if i else []
        own = [n for n, _ in self.model.tiers[i].state_spec()]
        own = [f"tier{i}_{n}" for n in own]
        given = [f"{at}/{HISTORY}", *conditioning, *(f"{at}/{s}" for s in own)]
        nodes, (output, *after) = self.tier_steps[i].inline(f"{at}/tier", given)
        states = {s: f"{at}/{s}" for s in self._states_from(i)}
        states.update(zip(own, after, strict=True))
        return [_inner(c, 2) for c in conditioning], nodes, output, states

    def _draw_samples(self, at: str, conditioning: str) -> tuple[list[onnx.NodeProto], str]:
        if not self.model.head.per_sample:
            nodes, (values,) = self.head_step.inline(f"{at}/head", [conditioning])
            return nodes, values
        recent, column, values = f"{at}/recent", f"{at}/column", f"{at}/values"
        inputs = [recent, f"{at}/word", f"{at}/chance", "temperature_column"]
        step, (drawn, after) = self.head_step.inline(f"{at}/head", inputs)
        body = helper.make_graph(
            step,
            f"{at}_sample",
            [_inner(n, 2) for n in inputs[:3]],
            [_inner(after, 2), _inner(drawn, 2)],
        )
        ends = [self._integers([n]) for n in (-self.model.head.context, 1 << 30, 1)]
        first, last = f"{at}/first_recent", f"{at}/last_recent"
        frame = self._integers([self.model.tiers[-1].frame, -1])
        nodes = [
            self._node("Slice", [f"{at}/{HISTORY}", *ends], first),
            _scan(body, [first, conditioning, f"{at}/noise"], [last, column], 2),
            self._node("Reshape", [column, frame], values),
        ]
        return nodes, values

    # The steps, as Keras has them

    def _tier_step(self, i: int) -> Step:
        model, tier = self.model, self.model.tiers[i]
        last = i == len(model.tiers) - 1

        def step(history: Any, *given: Any) -> list[Any]:
            conditioning, before = (given[0], given[1:]) if i else (None, given)
            frame = model.tier_input(history[:, -tier.window :])
            output, state = tier.step(frame, conditioning, list(before))
            if not last or model.head.per_sample:
                output = ops.transpose(output, (1, 0, 2))
            return [output, *state]

        shapes: list[tuple[int | None, ...]] = [(None, model.context + 1)]
        if i:
            shapes.append((None, tier.input_width))
        shapes += [(None, *shape) for _, shape in tier.state_spec()]
        return self._convert(f"tier{i}", step, shapes)

    def _head_step(self) -> Step:
        head: Any = self.model.head
        tier = self.model.tiers[-1]
        if not head.per_sample:
            width = tier.width or tier.stack.output_width
            return self._convert("head", lambda c: ops.transpose(head.draw(c)), [(None, width)])

        def step(recent: Any, conditioning: Any, noise: Any, temperature: Any) -> list[Any]:
            value = head.step(recent, conditioning, noise, temperature)
            after = ops.concatenate([recent[:, 1:], value], axis=1)
            return [value, after]

        shapes = [
            (None, head.context),
            (None, head.conditioning_width()),
            (None, head.noise_per_sample),
            (None, 1),
        ]
        return self._convert("head", step, shapes)

    # Small helpers

    def _convert(self, name: str, function: Any, shapes: Any) -> Step:
        step = convert(name, function, shapes)
        self.constants.update({c.name: c for c in step.constants})
        return step

    def _rate(self, i: int) -> int:
        return self.model.tiers[i].frame // self.model.tiers[i + 1].frame

    def _states_from(self, i: int) -> list[str]:
        """States that move inside of tier `i`'s loop."""
        slower = tuple(f"tier{k}_" for k in range(i))
        return [s for s in self.states if not (slower and s.startswith(slower))]

    def _body_states(self, at: str, i: int) -> list[onnx.ValueInfoProto]:
        return [self._state_value(f"{at}/{s}") for s in self._states_from(i)]

    def _state_value(self, name: str) -> onnx.ValueInfoProto:
        return _inner(name, 2)

    def _integers(self, values: list[int], scalar: bool = False) -> str:
        name = "int/" + "_".join(map(str, values)) + ("/scalar" if scalar else "")
        dims = [] if scalar else [len(values)]
        self.constants[name] = helper.make_tensor(name, TensorProto.INT64, dims, values)
        return name

    @staticmethod
    def _node(kind: str, inputs: list[str], output: str, **attributes: Any) -> onnx.NodeProto:
        return helper.make_node(kind, inputs, [output], name=f"{kind}/{output}", **attributes)


def _value(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _inner(name: str, rank: int) -> onnx.ValueInfoProto:
    """A tensor in a loop: runtimes before 1.24 want a shape, if only of free sizes."""
    return _value(name, [f"{name}/{axis}" for axis in range(rank)])


def _scan(
    body: onnx.GraphProto, inputs: list[str], outputs: list[str], scanned: int
) -> onnx.NodeProto:
    name = f"Scan/{outputs[0]}"
    return helper.make_node("Scan", inputs, outputs, name=name, body=body, num_scan_inputs=scanned)
