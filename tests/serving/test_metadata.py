"""Metadata of an exported file: what is taken, and what is refused."""

import contextlib
import json

import pytest
from keras_rawaudio_serving import ServingError, metadata

LEVEL = {"name": "level", "shape": [1], "initial": 0.0}


def parsed(**changes: object) -> metadata.Metadata:
    """Metadata of the least generator, with changes."""
    values = {"format_version": 1, "sample_rate": 8000, "frame": 1, "noise_per_sample": 1}
    values |= {"states": [], "deterministic": False, **changes}
    return metadata.parse_metadata({metadata.KEY: json.dumps(values)}, "a.onnx")


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sample_rate", 1, metadata.MAX_SAMPLE_RATE),
        ("frame", 1, metadata.MAX_FRAME),
        ("channels", 1, metadata.MAX_CHANNELS),
        ("delay", 0, metadata.MAX_FRAME),
        ("noise_per_sample", 0, metadata.MAX_FRAME_NOISE),
    ],
)
def test_each_number_is_taken_up_to_its_limits(name: str, low: int, high: int) -> None:
    def taken(value: int) -> int:
        return int(getattr(parsed(**{name: value}), name))

    assert (taken(low), taken(high)) == (low, high)
    for value in (low - 1, high + 1):
        with pytest.raises(ServingError, match=f"{name} is {value}"):
            taken(value)


def music(shares: object, names: object = ("night", "day"), size: int = 2) -> metadata.Metadata:
    state = {"name": "music", "shape": [size], "initial": 0.0}
    return parsed(states=[state], music={"names": names, "shares": shares})


def test_each_music_is_a_weight_from_nothing_to_one() -> None:
    found = music([0.0, 1.0])
    assert [(label.name, label.share) for label in found.labels] == [("night", 0), ("day", 1)]
    weights = {c.name: c[1:5] for c in found.controls if c.name != "temperature"}
    assert weights == dict.fromkeys(("music/night", "music/day"), (0.0, 1.0, 0.0, "weight"))


@pytest.mark.parametrize(
    ("shares", "names", "size", "message"),
    [
        ([0.5, -0.1], ["night", "day"], 2, "shares"),
        ([0, 0], ["night", "day"], 2, "shares"),
        ([1.0], ["night", "day"], 2, "shares"),
        ([0.5, 0.5], ["night", "night"], 2, "not different"),
        ([0.5, 0.5], ["night", 7], 2, "no names"),
        ([0.5, 0.5], [7, 8], 2, "no names"),
        ([0.5, 0.5], ["night", "day"], 3, "not of this graph"),
    ],
)
def test_shares_that_are_not_those_of_the_names_are_refused(
    shares: object, names: object, size: int, message: str
) -> None:
    with pytest.raises(ServingError, match=message):
        music(shares, names, size)


@pytest.mark.parametrize(("shape", "refused"), [([1], False), ([2], True), ([], True)])
def test_a_control_is_one_number_of_each_stream(shape: list[int], refused: bool) -> None:
    control = {"name": "level", "unit": "dB", "description": "x"}
    control |= {"minimum": 0, "maximum": 1, "default": 0}
    expectation = pytest.raises(ServingError, match="not of this graph")
    with expectation if refused else contextlib.nullcontext():
        parsed(states=[{**LEVEL, "shape": shape}], controls=[control])


@pytest.mark.parametrize(("default", "refused"), [(-1, True), (0, False), (1, False), (2, True)])
def test_a_default_lies_within_its_range(default: float, refused: bool) -> None:
    control = {"name": "level", "unit": "dB", "description": "x", "minimum": 0, "maximum": 1}
    expectation = pytest.raises(ServingError, match="range of level")
    with expectation if refused else contextlib.nullcontext():
        parsed(states=[LEVEL], controls=[control | {"default": default}])


@pytest.mark.parametrize(
    ("side", "shape", "refused"),
    [
        ("in", [None, 1], False),
        ("in", ["B", "L"], True),  # an input whose size is open may be of any size
        ("in", ["B", 2], True),
        ("in", [], True),
        ("out", ["B", "L"], False),  # what comes out is as large as it is
        ("out", [], False),
        ("out", ["B", 2], True),
        ("out", ["B", 1, 1], True),
    ],
)
def test_sizes_of_inputs_are_fixed_and_those_of_outputs_may_be_open(
    side: str, shape: list[int | str | None], refused: bool
) -> None:
    about = parsed(states=[LEVEL])

    def floats(sizes: list[int | str | None]) -> metadata.Declared:
        return metadata.Declared(metadata.FLOAT, sizes)

    inputs = {"forced": floats(["B", "P"]), "noise": floats(["B", "N", 1])}
    inputs["level"] = floats(shape if side == "in" else ["B", 1])
    outputs = {"audio": floats(["B", "N"])}
    outputs["level_next"] = floats(shape if side == "out" else ["B", 1])
    expectation = pytest.raises(ServingError, match="and its metadata says")
    with expectation if refused else contextlib.nullcontext():
        metadata.check_graph(about, inputs, outputs, "a.onnx")


def test_states_are_taken_up_to_their_limit() -> None:
    half = {"initial": 0.0, "shape": [metadata.MAX_STATE_VALUES // 2]}
    states = [{**half, "name": "a"}, {**half, "name": "b"}]
    parsed(states=states)
    with pytest.raises(ServingError, match="states larger"):
        parsed(states=[*states, {"initial": 0.0, "shape": [1], "name": "c"}])
