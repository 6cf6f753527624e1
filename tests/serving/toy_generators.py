"""A toy generator that obeys the contract of exported files, built with onnx.helper alone.

Sample by sample: `level = 0.9 * level + 0.1 * x`, where x is the forced sample, or, when drawing,
`temperature * (2 * noise - 1)` (0 in a deterministic one); `audio = gain * level`. A second state
counts samples, so that a step taken twice shows.
"""

import json

import onnx
from onnx import TensorProto, helper

RATE = 8000
FLOAT = TensorProto.FLOAT


def _info(name: str, *shape: str | int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, FLOAT, list(shape))


def _phase(kind: str, length: str) -> onnx.GraphProto:
    """Then-branch: Scan over samples (a Scan refuses zero of them, hence the If round it)."""
    nodes = [
        helper.make_node("Mul", ["l", "decay"], ["l_decayed"]),
        helper.make_node("Mul", ["x", "attack"], ["x_scaled"]),
        helper.make_node("Add", ["l_decayed", "x_scaled"], ["l_out"]),
        helper.make_node("Add", ["c", "one"], ["c_out"]),
        helper.make_node("Mul", ["l_out", "gain"], ["y"]),
    ]
    body = helper.make_graph(
        nodes,
        f"{kind}_body",
        [_info("l", "B", 1), _info("c", "B"), _info("x", "B", 1)],
        [_info("l_out", "B", 1), _info("c_out", "B"), _info("y", "B", 1)],
    )
    suffix = f"_{kind}"
    source = {"read": ["level", "clock"], "draw": ["level_read", "clock_read"]}[kind]
    outs = [f"level{suffix}_then", f"clock{suffix}_then"]
    before = [helper.make_node("Transpose", [f"x_{kind}"], [f"xt_{kind}"], perm=[1, 0, 2])]
    if kind == "draw":  # noise must come in whole frames: a Reshape that fails otherwise
        before = [
            helper.make_node("Shape", ["x_draw"], ["x_shape"]),
            helper.make_node("Reshape", ["x_draw", "in_frames"], ["x_frames"]),
            helper.make_node("Reshape", ["x_frames", "x_shape"], ["x_whole"]),
            helper.make_node("Transpose", ["x_whole"], ["xt_draw"], perm=[1, 0, 2]),
        ]
    scan = helper.make_node(
        "Scan", [*source, f"xt_{kind}"], [*outs, f"yt_{kind}"], body=body, num_scan_inputs=1
    )
    after = [
        helper.make_node("Squeeze", [f"yt_{kind}", "axis2"], [f"ys_{kind}"]),
        helper.make_node("Transpose", [f"ys_{kind}"], [f"audio_{kind}_then"], perm=[1, 0]),
    ]
    infos = [_info(outs[0], "B", 1), _info(outs[1], "B"), _info(f"audio_{kind}_then", "B", length)]
    return helper.make_graph([*before, scan, *after], f"{kind}_then", [], infos)


def _skip(kind: str, length: str) -> onnx.GraphProto:
    source = {"read": ["level", "clock"], "draw": ["level_read", "clock_read"]}[kind]
    outs = [f"level_{kind}_else", f"clock_{kind}_else", f"audio_{kind}_else"]
    nodes = [
        helper.make_node("Identity", [source[0]], [outs[0]]),
        helper.make_node("Identity", [source[1]], [outs[1]]),
        helper.make_node("Squeeze", [f"x_{kind}", "axis2"], [outs[2]]),
    ]
    infos = [_info(outs[0], "B", 1), _info(outs[1], "B"), _info(outs[2], "B", length)]
    return helper.make_graph(nodes, f"{kind}_else", [], infos)


def build_toy(
    frame: int = 4,
    deterministic: bool = False,
    gain: float = 1.0,
    sample_rate: int = RATE,
    initial: float = 0.0,
    **changes: object,
) -> onnx.ModelProto:
    """`changes` replace or add metadata keys; `metadata=None` leaves the metadata out."""
    constants = {
        "decay": 0.9,
        "attack": 0.1,
        "one": 1.0,
        "gain": gain,
        "two": 0.0 if deterministic else 2.0,
        "shift": 0.0 if deterministic else 1.0,
    }
    inits = [helper.make_tensor(n, FLOAT, [], [v]) for n, v in constants.items()]
    ints = {"axis1": [1], "axis2": [2], "zero": [0], "in_frames": [-1, frame]}
    inits += [helper.make_tensor(n, TensorProto.INT64, [len(v)], v) for n, v in ints.items()]
    nodes = [
        helper.make_node("Unsqueeze", ["forced", "axis2"], ["x_read"]),
        helper.make_node("Mul", ["noise", "two"], ["noise2"]),
        helper.make_node("Sub", ["noise2", "shift"], ["centred"]),
        helper.make_node("Unsqueeze", ["temperature", "axis1"], ["t1"]),
        helper.make_node("Unsqueeze", ["t1", "axis2"], ["t2"]),
        helper.make_node("Mul", ["centred", "t2"], ["x_draw"]),
    ]
    for kind, length in (("read", "P"), ("draw", "N")):
        source = {"read": "forced", "draw": "noise"}[kind]
        outs = {
            "read": ["level_read", "clock_read", "audio_read"],
            "draw": ["level_next", "clock_next", "audio"],
        }[kind]
        nodes += [
            helper.make_node("Shape", [source], [f"len_{kind}"], start=1, end=2),
            helper.make_node("Greater", [f"len_{kind}", "zero"], [f"any1_{kind}"]),
            helper.make_node("Squeeze", [f"any1_{kind}"], [f"any_{kind}"]),
            helper.make_node(
                "If",
                [f"any_{kind}"],
                outs,
                then_branch=_phase(kind, length),
                else_branch=_skip(kind, length),
            ),
        ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [
            _info("forced", "B", "P"),
            _info("noise", "B", "N", 1),
            _info("temperature", "B"),
            _info("level", "B", 1),
            _info("clock", "B"),
        ],
        [_info("audio", "B", "N"), _info("level_next", "B", 1), _info("clock_next", "B")],
        inits,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    metadata = {
        "format_version": 1,
        "sample_rate": sample_rate,
        "frame": frame,
        "noise_per_sample": 1,
        "deterministic": deterministic,
        "codec": {"name": "minmax", "low": -1.0, "high": 1.0},
        "states": [
            {"name": "level", "shape": [1], "initial": initial},
            {"name": "clock", "shape": [], "initial": 0.0},
        ],
        **changes,
    }
    if changes.get("metadata", True) is not None:
        helper.set_model_props(model, {"keras_rawaudio": json.dumps(metadata)})
    return model


MUSIC_NAMES = {"music": {"names": ["night", "day", "sea"], "shares": [0.2, 0.5, 0.3]}}
MUSIC_STATES = [
    {"name": "gain", "shape": [1], "initial": 0.0},
    {"name": "music", "shape": [3], "initial": 0.0},
]


def build_stereo_toy(gains: tuple[float, ...] = (1.0, 0.5), **changes: object) -> onnx.ModelProto:
    """`audio = gains * temperature * (2 * noise - 1) + level`; `level` is the last forced sample.

    `changes` replace or add metadata keys.
    """
    channels = len(gains)
    inits = [
        helper.make_tensor("gains", FLOAT, [channels], gains),
        helper.make_tensor("two", FLOAT, [], [2.0]),
        helper.make_tensor("shift", FLOAT, [], [1.0]),
    ]
    ints = {"axis1": [1], "axes": [1, 2], "last": [-1], "end": [2**31]}
    inits += [helper.make_tensor(n, TensorProto.INT64, [len(v)], v) for n, v in ints.items()]
    nodes = [
        helper.make_node("Unsqueeze", ["level", "axis1"], ["level_row"]),
        helper.make_node("Concat", ["level_row", "forced"], ["rows"], axis=1),
        helper.make_node("Slice", ["rows", "last", "end", "axis1"], ["last_row"]),
        helper.make_node("Squeeze", ["last_row", "axis1"], ["level_next"]),
        helper.make_node("Mul", ["noise", "two"], ["doubled"]),
        helper.make_node("Sub", ["doubled", "shift"], ["centred"]),
        helper.make_node("Unsqueeze", ["temperature", "axes"], ["scale"]),
        helper.make_node("Mul", ["centred", "scale"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "gains"], ["panned"]),
        helper.make_node("Add", ["panned", "last_row"], ["audio"]),
    ]
    graph = helper.make_graph(
        nodes,
        "stereo",
        [
            _info("forced", "B", "P", channels),
            _info("noise", "B", "N", 1),
            _info("temperature", "B"),
            _info("level", "B", channels),
        ],
        [_info("audio", "B", "N", channels), _info("level_next", "B", channels)],
        inits,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    metadata = {
        "format_version": 1,
        "sample_rate": RATE,
        "frame": 4,
        "channels": channels,
        "noise_per_sample": 1,
        "deterministic": False,
        "states": [{"name": "level", "shape": [channels], "initial": 0.0}],
        **changes,
    }
    helper.set_model_props(model, {"keras_rawaudio": json.dumps(metadata)})
    return model
